"""Claims about remaining useful life: labels, loss, units, and what is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError, ProjectError
from edge.spec import parse_project
from train.build import build_task
from train.data.batches import Batch
from train.data.history import History
from train.tasks.rul import RemainingUsefulLife


def task(alarm: dict[str, Any] | None = None, period: float = 1.0, **options: Any) -> RemainingUsefulLife:
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}}, "timing": {"period_s": period}}
    made = build_task(parse_project({**table, "task": {"kind": "rul", "cap": 10, **options}, "alarm": alarm or {}}))
    assert isinstance(made, RemainingUsefulLife)
    return made


def life(length: int, failed: bool = True, left: float | None = 0.0, machine: str = "m") -> History:
    return History(machine, 0, np.arange(length, dtype=float), np.zeros((length, 1), np.float32), failed, left)


def loss(of: RemainingUsefulLife, history: History, raw: list[float]) -> float:
    labels = of.labels(history)
    parts = (torch.from_numpy(t)[None] for t in (labels.value, labels.weight, labels.censored))
    return float(of.loss(torch.tensor(raw)[None, :, None], Batch(torch.zeros(1, len(raw), 1), *parts)))


def test_labels_of_a_failed_life_count_down_from_the_cap() -> None:
    labels = task().labels(life(13))
    assert labels.value[:, 0].tolist() == [10, 10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert labels.weight.all()


def test_a_stretch_of_a_failed_life_teaches_what_was_left_of_the_whole() -> None:
    whole, stretch = task().labels(life(13)), task().labels(life(13).window(2, 9))
    for of_life, of_stretch in zip(*([vars(labels).values() for labels in (whole, stretch)]), strict=True):
        np.testing.assert_array_equal(of_life[2:9], of_stretch)


def test_counted_in_time_what_was_not_recorded_counts_too() -> None:
    ts = np.array([0.0, 2.0, 8.0, 14.0, 16.0])
    whole = replace(life(5), ts=ts, end=16.0)
    of = task(count="time", period=2.0)
    assert of.labels(whole).value[:, 0].tolist() == [8, 7, 4, 1, 0] == of.truth(whole)[:, 0].tolist()  # type: ignore[index]
    assert task().labels(whole).value[:, 0].tolist() == [4, 3, 2, 1, 0]
    stretch = whole.window(1, 3)
    assert of.labels(stretch).value[:, 0].tolist() == [7, 4] and not stretch.failed
    cut = replace(life(5, failed=False, left=3.0), ts=ts)
    assert of.labels(cut).value[:, 0].tolist() == [10, 10, 7, 4, 3], "a reading left is a period where nobody knows"
    bound = of.labels(replace(life(5, failed=False, left=None), ts=ts))
    assert bound.value[:, 0].tolist() == [8, 7, 4, 1, 0] and bound.censored.all()


def test_what_is_counted_is_readings_or_time() -> None:
    with pytest.raises(ProjectError, match=r"`task\.count` must be readings or time, not 'cycles'"):
        task(count="cycles")


def test_a_censored_life_teaches_a_lower_bound_only() -> None:
    of, history = task(), life(5, failed=False, left=None)
    bounds = of.labels(history)
    assert bounds.value[:, 0].tolist() == [4, 3, 2, 1, 0] and bounds.censored.all()
    assert loss(of, history, [1.0] * 5) == 0.0
    assert loss(of, history, [0.4, 0.3, 0.2, 0.1, -1.0]) == pytest.approx(0.0, abs=1e-12)
    assert loss(of, history, [0.2, 0.3, 0.2, 0.1, 0.0]) == pytest.approx(0.2**2 / 4)


def test_above_the_cap_nothing_is_wrong_below_it_everything_counts() -> None:
    of = task()
    assert loss(of, life(13), [1.5] * 3 + [i / 10 for i in range(9, -1, -1)]) == pytest.approx(0.0, abs=1e-12)
    assert loss(of, life(2), [0.5, 0.0]) == pytest.approx((0.5 - 0.1) ** 2 / 2)


def test_weight_zero_is_not_seen() -> None:
    of = task()
    value, weight = torch.zeros(1, 3, 1), torch.tensor([[[1.0], [0.0], [0.0]]])
    censored = torch.zeros(1, 3, dtype=torch.bool)
    batch = Batch(torch.zeros(1, 3, 1), value, weight, censored)
    assert float(of.loss(torch.tensor([[[0.5], [9.0], [-9.0]]]), batch)) == pytest.approx(0.25)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_units_stay_between_zero_and_the_cap(raw: list[float]) -> None:
    y = task().units(torch.tensor(raw))
    assert ((y >= 0) & (y <= 10)).all()
    np.testing.assert_allclose(y, np.clip(np.asarray(raw) * 10, 0, 10), atol=1e-4)


def test_a_record_cut_before_the_failure_is_judged_at_its_end() -> None:
    of, history = task(), life(20, failed=False, left=4.0)
    assert of.judged(history) == [19]
    predicted = np.full((20, 1), 7.0, np.float32)
    assert of.error([history], [predicted]) == pytest.approx(3.0)


def test_a_life_that_failed_is_judged_at_cut_offs_that_never_change() -> None:
    of, history = task(), life(40)
    assert of.judged(history) == of.judged(life(40)) != of.judged(life(40, machine="other"))
    assert len(set(of.judged(history))) > 3 and min(of.judged(history)) >= 10 and max(of.judged(history)) < 40
    truth = of.truth(history)
    assert truth is not None
    assert of.error([history], [np.minimum(truth, 10)]) == 0.0


def test_nobody_knows_the_truth_of_a_censored_life() -> None:
    of, history = task(), life(20, failed=False, left=None)
    assert of.judged(history) == [] and of.truth(history) is None
    with pytest.raises(DataError, match=r"truth of no held-out history.*records longer than the furthest horizon"):
        of.error([history], [np.zeros((20, 1), np.float32)])


def test_a_cut_window_of_a_life_still_knows_its_truth() -> None:
    window = life(20).window(3, 11)
    truth = task().truth(window)
    assert not window.failed and truth is not None and truth[:, 0].tolist() == list(range(16, 8, -1))
    assert life(20).window(5, 20).failed and replace(window, left=None).left is None


def test_the_nasa_score_punishes_being_late_more() -> None:
    score = next(m for m in task(cap=125).measures if m.key == "score")
    early, late = (float(score.take(life(1), np.array([[50.0 + d]]), np.array([[50.0]]))[0, 0]) for d in (-13.0, 10.0))
    assert early == pytest.approx(np.e - 1) and late == pytest.approx(np.e - 1)


def test_a_scaled_nasa_score_says_so() -> None:
    names = [next(m.name for m in task(cap=cap).measures if m.key == "score") for cap in (125, 60)]
    assert names == ["NASA score", "NASA score, scaled to cap 60"]


def test_the_nasa_score_stays_finite_whatever_a_life_is_counted_in() -> None:
    score = next(m for m in task(cap=1e6).measures if m.key == "score")
    assert np.isfinite(score.take(life(1), np.array([[1e6]]), np.array([[0.0]]))).all()


@pytest.mark.parametrize(
    ("alarm", "says"),
    [
        ({"raise_above": 3.0}, "knows no `alarm.raise_above`; did you mean `raise_below`"),
        ({"clear_below": 3.0}, "knows no `alarm.clear_below`"),
        ({"raise_below": 30.0}, r"`alarm.raise_below` is 30.*task\.cap = 10"),
    ],
)
def test_an_alarm_it_cannot_raise_is_refused(alarm: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        task(alarm)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"capp": 3}, "unknown key `task.capp`; did you mean `cap`"),
        ({"cap": 0}, r"`task\.cap` must be above 0"),
        ({"cap": "much"}, "`task.cap` must be a number"),
    ],
)
def test_an_option_it_does_not_know_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        task(**options)
