"""Claims about figures, intervals, baselines and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.spec import Project, parse_project
from train.baselines import (
    LIFE_WINDOWS,
    RECENT,
    WINDOW,
    constant,
    life_ridge,
    life_statistics,
    ridge,
    window_statistics,
)
from train.build import build_predictor, build_task
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Cut, Split
from train.evaluate import Figure, ask, judge, tally
from train.report import verdict
from train.tasks.base import Array, Predict
from train.tasks.measure import Measure, cost, root_mean

MEASURE = Measure("e", "RMSE", "cycles", cost(lambda p, t: (p[:, 0] - t[:, 0]) ** 2), root_mean)


def project() -> Project:
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}, "b": {}}}
    return parse_project({**table, "task": {"kind": "rul", "cap": 50}})


def fleet(count: int, left: float | None, seed: int = 0, low: int = 60) -> list[History]:
    rng = np.random.default_rng(seed)
    made = []
    for m in range(count):
        steps = int(rng.integers(low, low + 60))
        x = np.stack([np.arange(steps)[::-1] + rng.normal(size=steps), rng.normal(size=steps)], 1).astype(np.float32)
        made.append(History(f"m{seed}-{m}", 0, np.arange(steps, dtype=float), x, left == 0, left))
    return made


def counting(histories: Sequence[History]) -> list[Array]:
    """A "model" that predicts how many readings it has seen."""
    return [np.arange(1, len(h) + 1, dtype=np.float32)[:, None] for h in histories]


def figure(errors: Sequence[float]) -> Figure:
    names = tuple(f"m{i}" for i in range(len(errors)))
    sums, over = root_mean([np.array([[float(error) ** 2]]) for error in errors])
    return Figure(MEASURE, names, sums, over)


def test_only_the_last_readings_are_seen_where_the_table_says_so() -> None:
    judged = judge(build_task(project()), fleet(4, left=10.0, low=120), counting)
    assert [judged.by_history[s].value for s in ("30", "50", "100")] == [20.0, 40.0, 90.0]
    assert judged.by_history["all"] is judged.headline


def test_what_is_asked_is_answered_from_the_start_that_was_asked() -> None:
    histories = fleet(2, left=0.0)
    answers = ask(counting, histories, [Cut(0, 0, 5), Cut(1, 3, 9), Cut(0, 4, 20), Cut(0, 4, 6)])
    assert [float(a[0, 0]) for a in answers] == [5, 6, 16, 2]


def test_histories_without_a_known_truth_judge_nothing() -> None:
    histories = fleet(3, left=10.0) + fleet(2, left=None, seed=1)
    judged = judge(build_task(project()), histories, counting)
    assert all(len(f.machines) == 3 for f in judged.figures.values())


def test_machines_not_rows_are_drawn_for_an_interval() -> None:
    histories = fleet(2, left=0.0)
    truths = [np.zeros((50, 1), np.float32), np.zeros((50, 1), np.float32)]
    predicted = [np.full((50, 1), 1, np.float32), np.full((50, 1), 5, np.float32)]
    found = tally(MEASURE, histories, predicted, truths)
    assert found.value == pytest.approx(np.sqrt(13))
    assert found.interval == (1.0, 5.0)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_the_interval_holds_the_value(errors: list[float]) -> None:
    low, high = figure(errors).interval
    assert low <= high and min(errors) <= low + 1e-9 and high <= max(errors) + 1e-9


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    errors = np.random.default_rng(0).exponential(10, 60)
    worse, better = figure(list(errors + 1)), figure(list(errors))
    gap, low, high = worse.less(better)
    assert gap > 0 and low > 0
    assert high - low < 0.5 * (better.interval[1] - better.interval[0])


def test_the_verdict_says_when_the_baseline_wins_and_when_nothing_is_proved() -> None:
    noise = np.random.default_rng(1).exponential(5, 40)
    good, bad = figure(list(noise)), figure(list(noise + 3))
    close = figure(list(noise[::-1] * 0.999))
    assert verdict({"gru": bad, "ridge": good}).startswith("The baseline wins: ridge is")
    assert verdict({"gru": good, "ridge": bad, "constant": bad}).startswith("gru beats the best baseline, ridge, by")
    assert "not proved: the interval holds zero" in verdict({"gru": close, "ridge": good})
    assert "though the interval holds zero" in verdict({"gru": good, "ridge": close})


def test_one_machine_proves_nothing() -> None:
    assert "one machine proves nothing (no interval)" in verdict({"gru": figure([1.0]), "ridge": figure([2.0])})
    assert "one machine proves nothing" in verdict({"gru": figure([2.0]), "ridge": figure([1.0])})


def changed(histories: Sequence[History]) -> list[History]:
    """The same lives with other readings."""
    return [replace(h, x=h.x[::-1] * 7 + 3) for h in histories]


def test_machines_held_out_teach_neither_the_scaler_nor_the_constant() -> None:
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}, "b": {}}}
    regimes = parse_project({**table, "task": {"kind": "rul"}, "regime": {"columns": ["b"], "count": 3}})
    parts = Split(fleet(6, 0.0), fleet(3, 0.0, seed=1), fleet(3, 0.0, seed=2))
    other = Split(parts.train, changed(parts.validation)[:2], changed(parts.test)[:1])
    for of in (project(), regimes):
        task, unseen = build_task(of), fleet(2, 0.0, seed=3)
        predictors = [build_predictor(of, Scaler.fit(p.train, of)) for p in (parts, other)]
        first, second = (p.scaler.state_dict() for p in predictors)
        assert all(torch.equal(first[name], second[name]) for name in first)
        for a, b in zip(constant(of, task, parts)(unseen), constant(of, task, other)(unseen), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("fitted_by", [ridge, life_ridge])
def test_test_machines_teach_no_ridge_and_validation_machines_do(fitted_by: Callable[..., Predict]) -> None:
    parts = Split(fleet(6, 0.0), fleet(3, 0.0, seed=1), fleet(3, 0.0, seed=2))
    others = [replace(parts, test=changed(parts.test)[:1]), replace(parts, validation=changed(parts.validation))]
    task, unseen = build_task(project()), fleet(1, 0.0, seed=3)
    was, tested, validated = (fitted_by(project(), task, p)(unseen)[0] for p in (parts, *others))
    np.testing.assert_array_equal(was, tested)
    assert not np.array_equal(was, validated)


def test_ridges_learn_from_the_stretches_that_lead_to_a_failure() -> None:
    task, whole = build_task(project()), fleet(8, 0.0)
    parts = Split([h.window(0, len(h) - 5) for h in whole], fleet(3, 0.0, seed=1), [])
    errors = [task.error(whole, fitted_by(project(), task, parts)(whole)) for fitted_by in (ridge, constant)]
    assert errors[0] < 0.3 * errors[1]


def test_statistics_never_look_ahead_and_fit_their_definition() -> None:
    history, scaler = fleet(1, left=0.0)[0], Scaler(2)
    for statistics in (window_statistics, life_statistics):
        seen = statistics(history.window(0, 40), scaler)
        np.testing.assert_allclose(seen, statistics(history, scaler)[:40], rtol=1e-9, atol=1e-9)
    found = window_statistics(history, scaler)
    last = history.x[45 - WINDOW + 1 : 46].astype(float)
    slope = np.polyfit(np.arange(WINDOW), last, 1)[0]
    np.testing.assert_allclose(
        found[45], [*last.mean(0), *slope, *last[-RECENT:].mean(0), WINDOW], rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(found[0], [*history.x[0], 0, 0, *history.x[0], 1], atol=1e-6)
    means = np.concatenate([history.x[max(0, 46 - w) : 46].astype(float).mean(0) for w in LIFE_WINDOWS])
    np.testing.assert_allclose(life_statistics(history, scaler)[45], [*means, 46], rtol=1e-6, atol=1e-6)


def test_both_ridges_learn_and_constant_does_not() -> None:
    task = build_task(project())
    parts = Split(fleet(12, 0.0), fleet(4, 0.0, seed=1), fleet(4, 0.0, seed=2))
    errors = {}
    for fitted_by in (ridge, life_ridge, constant):
        predicted = fitted_by(project(), task, parts)(parts.test)
        assert all(p.shape == (len(h), 1) and p.dtype == np.float32 for p, h in zip(predicted, parts.test, strict=True))
        errors[fitted_by.__name__] = task.error(parts.test, predicted)
    assert max(errors["ridge"], errors["life_ridge"]) < 0.3 * errors["constant"]
