"""Claims about trainings that were interrupted: they go on where they were, bit for bit, or say why not."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from edge.errors import DataError
from edge.spec import load_project
from tests.support.pumps import edge, write_pumps
from train import checkpoint as module
from train.checkpoint import Checkpoint, fingerprint
from train.fit import Fitted, fit
from train.pipeline import prepare, resuming
from train.prune import prune

EDGE = [sys.executable, "-P", "-c", "from edge.cli import main; main()"]

PRUNED = ["--set", "prune.amount=0.5"]


@pytest.fixture(params=["gru", "tcn"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    write_pumps(tmp_path, request.param, epochs=40)
    return tmp_path


def asked(folder: Path, run: str, *options: str) -> list[str]:
    """The command that trains."""
    return ["train", str(folder / "pump.toml"), "-o", str(folder / "runs" / run), *PRUNED, *options]


def killed(folder: Path, run: str) -> None:
    """A training killed as soon as it has written anything down."""
    mark = folder / "runs" / f".{run}.resume"
    process = subprocess.Popen([*EDGE, *asked(folder, run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not mark.exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "model.pt", weights_only=True)
    return state


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "runs").iterdir())


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
def test_a_killed_training_goes_on_and_ends_with_the_very_weights_of_one_that_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(folder, "cut")
    assert left(folder) == [".cut.resume"]
    assert edge(monkeypatch, *asked(folder, "cut")) == 0
    talk = capsys.readouterr().err
    assert "runs/cut`, interrupted behind epoch" in talk and "--fresh starts anew" in talk
    assert edge(monkeypatch, *asked(folder, "whole")) == 0
    assert "resuming" not in capsys.readouterr().err
    first, second = weights(folder / "runs" / "whole"), weights(folder / "runs" / "cut")
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert left(folder) == ["cut", "whole"]


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
def test_who_presses_control_c_hears_that_it_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", math.inf)  # on a busy machine, too, only the end of the first course
    project = load_project(folder / "pump.toml")
    parts = prepare(project)
    mark = fingerprint(project, parts.train, parts.validation)
    with pytest.raises(Interrupted):
        course(folder, Checkpoint(folder / ".a.resume", mark), 8)
    with pytest.raises(KeyboardInterrupt), resuming(folder / "a", project, parts, b"", fresh=False):
        raise KeyboardInterrupt
    assert "6 epochs are kept; the same command goes on from there" in capsys.readouterr().err
    assert (folder / ".a.resume").exists()


class Interrupted(Exception):
    """What a test raises in the middle of a course."""


def course(folder: Path, checkpoint: Checkpoint | None, stop: int | None = None) -> Fitted:
    """Fit and prune in this process; stopped behind so many epochs."""
    small = ["train.epochs=6", "prune.amount=0.5", "prune.last_epochs=3", "train.patience=4"]
    project = load_project(folder / "pump.toml", small)
    parts = prepare(project)
    seen = 0

    def told(done: int, error: float) -> None:
        nonlocal seen
        seen += 1
        if seen == stop:
            raise Interrupted

    given = (parts.train, parts.validation)
    return prune(fit(project, *given, told=told, checkpoint=checkpoint), *given, told=told, checkpoint=checkpoint)


@pytest.mark.parametrize("stop", [1, 3, 6, 7, 8, 10])
def test_wherever_it_is_interrupted_the_course_is_the_same(
    folder: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    whole = course(folder, None)
    path = folder / "mark"
    with pytest.raises(Interrupted):
        course(folder, Checkpoint(path, "a"), stop)
    torch.manual_seed(stop)
    again = course(folder, Checkpoint(path, "a"))
    assert [(c.losses, c.errors, c.best_epoch) for c in again.courses] == [
        (c.losses, c.errors, c.best_epoch) for c in whole.courses
    ]
    states = (whole.predictor.state_dict(), again.predictor.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_changed_project_or_history_never_resumes(folder: Path) -> None:
    project = load_project(folder / "pump.toml")
    parts = prepare(project)
    same = fingerprint(project, parts.train, parts.validation)
    assert same == fingerprint(project, parts.train, parts.validation)
    other = load_project(folder / "pump.toml", ["train.learning_rate=0.004"])
    assert fingerprint(other, parts.train, parts.validation) != same
    parts.train[0].x[3, 0] += 1e-3
    assert fingerprint(project, parts.train, parts.validation) != same


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "interrupted under another project, other histories or another version; starting anew"),
        (("--fresh",), ""),
    ],
)
def test_a_checkpoint_of_something_else_is_told_of_and_replaced(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / ".a.resume").write_bytes(b"no checkpoint")
    short = ("--set", "train.epochs=2", "--set", "prune.amount=0")
    assert edge(monkeypatch, *asked(folder, "a", *short, *options)) == 0
    talk = capsys.readouterr().err
    assert says in talk and left(folder) == ["a"] and ("anew" in talk) == bool(says)


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
def test_fresh_starts_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = load_project(folder / "pump.toml")
    parts = prepare(project)
    mark = fingerprint(project, parts.train, parts.validation)
    with pytest.raises(Interrupted):
        course(folder, Checkpoint(folder / ".a.resume", mark), 8)
    with resuming(folder / "a", project, parts, b"", fresh=False) as found:
        assert found.epochs == 6
        os.link(found.path, folder / "kept")
    assert "resuming" in capsys.readouterr().err and not (folder / ".a.resume").exists()
    (folder / "kept").rename(folder / ".a.resume")
    with resuming(folder / "a", project, parts, b"", fresh=True) as found:
        assert found.epochs == 0
    assert "resuming" not in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
def test_a_course_that_diverged_is_not_resumed_into_the_same_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    project = load_project(folder / "pump.toml", ["train.learning_rate=1e38"])
    parts = prepare(project)
    path = folder / "mark"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="diverged"):
        fit(project, parts.train, parts.validation, checkpoint=Checkpoint(path, "a"))
    assert not path.exists()
