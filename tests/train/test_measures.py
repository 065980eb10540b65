"""Claims about the figures that are no means over readings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from edge.spec import AlarmSpec
from train.tasks.alarms import raisings, standing
from train.tasks.measure import average_precision, mean_of_ratios, middle, ratio, root_mean, total


def value(pool, rows) -> float:  # type: ignore[no-untyped-def]
    sums, over = pool([np.asarray(row, np.float64) for row in rows])
    return float(over(sums.sum(0)))


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=3, max_size=60))
def test_average_precision_is_the_librarys(pairs: list[tuple[int, bool]]) -> None:
    rows = np.array([[score / 20, label] for score, label in pairs], np.float64)
    if not rows[:, 1].any():
        assert np.isnan(value(average_precision, [rows]))
        return
    want = average_precision_score(rows[:, 1], rows[:, 0])
    assert value(average_precision, [rows[:2], rows[2:]]) == pytest.approx(want, abs=0.02)


def test_average_precision_of_many_scores_is_the_librarys() -> None:
    rng = np.random.default_rng(0)
    label = rng.random(20_000) < 0.05
    score = rng.normal(size=20_000) + 2 * label
    rows = np.stack([score, label], 1)
    assert value(average_precision, [rows]) == pytest.approx(average_precision_score(label, score), abs=0.01)


def test_the_median_is_over_all_values_whichever_machine_they_came_from() -> None:
    rows = [[[3.0]], np.zeros((0, 1)), [[9.0], [1.0]]]
    sums, over = middle([np.asarray(row, np.float64).reshape(-1, 1) for row in rows])
    assert float(over(sums.sum(0))) == 3.0 and float(over(sums[2])) == 1.0 and np.isnan(over(sums[1]))


def test_pools_say_nothing_of_nothing() -> None:
    assert np.isnan(value(ratio, [[[0.0, 0.0]]])) and np.isnan(value(middle, [np.zeros((0, 1))]))
    assert value(mean_of_ratios, [[[1.0, 4.0, 0.0, 0.0]]]) == 0.25


def test_sums_and_roots_of_means() -> None:
    rows = [[[1.0], [4.0]], [[4.0]]]
    assert value(root_mean, rows) == pytest.approx(3**0.5) and value(total, rows) == 9.0


def test_an_alarm_stands_only_at_warm_readings_and_with_its_hysteresis() -> None:
    alarm = AlarmSpec(raise_above=0.5, clear_below=0.3, hold_readings=2)
    values = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4, 0.2, 0.2, 0.9])
    raised = standing(values, alarm, 2)
    assert raised.tolist() == [False, False, True, True, True, True, True, False, False]
    assert raisings(raised).tolist() == [2] and raisings(np.array([True, True, False, True])).tolist() == [0, 3]
