"""From a simulated fleet to an explanation, once a family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.explain.explanation import Explanation, explain
from tests.support.roads import Road
from train.data.simulate import LOADS, Fleet, Life, csv_text, simulate

LAST = 80


@pytest.fixture(scope="module")
def life() -> Life:
    """A machine that the models never saw, without lost values."""
    return simulate(Fleet(machines=1, seed=9, censored=0, lost=0, silent=0, absurd=0, first=900))[0]


def told(road: Road, life: Life, path: Path) -> Explanation:
    """The explanation of its prediction at reading LAST."""
    path.write_text(csv_text([life]))
    return explain(road.bundle, [str(path)], at=str(LAST))


def test_an_explanation_adds_up_and_says_when_it_does_not(road: Road, life: Life, tmp_path: Path) -> None:
    found = told(road, life, tmp_path / "plain.csv")
    moved = found.prediction - found.baseline
    parts = sum(sensor.contribution for sensor in found.sensors)
    span = road.bundle.manifest.outputs[0].span
    assert parts + found.earlier + found.unexplained == pytest.approx(moved, abs=1e-4 * span)
    assert abs(found.unexplained) <= 0.01 * max(abs(moved), 0.01 * span)
    assert found.held == ["load_setting"]


def test_healthy_is_known_at_each_load_and_is_not_the_end_of_a_life(road: Road) -> None:
    manifest = road.bundle.manifest
    vibration, load = (manifest.project.channels.index(name) for name in ("vibration_rms", "load_setting"))
    rows = {round(row.values[load]): row.values[vibration] for row in manifest.healthy}
    assert sorted(rows) == [int(one) for one in LOADS]
    for one, mean in rows.items():
        ends = [h.x[-20:][h.x[-20:, load] == one, vibration] for h in road.run.calibration if h.failed]
        assert mean < np.nanmean(np.concatenate(ends))
