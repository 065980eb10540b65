"""Claims about `edge prune`: a smaller run of the same kind, on the same machines, and a report of what it cost."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.spec import load_project
from tests.support.pumps import edge, write_pumps
from train.data.history import History
from train.pipeline import prepare, train_run
from train.run import CALIBRATION, HELDOUT, MODEL, REPORT, load_run


@pytest.fixture(scope="module", params=["gru", "tcn"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `whole` in it."""
    folder = tmp_path_factory.mktemp(f"pruning-{request.param}")
    train_run(load_project(write_pumps(folder, request.param, epochs=3)), folder / "whole")
    return folder


SHORT = ("--set", "prune.last_epochs=2", "--set", "prune.epochs=1")


def test_a_pruned_run_is_a_smaller_run_like_any_other(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge(monkeypatch, "prune", whole / "whole", "--amount", 0.5, "-o", tmp_path / "half", *SHORT) == 0
    out = capsys.readouterr().out
    before, after = load_run(whole / "whole"), load_run(tmp_path / "half")
    key = after.predictor.family.width
    assert key and after.project.model.options[key] == 4 and f"pruned: model.{key} 8 -> 4" in out
    pruned = after.report["pruned"]
    assert pruned["before"]["weights"] == before.report["weights"] > after.report["weights"]
    assert (
        pruned["before"]["error"] == before.report["models"][before.project.model.family]["measures"]["capped"]["value"]
    )
    assert (tmp_path / "half" / MODEL).stat().st_size < (whole / "whole" / MODEL).stat().st_size
    assert [h.machine for h in after.heldout] == [h.machine for h in before.heldout]
    assert [c["name"] for c in after.report["fit"]["courses"]] == ["fit", "prune to 6", "prune to 4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["half"]


def test_a_pruned_run_can_be_pruned_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    half, quarter = tmp_path / "half", tmp_path / "quarter"
    assert edge(monkeypatch, "prune", whole / "whole", "--amount", 0.5, "-o", half, *SHORT, "--steps", 1) == 0
    assert edge(monkeypatch, "prune", half, "--amount", 0.5, "-o", quarter, *SHORT, "--steps", 1, "--json") == 0
    report = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert report["pruned"]["after"]["width"] == 2 and len(report["fit"]["courses"]) == 3


def test_train_prunes_behind_its_fit_where_the_project_says_so(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["train", whole / "pump.toml", "-o", tmp_path / "a", *SHORT, "--set", "prune.amount=0.5"]
    assert edge(monkeypatch, *both) == 0
    assert edge(monkeypatch, "prune", whole / "whole", "--amount", 0.5, "-o", tmp_path / "b", *SHORT) == 0
    first, second = load_run(tmp_path / "a"), load_run(tmp_path / "b")
    assert first.project == second.project and first.project.prune.amount == 0
    weights = [run.predictor.state_dict() for run in (first, second)]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_cross_validation_judges_the_pruned_model(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    for amount in (0, 0.5):
        asked = ["train", whole / "pump.toml", "--cv", 2, "--json", *SHORT, "--set", f"prune.amount={amount}"]
        assert edge(monkeypatch, *asked, "--set", "train.epochs=6") == 0
        report = json.loads(capsys.readouterr().out)
        figures.append(report["questions"]["seen from mid-life on"]["models"][report["model"]]["value"])
    assert figures[0] != figures[1]


def test_histories_that_changed_since_the_fit_are_refused(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (whole / "history.csv").read_text()
    (tmp_path / "history.csv").write_text(text.replace("p3,", "q3,"))
    asked = ["prune", whole / "whole", "--amount", 0.5, "-o", tmp_path / "half"]
    assert edge(monkeypatch, *asked, "--set", f'data.path="{tmp_path}/history.csv"') == 3
    assert "its held-out machines might teach" in capsys.readouterr().err
    assert edge(monkeypatch, *asked, "--set", "train.seed=4") == 3
    assert not (tmp_path / "half").exists()


def test_a_run_of_old_is_pruned_like_any_other(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old"
    shutil.copytree(whole / "whole", old)
    state = torch.load(old / MODEL, weights_only=True)
    del state["scaler.pace"]
    torch.save(state, old / MODEL)
    for name in (HELDOUT, CALIBRATION):
        with np.load(old / name) as file:
            kept = {key: file[key] for key in file if key not in ("end", "label", "labelled")}
        np.savez_compressed(old / name, **kept)
    parts = prepare(load_project(whole / "pump.toml"))
    report = json.loads((old / REPORT).read_text())
    report["histories"] = first_sum([*parts.train, *parts.validation, *parts.test])
    (old / REPORT).write_text(json.dumps(report))
    asked = ["--amount", 0.5, *SHORT, "--steps", 1, "--set", f'data.path="{whole}/history.csv"']
    assert edge(monkeypatch, "prune", old, "-o", tmp_path / "half", *asked) == 0
    assert load_run(tmp_path / "half").report["pruned"]["after"]["width"] == 4


def first_sum(histories: list[History]) -> str:
    """The sum of histories when all they had were these facts, in this order."""
    first = ("machine", "life", "ts", "x", "failed", "left", "anomalous", "mask")
    assert [fact.name for fact in fields(History) if fact.name in first] == list(first)
    digest = hashlib.sha256()
    for history in histories:
        for name in first:
            value = getattr(history, name)
            array = isinstance(value, np.ndarray)
            digest.update(json.dumps([name, list(value.shape) if array else value]).encode())
            digest.update(np.ascontiguousarray(value).tobytes() if array else b"")
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["whole", "--amount", "0.01", "-o", "x"], 2, "= 8 is no unit; ask for more"),
        (["whole", "--amount", "1.5", "-o", "x"], 2, "is not in the range 0<x<1"),
        (["whole", "-o", "x"], 2, "Missing option '--amount'"),
        (["nowhere", "--amount", "0.5", "-o", "x"], 3, "there is no run folder `nowhere`"),
        (["whole", "--amount", "0.5", "-o", "history.csv"], 3, "exists and is no run folder"),
        (["whole", "--amount", "0.5", "-o", "x", "--set", "prune.step=2"], 2, "did you mean `steps`"),
        (["whole", "--amount", "0.5", "-o", "x", "--set", "data.path=gone.csv"], 3, "no file matches `data.path`"),
    ],
)
def test_what_cannot_be_pruned_ends_in_one_clear_line(
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(whole)
    assert edge(monkeypatch, "prune", *arguments) == status
    told = capsys.readouterr()
    assert says in told.err and "Traceback" not in told.err and told.out == "" and not (whole / "x").exists()


def test_a_run_is_never_pruned_onto_itself(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "whole" / MODEL).read_bytes()
    assert edge(monkeypatch, "prune", whole / "whole", "--amount", 0.5, "-o", f"{whole}/whole/", *SHORT) == 2
    assert "would be lost; choose another" in capsys.readouterr().err
    assert (whole / "whole" / MODEL).read_bytes() == before
