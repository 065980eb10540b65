"""Claims about the intervals of a training: who makes the table, where it goes, and what a report says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import DataError, ProjectError
from edge.spec import load_project
from tests.support.pumps import edge, write_pumps
from train import intervals as module
from train.build import build_task
from train.checkpoint import Checkpoint
from train.data.history import History
from train.fit import fit as fitted_by
from train.infer import predict
from train.intervals import Answers, ask, out_of_fold, rounds, shortfall
from train.pipeline import prepare, train_run
from train.predictor import Predictor
from train.run import INTERVALS, REPORT_PAGE, REPORT_TEXT, Run, load_run

SHORT = ["--set", "train.epochs=2", "--set", "prune.steps=1", "--set", "prune.last_epochs=2"]
HALF = ["--set", "task.interval=0.5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intervals")
    train_run(load_project(write_pumps(folder, "gru", epochs=3), ["task.interval=0.5"]), folder / "run")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return load_run(folder / "run")


def test_a_run_keeps_its_table_and_says_how_well_it_holds(folder: Path, run: Run) -> None:
    [table], [found] = run.intervals, run.report["intervals"]
    assert (table.output, table.share, table.low, table.high) == ("rul", 0.5, 0.0, 20.0)
    taught = run.report["machines"]["train"] + run.report["machines"]["validation"]
    assert table.machines == found["calibrated_on"] == taught
    assert 0 <= found["all"]["coverage"]["value"] <= 1 and 0 < found["all"]["width"]["value"] <= 20
    assert found["all"]["coverage"]["machines"] == run.report["machines"]["test"]
    said = "50 % interval of rul: holds"
    assert said in (folder / "run" / REPORT_TEXT).read_text()
    page = (folder / "run" / REPORT_PAGE).read_text()
    assert said in page and page.count("<svg") == 3 and "Does it hold what it promises?" in page


def test_a_project_that_asks_for_none_has_none(folder: Path) -> None:
    train_run(load_project(folder / "pump.toml", ["train.epochs=1"]), folder / "plain")
    assert load_run(folder / "plain").intervals == () and not (folder / "plain" / INTERVALS).exists()
    assert "intervals" not in load_run(folder / "plain").report


def test_each_machine_is_asked_about_by_a_model_that_never_saw_it(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[set[str]] = []

    def fit(project: Any, training: list[History], validation: list[History], **options: Any) -> Any:
        taught.append({h.machine for h in (*training, *validation)})
        return fitted_by(project, training, validation, **options)

    def asked(predictor: Predictor, histories: list[History]) -> Answers:
        assert taught and not taught[-1] & {h.machine for h in histories}
        return ask(predictor, histories)

    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "ask", asked)
    project = load_project(folder / "pump.toml", ["task.interval=0.5", "train.epochs=1"])
    parts = prepare(project)
    answers = out_of_fold(project, parts)
    assert len(taught) == rounds(project, parts) > 1
    assert set(answers["rul"].machine) == {h.machine for h in (*parts.train, *parts.validation)}
    assert not set(answers["rul"].machine) & {h.machine for h in parts.test}


def test_what_is_asked_is_warm_known_and_begins_in_mid_life_too(run: Run) -> None:
    answers = ask(run.predictor, run.heldout)["rul"]
    first = answers.of(~answers.late)
    life = next(h for h in run.heldout if h.machine == first.machine[0])
    mine = first.of(first.machine == life.machine)
    assert mine.seen.tolist() == list(range(1, len(life) + 1))
    np.testing.assert_allclose(mine.predicted, predict(run.predictor, [life])[0][:, 0], atol=1e-5)
    assert mine.truth.tolist() == list(range(len(life) - 1, -1, -1))
    for late in (False, True):
        assert answers.weight[answers.late == late].sum() == pytest.approx(len(run.heldout))


def test_pruning_calibrates_anew(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edge(monkeypatch, "prune", folder / "run", "--amount", 0.5, "-o", folder / "half", *SHORT) == 0
    small = load_run(folder / "half")
    assert small.intervals and small.intervals != run.intervals
    both = ["train", folder / "pump.toml", "--set", "prune.amount=0.5", "-o", folder / "both", *SHORT, *HALF]
    assert edge(monkeypatch, *both) == 0
    assert load_run(folder / "both").intervals != run.intervals


def test_a_calibration_that_was_interrupted_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    project = load_project(folder / "pump.toml", ["task.interval=0.5", "train.epochs=2"])
    parts = prepare(project)
    kept = Checkpoint(tmp_path / "mark", "same")
    calls: list[int] = []

    def cut(done: int, error: float) -> None:
        calls.append(done)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        out_of_fold(project, parts, told=cut, checkpoint=kept)
    resumed = Checkpoint(tmp_path / "mark", "same")
    assert resumed.epochs >= 4
    again, whole = out_of_fold(project, parts, checkpoint=resumed), out_of_fold(project, parts)
    assert again["rul"].predicted.tolist() == whole["rul"].predicted.tolist()


def test_cross_validation_says_how_well_it_would_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", folder / "pump.toml", "--cv", 2, *SHORT, *HALF]
    assert edge(monkeypatch, *asked, "--json") == 0
    [found] = json.loads(capsys.readouterr().out)["intervals"]
    assert found["all"]["coverage"]["machines"] == 10 and found["calibrated_on"] == 5
    assert edge(monkeypatch, *asked) == 0
    assert "50 % interval of rul: holds" in capsys.readouterr().out


def test_too_few_machines_are_told_and_cost_no_fits(folder: Path) -> None:
    project = load_project(folder / "pump.toml", ["task.interval=0.9"])
    parts = prepare(project)
    assert rounds(project, parts) == 0 and out_of_fold(project, parts) == {}
    [said] = shortfall(build_task(project), parts, {})
    assert said == (
        "the 90 % interval of rul is the whole range: it needs 9 machines whose truth is known, and could ask 8; "
        "add machines, or lower task.interval"
    )


def test_a_run_folder_of_before_has_no_table_and_a_damaged_one_says_so(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "old")
    (tmp_path / "old" / INTERVALS).unlink()
    assert load_run(tmp_path / "old").intervals == ()
    for content in ("{", "[1]", '[{"output": "rul"}]'):
        (tmp_path / "old" / INTERVALS).write_text(content)
        with pytest.raises(DataError, match=r"intervals\.json` is damaged"):
            load_run(tmp_path / "old")


@pytest.mark.parametrize("share", [-0.1, 1, 90])
def test_a_share_that_is_none_is_refused(folder: Path, share: float) -> None:
    with pytest.raises(ProjectError, match=r"`task\.interval` must be from 0 to below 1"):
        build_task(load_project(folder / "pump.toml", [f"task.interval={share}"]))


def test_a_task_that_gives_no_intervals_does_not_know_the_key(folder: Path) -> None:
    with pytest.raises(ProjectError, match=r"unknown key `task\.interval`"):
        build_task(load_project(folder / "pump.toml", ["task.kind=anomaly", "task.interval=0.9"]))
