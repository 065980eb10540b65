"""Claims about failure within a horizon: labels, calibration, and what its alarm would have done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from edge.errors import DataError, ProjectError
from edge.spec import Project, parse_project
from train.build import build_task
from train.data.batches import Batch
from train.data.history import History
from train.data.split import Split
from train.evaluate import judge
from train.fit import fit
from train.infer import predict
from train.logistic import logistic
from train.tasks.failure import Calibrated, Failure


def project(alarm: dict[str, Any] | None = None, **options: Any) -> Project:
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x"},
            "signals": {"a": {}, "b": {}},
            "task": {"kind": "failure", "horizon": 5, **options},
            "model": {"hidden": 6},
            "train": {"epochs": 12, "learning_rate": 0.02},
            "alarm": alarm or {},
        }
    )


def task(alarm: dict[str, Any] | None = None, **options: Any) -> Failure:
    made = build_task(project(alarm, **options))
    assert isinstance(made, Failure)
    return made


def life(length: int, left: float | None = 0.0, machine: str = "m") -> History:
    ts = np.arange(length, dtype=float)
    return History(machine, 0, ts, np.zeros((length, 2), np.float32), left == 0.0, left)


def fleet(count: int, seed: int = 0, censored: bool = False) -> list[History]:
    """Lives whose first signal rises over the last 15 readings."""
    rng = np.random.default_rng(seed)
    made = []
    for m in range(count):
        steps = int(rng.integers(50, 90))
        rise = np.clip(15 - np.arange(steps)[::-1], 0, None) / 5
        x = np.stack([rise + rng.normal(size=steps) * 0.3, rng.normal(size=steps)], 1).astype(np.float32)
        history = History(f"m{seed}-{m}", 0, np.arange(steps, dtype=float), x, True, 0.0)
        made.append(replace(history.window(0, steps - 12), left=None) if censored else history)
    return made


def test_the_last_readings_of_a_failed_life_are_positive() -> None:
    labels = task().labels(life(10))
    assert labels.value[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1] and labels.weight.all()


def test_a_censored_life_says_no_until_its_end_is_within_the_horizon() -> None:
    labels = task().labels(life(8, None))
    assert not labels.value.any() and labels.weight[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_a_record_cut_before_a_known_failure_counts_to_the_failure() -> None:
    labels = task().labels(life(4, 3.0))
    assert labels.value[:, 0].tolist() == [0, 1, 1, 1] and labels.weight.all()


def test_a_horizon_in_time_is_no_longer_where_readings_are_missing() -> None:
    ts = np.array([0.0, 1.0, 2.0, 9.0, 17.0, 18.0])
    of = task(count="time", horizon=10)
    assert of.labels(replace(life(6), ts=ts, end=18.0)).value[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert of.labels(replace(life(6, None), ts=ts)).weight[:, 0].tolist() == [1, 1, 1, 0, 0, 0]


def test_what_nobody_knows_is_neither_taught_nor_judged() -> None:
    of, history = task(), life(8, None)
    truth = of.truth(history)
    assert truth is not None and np.isnan(truth[:, 0]).tolist() == [False] * 3 + [True] * 5
    assert max(of.judged(history)) < 3 and of.truth(life(4, None)) is None and of.judged(life(4, None)) == []
    labels = of.labels(history)
    parts = [torch.from_numpy(t)[None] for t in (labels.value, labels.weight, labels.censored)]
    raw = torch.full((1, 8, 1), -20.0)
    raw[0, 3:] = 20.0
    assert float(of.loss(raw, Batch(torch.zeros(1, 8, 2), *parts))) == pytest.approx(0.0, abs=1e-6)


def test_an_even_chance_raises_the_alarm_where_no_level_is_given() -> None:
    assert task().alarm.raise_above == 0.5 and task({"raise_above": 0.2}).alarm.raise_above == 0.2
    assert task().settled(project()).alarm.raise_above == 0.5


@pytest.mark.parametrize(
    ("alarm", "says"),
    [
        ({"raise_below": 0.3}, "knows no `alarm.raise_below`; did you mean `raise_above`"),
        ({"raise_above": 30.0}, r"`alarm.raise_above` is 30, but predictions go from 0 to 1"),
        ({"clear_below": 0.3}, r"`alarm.clear_below` needs `alarm.raise_above`"),
    ],
)
def test_an_alarm_it_cannot_raise_is_refused(alarm: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        task(alarm)


def test_a_horizon_of_nothing_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"`task\.horizon` must be at least 1 reading"):
        task(horizon=0)


def test_leads_warnings_and_false_alarms_are_those_of_the_alarm() -> None:
    of = task({"raise_above": 0.5, "clear_below": 0.3})
    warned, blind = life(100), life(100, machine="blind")
    values = np.full((100, 1), 0.1, np.float32)
    values[20:22], values[90:] = 0.9, 0.8
    silent = np.full((100, 1), 0.1, np.float32)
    found = judge(
        of, [warned, blind], lambda hs: [values[: len(h)] if h.machine == "m" else silent[: len(h)] for h in hs]
    )
    assert found.figures["warned"].value == 0.5 and found.figures["lead"].value == 9.0
    months = 2 * 100 / (365.25 / 12 * 86400)
    assert found.figures["false_alarms"].value == pytest.approx(2 / months)  # one long before, one 9 readings before


def test_the_median_of_no_warning_at_all_is_nothing() -> None:
    found = judge(task(), [life(60)], lambda hs: [np.zeros((len(h), 1), np.float32) for h in hs])
    assert found.figures["lead"].plain()["value"] is None and found.figures["warned"].value == 0.0


def test_it_learns_and_its_probabilities_are_right_on_average() -> None:
    of = project()
    fitted = fit(of, fleet(20) + fleet(6, 3, censored=True), fleet(8, 1), seed=1)
    tail = fitted.predictor.tail
    assert isinstance(tail, Calibrated) and float(tail.slope) != 1.0
    unseen = fleet(20, 2)
    found = judge(fitted.predictor.task, unseen, lambda h: predict(fitted.predictor, h))
    assert found.figures["precision"].value > 0.8 and 0.7 < found.figures["rate"].value < 1.4
    nothing = judge(fitted.predictor.task, unseen, lambda hs: [np.full((len(h), 1), 0.08, np.float32) for h in hs])
    assert found.figures["every"].value < 0.6 * nothing.figures["every"].value


def test_the_logistic_baseline_learns_too() -> None:
    parts = Split(fleet(12) + fleet(4, 3, censored=True), fleet(5, 1), [])
    of = task()
    found = judge(of, fleet(10, 2), logistic(project(), of, parts))
    assert found.figures["precision"].value > 0.7


def test_without_any_failure_it_says_so_and_names_the_task_to_take() -> None:
    with pytest.raises(DataError, match=r'task\.kind = "anomaly"'):
        fit(project(), fleet(4, censored=True), fleet(2, 1, censored=True))


def test_a_horizon_beyond_every_life_is_refused_before_anything_is_fitted() -> None:
    epochs = []
    with pytest.raises(DataError, match=r"`task\.horizon` = 500 cycles reaches over every training history"):
        fit(project(horizon=500, unit="cycles"), fleet(4), fleet(2, seed=1), told=lambda done, _: epochs.append(done))
    assert not epochs
