"""Claims about the simulated fleet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ProjectError
from edge.readers.csv_text import CsvReader
from edge.spec import load_project
from train.data.simulate import LOADS, PERIOD_S, SENSORS, Fleet, csv_text, project_text, simulate, write_histories


def test_same_seed_same_fleet() -> None:
    assert csv_text(simulate(Fleet(machines=3, seed=7))) == csv_text(simulate(Fleet(machines=3, seed=7)))


def test_other_seed_other_fleet() -> None:
    assert csv_text(simulate(Fleet(machines=3, seed=7))) != csv_text(simulate(Fleet(machines=3, seed=8)))


def test_a_larger_fleet_begins_with_the_smaller_one() -> None:
    assert csv_text(simulate(Fleet(machines=8, censored=0))[:3]) == csv_text(simulate(Fleet(machines=3, censored=0)))


def test_every_whole_life_ends_in_the_failure() -> None:
    for life in simulate(Fleet(machines=20, censored=0)):
        assert life.failed and life.left == 0
        assert life.wear[-1] == 1.0 and life.wear[-2] < 1.0
        assert np.all(np.diff(life.wear) > 0)
        assert np.allclose(np.diff(life.ts), PERIOD_S)


def test_the_censored_share_is_kept_and_says_what_it_hides() -> None:
    whole = simulate(Fleet(machines=20, censored=0))
    cut = simulate(Fleet(machines=20, censored=0.25))
    assert sum(not life.failed for life in cut) == 5
    for long, short in zip(whole, cut, strict=True):
        assert len(short) + short.left == len(long)
        np.testing.assert_array_equal(short.values, long.values[: len(short)])


def test_load_moves_a_sensor_more_than_wear_does_early_in_life() -> None:
    flow = list(SENSORS).index("flow")
    young = [(life.load[:30], life.values[:30, flow]) for life in simulate(Fleet(machines=20))]
    load, shown = (np.concatenate(parts) for parts in zip(*young, strict=True))
    means = [np.nanmedian(shown[load == setting]) for setting in LOADS]
    assert np.all(np.diff(means) > 10)


def test_wear_shows_at_constant_load() -> None:
    vibration = list(SENSORS).index("vibration_rms")
    lives = simulate(Fleet(machines=20, censored=0))
    young = np.nanmedian([np.nanmedian(life.values[:20, vibration]) for life in lives])
    old = np.nanmedian([np.nanmedian(life.values[-5:, vibration]) for life in lives])
    assert old > 1.5 * young


def test_some_values_are_missing_and_some_are_absurd() -> None:
    values = np.concatenate([life.values for life in simulate(Fleet(machines=40))])
    assert 0.005 < np.isnan(values).mean() < 0.05
    limits = np.array([sensor.high for sensor in SENSORS.values()])
    assert 0 < (values > limits).sum() < 0.005 * values.size


def test_wear_and_sensors_are_finite_where_nothing_is_lost() -> None:
    for life in simulate(Fleet(machines=10, lost=0, silent=0)):
        assert np.isfinite(life.values).all()


def test_the_project_file_reads_the_histories_it_was_written_for(tmp_path: Path) -> None:
    lives = simulate(Fleet(machines=3, censored=0.34))
    paths = write_histories(tmp_path / "history", lives)
    (tmp_path / "project.toml").write_text(project_text(), encoding="utf-8")
    project = load_project(tmp_path / "project.toml")
    assert list(project.signals) == list(SENSORS)
    assert project.channels[-1] == "load_setting"
    for path, life in zip(paths, lives, strict=True):
        records = list(CsvReader().records(path, project.data, project.channels))
        assert [r.ts for r in records] == list(life.ts)
        assert [r.failed for r in records] == [False] * (len(life) - 1) + [life.failed]
        shown = np.array([r.values for r in records])
        np.testing.assert_allclose(shown[:, :-1], life.values, atol=6e-4)
        np.testing.assert_array_equal(shown[:, -1], life.load)


def test_the_project_file_can_hold_machines_back_itself(tmp_path: Path) -> None:
    (tmp_path / "project.toml").write_text(project_text(test=None), encoding="utf-8")
    assert load_project(tmp_path / "project.toml").data.test is None


@pytest.mark.parametrize("wrong", [{"machines": 0}, {"censored": 1.5}, {"lost": -0.1}])
def test_an_impossible_fleet_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ProjectError, match=next(iter(wrong)).rstrip("s")):
        Fleet(**wrong)  # type: ignore[arg-type]
