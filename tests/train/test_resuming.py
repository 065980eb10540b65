"""Claims about trainings that were interrupted: they go on where they were, bit for bit, or say why not."""

from __future__ import annotations

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
from tests.support.pumps import write_pumps
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


def train(folder: Path, run: str, *options: str) -> subprocess.Popen[str]:
    command = [*EDGE, "train", "pump.toml", "-o", f"runs/{run}", *PRUNED, *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and talk."""
    _, talk = process.communicate(timeout=120)
    return process.returncode, talk


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.01)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "model.pt", weights_only=True)
    return state


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "runs").iterdir())


@pytest.mark.parametrize("folder", ["gru"], indirect=True)
def test_a_killed_training_goes_on_and_ends_with_the_very_weights_of_one_that_was_not(folder: Path) -> None:
    whole = train(folder, "whole")
    mark = folder / "runs" / ".cut.resume"
    cut = train(folder, "cut")
    wait_for(mark, cut)
    cut.send_signal(signal.SIGKILL)
    assert ended(cut)[0] == -signal.SIGKILL and left(folder)[0] == ".cut.resume"
    before = mark.stat().st_mtime_ns
    again = train(folder, "cut")
    while mark.exists() and mark.stat().st_mtime_ns == before and again.poll() is None:
        time.sleep(0.01)
    again.send_signal(signal.SIGINT)
    status, talk = ended(again)
    assert "resuming `runs/cut`, interrupted behind epoch" in talk and "--fresh starts anew" in talk
    if status:  # it may have been faster than the signal
        assert status == 130 and "the same command goes on from there" in talk
        assert ended(train(folder, "cut"))[0] == 0
    assert ended(whole)[0] == 0
    first, second = weights(folder / "runs" / "whole"), weights(folder / "runs" / "cut")
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert left(folder) == ["cut", "whole"]


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

    asked = (parts.train, parts.validation)
    return prune(fit(project, *asked, told=told, checkpoint=checkpoint), *asked, told=told, checkpoint=checkpoint)


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
    ("content", "options", "says"),
    [
        (b"no checkpoint", (), "interrupted under another project, other histories or another version; starting anew"),
        (b"no checkpoint", ("--fresh",), ""),
    ],
)
def test_a_checkpoint_of_something_else_is_told_of_and_replaced(
    folder: Path, content: bytes, options: tuple[str, ...], says: str
) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / ".a.resume").write_bytes(content)
    status, talk = ended(train(folder, "a", "--set", "train.epochs=2", "--set", "prune.amount=0", *options))
    assert status == 0 and says in talk and left(folder) == ["a"] and ("anew" in talk) == bool(says)


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
