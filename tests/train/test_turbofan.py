"""Claims about the examples, and about NASA's turbofan files where they lie at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge.spec import Project, load_project
from train.build import build_predictor, build_task
from train.data.gather import check_apart, gather, gather_test
from train.data.scale import Scaler

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("EDGE_DATA", ROOT / ".." / "shared" / "data")) / "cmapss"


@pytest.fixture
def turbofan() -> Project:
    if not (DATA / "train_FD001.txt").is_file():
        pytest.skip(f"C-MAPSS is not here: no {DATA / 'train_FD001.txt'}; export EDGE_DATA=… to check this claim")
    return load_project(
        ROOT / "examples" / "turbofan.toml", [f"data.{k}={DATA / f}_FD001.txt" for k, f in FILES.items()]
    )


FILES = {"path": "train", "test": "test"}


@pytest.mark.parametrize("name", ["turbofan", "pump"])
def test_an_example_describes_a_model_that_can_be_built(name: str) -> None:
    project = load_project(ROOT / "examples" / f"{name}.toml")
    columns = [project.channels.index(c) for c in project.regime.columns]
    scaler = Scaler(len(project.channels), columns, project.regime.count if columns else 0)
    assert build_predictor(project, scaler).family.inputs == len(project.channels)


def test_training_engines_run_to_failure_and_test_engines_know_what_was_left(turbofan: Project) -> None:
    training, test = gather(turbofan), gather_test(turbofan)
    assert test is not None and training.notes == test.notes == []
    assert len(training.histories) == len(test.histories) == 100
    assert all(h.failed and h.left == 0 for h in training.histories)
    assert not any(h.failed for h in test.histories)
    assert [h.left for h in test.histories[:3]] == [112.0, 98.0, 69.0]
    check_apart(training.histories, test.histories)


def test_a_perfect_capped_model_is_no_perfect_raw_one(turbofan: Project) -> None:
    test = gather_test(turbofan)
    assert test is not None
    task = build_task(turbofan)
    left = np.array([[h.left] for h in test.histories], np.float32)
    raw = next(m for m in task.measures if m.key == "raw")
    assert raw.figure(test.histories, list(np.minimum(left, 125)[:, None]), list(left[:, None])) == pytest.approx(
        3.74, abs=0.01
    )
    assert (
        task.error(test.histories, [np.minimum(t, 125) for h in test.histories if (t := task.truth(h)) is not None])
        == 0
    )
