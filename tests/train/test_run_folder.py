"""Claims about the run folder and `edge train`: whole or not at all, and it comes back as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edge import cli
from edge.errors import DataError, ProjectError
from edge.spec import load_project
from train import pipeline
from train.data.calibration import calibration
from train.infer import predict
from train.pipeline import train_run
from train.run import MODEL, PROJECT, Run, load_run, save_run

PROJECT_FILE = """
[project]
name = "pump"
[data]
path = "history.csv"
machine = "pump"
failure = "failed"
[signals]
wear = { unit = "mm", min = -50, max = 500 }
noise = { unit = "V" }
[regime]
columns = ["load"]
count = 2
[task]
kind = "rul"
cap = 20
[model]
family = "FAMILY"
[train]
epochs = 2
batch_size = 4
[timing]
warm_up_readings = 3
"""


@pytest.fixture(params=["gru", "tcn"])
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def folder(tmp_path: Path, family: str) -> Path:
    """A project of ten pumps under two loads, in a folder of its own."""
    rng = np.random.default_rng(0)
    rows = ["pump,ts,failed,wear,noise,load"]
    for pump in range(10):
        steps = int(rng.integers(25, 40))
        for t in range(steps):
            load = int(rng.integers(0, 2))
            wear = t - steps + 10 * load + rng.normal()
            noise = "" if t < 3 else f"{rng.normal():.4f}"
            rows.append(f"p{pump},{t},{int(t == steps - 1 and pump < 8)},{wear:.3f},{noise},{load}")
    (tmp_path / "history.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "pump.toml").write_text(PROJECT_FILE.replace("FAMILY", family))
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    return train_run(load_project(folder / "pump.toml"), folder / "runs" / "pump")


def edge(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def left_behind(folder: Path) -> list[str]:
    """What lies in a folder besides the project, its history and its runs."""
    return sorted(p.name for p in folder.iterdir() if p.name not in ("history.csv", "pump.toml", "runs"))


def test_a_run_comes_back_as_it_was(folder: Path, run: Run) -> None:
    again = load_run(folder / "runs" / "pump")
    assert again.project == run.project and again.report == run.report
    assert not again.predictor.training
    assert [h.machine for h in again.heldout] == [h.machine for h in run.heldout]
    for before, after in zip([*run.heldout, *run.calibration], [*again.heldout, *again.calibration], strict=True):
        np.testing.assert_array_equal(before.x, after.x)
        np.testing.assert_array_equal(before.ts, after.ts)
        assert (before.life, before.failed, before.left) == (after.life, after.failed, after.left)
    predicted = (predict(run.predictor, run.heldout), predict(again.predictor, again.heldout))
    for saved, loaded in zip(*predicted, strict=True):
        np.testing.assert_allclose(saved, loaded, atol=1e-5)


def test_no_held_out_machine_is_kept_for_calibration(run: Run) -> None:
    kept = {h.machine for h in run.calibration}
    assert kept and not kept & {h.machine for h in run.heldout}


def test_what_is_kept_for_calibration_is_limited(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = run.calibration
    for most in (1, 7, 60, 10_000):
        monkeypatch.setattr("train.data.calibration.READINGS", most)
        kept = calibration(lives)
        assert 0 < sum(map(len, kept)) <= max(most, len(kept))
    assert [len(h) for h in kept] == [len(h) for h in lives]


def test_stepping_a_loaded_run_equals_its_forward(folder: Path, run: Run) -> None:
    predictor = load_run(folder / "runs" / "pump").predictor
    x = torch.from_numpy(np.nan_to_num(run.heldout[0].x)[None])
    state, outputs = predictor.init_state(1), []
    with torch.no_grad():
        for t in range(x.shape[1]):
            y_t, *following = predictor.step(x[:, t], *state)
            state = tuple(following)
            outputs.append(y_t)
        torch.testing.assert_close(torch.stack(outputs, 1), predictor(x), rtol=1e-4, atol=1e-3)


def test_people_get_a_report_and_a_picture(folder: Path, run: Run) -> None:
    made = folder / "runs" / "pump"
    text = (made / "report.txt").read_text()
    assert "RMSE capped, at cut-offs" in text and "NASA score, scaled to cap 20" in text and "only 30 seen" in text
    assert "judged at 20 cut-offs: 20 drawn in 2 lives that ran to failure" in text
    assert "ridges learn from those that told when to stop, too" in text
    assert run.report["verdict"] in text and "ridge" in text and "constant" in text
    assert (made / "predictions.png").read_bytes().startswith(b"\x89PNG")
    assert left_behind(folder) == [] and sorted(p.name for p in (folder / "runs").iterdir()) == ["pump"]


def test_a_new_run_replaces_an_old_one(folder: Path, run: Run) -> None:
    made = folder / "runs" / "pump"
    (made / "report.txt").write_text("from the run before")
    save_run(made, run)
    assert not (made / "report.txt").exists() and load_run(made).report == run.report


def test_notes_in_a_run_folder_and_other_projects_are_never_lost(folder: Path, run: Run) -> None:
    made = folder / "notes"
    save_run(made, run)
    (made / "NOTES.md").write_text("what I saw")
    with pytest.raises(DataError, match=r"holds `NOTES\.md`, which no run does"):
        save_run(made, run)
    assert (made / "NOTES.md").read_text() == "what I saw"


def test_a_folder_that_is_no_run_is_never_touched(folder: Path, run: Run) -> None:
    mine = folder / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    for place in (mine, mine / "chapter.txt"):
        with pytest.raises(DataError, match="nothing was touched"):
            save_run(place, run)
    assert (mine / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("family", ["gru"], indirect=True)
def test_a_full_disk_costs_neither_the_old_run_nor_the_folder_beside_it(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, write = folder / "runs" / "pump", Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "heldout.npz":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    for place in (made, folder / "runs" / "other"):
        with pytest.raises(DataError, match="cannot be written: No space left on device"):
            save_run(place, run)
    assert load_run(made).report == run.report
    assert [p.name for p in (folder / "runs").iterdir()] == ["pump"]


@pytest.mark.parametrize("family", ["gru"], indirect=True)
@pytest.mark.parametrize("member", ["project.json", "model.pt", "heldout.npz", "calibration.npz", "report.json"])
def test_a_missing_or_damaged_member_is_named(folder: Path, run: Run, member: str) -> None:
    made = folder / "runs" / "pump"
    whole = (made / member).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x00" * 64):
        (made / member).write_bytes(content)
        with pytest.raises(DataError, match=f"(?s)({member}|report.json).*train again"):
            load_run(made)
    (made / member).unlink()
    with pytest.raises(DataError, match=f"lacks {member}"):
        load_run(made)


@pytest.mark.parametrize("family", ["gru"], indirect=True)
def test_weights_of_another_model_are_refused(folder: Path, run: Run) -> None:
    made = folder / "runs" / "pump"
    table = json.loads((made / PROJECT).read_text())
    table["model"]["hidden"] = 7
    (made / PROJECT).write_text(json.dumps(table))
    with pytest.raises(DataError, match=f"{MODEL}.*does not fit its project"):
        load_run(made)
    table["model"]["family"] = "oracle"
    (made / PROJECT).write_text(json.dumps(table))
    with pytest.raises(ProjectError, match="unknown model family `oracle`"):
        load_run(made)


def test_no_folder_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run folder"):
        load_run(tmp_path / "nothing")


def test_the_command_prints_the_table_to_stdout_and_talks_to_stderr(
    folder: Path, family: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge(monkeypatch, "train", folder / "pump.toml", "-o", folder / "runs" / "a") == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"pump: {family}") and "RMSE" in told.out
    assert "note: missing or implausible values" in told.err and "note" not in told.out


@pytest.mark.parametrize("family", ["gru"], indirect=True)
def test_json_is_the_report(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["train", folder / "pump.toml", "-o", folder / "runs" / "a", "--json", "--set", "model.hidden=3"]
    assert edge(monkeypatch, *asked) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == load_run(folder / "runs" / "a").report and report["options"]["hidden"] == 3


@pytest.mark.parametrize("family", ["gru"], indirect=True)
def test_cross_validation_compares_all_models_and_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge(monkeypatch, "train", folder / "pump.toml", "--cv", 2, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    for question in report["questions"].values():
        assert set(question["models"]) == {"gru", "ridge", "life ridge", "constant"}
        assert set(question["behind"]) == {"ridge", "life ridge", "constant"}
    assert edge(monkeypatch, "train", folder / "pump.toml", "--cv", 2) == 0
    assert "RMSE capped, at cut-offs" in capsys.readouterr().out
    assert left_behind(folder) == [] and not (folder / "runs").exists()


@pytest.mark.parametrize("family", ["gru"], indirect=True)
def test_an_interrupted_fit_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "fit", interrupted)
    assert edge(monkeypatch, "train", folder / "pump.toml", "-o", folder / "runs" / "a") == 130
    assert left_behind(folder) == [] and not (folder / "runs").exists()


@pytest.mark.parametrize("family", ["gru"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--set", "model.hiden=3", "-o", "r"], 2, "unknown key `model.hiden`; did you mean `hidden`"),
        (["--set", "trian.epochs=3", "-o", "r"], 2, "unknown key `trian`; did you mean `train`"),
        (["--set", "data.path=none/*.csv", "-o", "r"], 3, "no file matches `data.path`"),
        (["--set", "data.failure=broken", "-o", "r"], 3, "has no column `broken` (data.failure)"),
        (["--set", "data.reader=xls", "-o", "r"], 2, "unknown reader `xls`"),
        (["--cv", "9"], 3, "9 folds need 18 machines"),
        ([], 2, "say where to with -o RUN"),
        (["-o", "r", "--cv", "2"], 2, "--cv writes no run"),
        (["-o", "history.csv"], 3, "exists and is no run folder"),
    ],
)
def test_what_cannot_be_done_ends_in_one_clear_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(folder)
    assert edge(monkeypatch, "train", "pump.toml", *arguments) == status
    told = capsys.readouterr()
    assert says in told.err and "Traceback" not in told.err and told.out == ""
    assert not (folder / "r").exists()


@pytest.mark.parametrize("family", ["gru"], indirect=True)
@pytest.mark.parametrize(
    ("fleet", "says"),
    [
        ("30f", "1 of 1 machines ran to failure"),
        ("30f 30f", "2 of 2 machines ran to failure"),
        ("30c 30c 30c 30c", "0 of 4 machines ran to failure"),
        ("30c 30c 30c 30f", "1 of 4 machines ran to failure"),
        ("30f 30f 30f", None),
        ("30f 30f 30f 30f", None),
        ("2f 2f 2f", "the longest life in `data.path` has 2 readings"),
        ("30f 30f 30f 1c 2c 2c", None),
    ],
)
def test_the_smallest_fleets_train_or_end_in_one_clear_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fleet: str,
    says: str | None,
) -> None:
    rows = ["pump,ts,failed,wear,noise,load"]
    for pump, (steps, end) in enumerate((int(life[:-1]), life[-1]) for life in fleet.split()):
        rows += [f"p{pump},{t},{int(end == 'f' and t == steps - 1)},{t - steps},{t % 3},0" for t in range(steps)]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")
    status = edge(monkeypatch, "train", folder / "pump.toml", "-o", folder / "runs" / "a")
    told = capsys.readouterr()
    assert status == (3 if says else 0) and "Traceback" not in told.err
    assert (says or "") in told.err and (folder / "runs").exists() == (says is None)
