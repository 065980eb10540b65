"""Claims about fitting: batches, reproducibility, early stopping, censored lives, hostile options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError, ProjectError
from edge.spec import Project, parse_project
from train.build import build_family, build_task
from train.data.batches import Lesson, cut, epoch, lessons
from train.data.history import History
from train.data.scale import Scaler
from train.evaluate import truth_of
from train.fit import Exam, Fitted, fit
from train.infer import READINGS, grouped, predict


def project(**tables: Any) -> Project:
    table: dict[str, Any] = {
        "project": {"name": "t"},
        "data": {"path": "x"},
        "signals": {"wear": {}, "noise": {}},
        "task": {"kind": "rul", "cap": 20},
        "model": {"family": "gru", "hidden": 8},
        "train": {"epochs": 25, "patience": 25, "batch_size": 4, "learning_rate": 0.02},
        "timing": {"warm_up_readings": 3},
    }
    for name, values in tables.items():
        table[name] = {**table[name], **values}
    return parse_project(table)


def fleet(machines: int, seed: int = 0, failed: bool = True, length: int = 40) -> list[History]:
    """Lives whose wear shows in one channel during the last 25 readings; a censored one ends before it shows."""
    rng = np.random.default_rng(seed)
    made = []
    for m in range(machines):
        steps = int(rng.integers(length - 10, length + 10))
        wear = np.maximum(0, 25 - np.arange(steps)[::-1]) / 5 + rng.normal(size=steps) * 0.2
        x = np.stack([wear if failed else wear[0] + 0 * wear, rng.normal(size=steps)], 1).astype(np.float32)
        made.append(History(f"m{seed}-{m}", 0, np.arange(steps, dtype=float), x, failed, 0.0 if failed else None))
    return made


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(project(), fleet(12), fleet(4, seed=1))


def weights(of: Fitted) -> torch.Tensor:
    return torch.cat([p.flatten() for p in of.predictor.parameters()])


def test_it_learns_what_there_is_to_learn(fitted: Fitted) -> None:
    unseen = fleet(6, seed=2)
    error = fitted.predictor.task.error(unseen, predict(fitted.predictor, unseen))
    constant = fitted.predictor.task.error(unseen, [np.full((len(h), 1), 12.0, np.float32) for h in unseen])
    assert error < 0.5 * constant


def test_a_fitted_model_is_in_eval_mode_and_knows_its_error_in_the_tasks_unit(fitted: Fitted) -> None:
    assert not fitted.predictor.training
    assert 0 < fitted.validation_error < 10 and fitted.best_epoch <= fitted.epochs == 25


def test_the_same_seed_gives_the_same_weights_and_another_one_others(fitted: Fitted) -> None:
    torch.manual_seed(99)
    again = fit(project(), fleet(12), fleet(4, seed=1))
    assert torch.equal(weights(again), weights(fitted))
    other = fit(project(train={"epochs": 1}), fleet(12), fleet(4, seed=1), seed=1)
    assert not torch.equal(weights(other), weights(fitted))


def test_fitting_leaves_the_random_state_and_the_threads_of_the_process_alone() -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    fit(project(train={"epochs": 1}), fleet(4), fleet(2, seed=1))
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads


def test_lives_shorter_than_the_warm_up_still_validate() -> None:
    found = fit(project(train={"epochs": 1}, timing={"warm_up_readings": 500}), fleet(4), fleet(2, seed=1))
    assert np.isfinite(found.validation_error)


def test_it_stops_when_validation_machines_see_no_progress() -> None:
    told: list[int] = []
    hopeless = project(train={"epochs": 50, "patience": 2, "learning_rate": 1e-12})
    found = fit(hopeless, fleet(4), fleet(2, seed=1), told=lambda done, error: told.append(done))
    assert found.epochs < 50 and told == list(range(1, found.epochs + 1))


def test_early_stopping_asks_every_warm_reading_for_the_headline() -> None:
    class Nothing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*x.shape[:2], 1)

    task, histories = build_task(project()), fleet(3)
    exam = Exam(project(), histories, task, Scaler(2), np.random.default_rng(0), 0)
    truths = [truth_of(task, h)[2:] for h in histories]
    want = task.measures[0].figure(histories, [0 * truth for truth in truths], truths)
    assert exam.error(Nothing()) == pytest.approx(want)


def test_censored_lives_change_what_is_learnt() -> None:
    short = project(train={"epochs": 2})
    alone = fit(short, fleet(4), fleet(2, seed=1))
    together = fit(short, fleet(4) + fleet(8, seed=3, failed=False), fleet(2, seed=1))
    assert not torch.equal(weights(alone), weights(together))


def test_a_learning_rate_that_explodes_is_a_clear_error() -> None:
    with pytest.raises(DataError, match=r"diverged in epoch \d+; lower train\.learning_rate"):
        fit(project(train={"learning_rate": 1e38}), fleet(4), fleet(2, seed=1))


def test_histories_that_begin_without_a_value_are_learnt_from_and_predicted() -> None:
    histories = fleet(4)
    histories[0].x[:5, 0] = np.nan
    found = fit(project(train={"epochs": 1}), histories, fleet(2, seed=1))
    assert np.isfinite(predict(found.predictor, histories)[0]).all()


def test_a_prediction_does_not_hang_on_its_neighbours_in_the_batch(fitted: Fitted) -> None:
    histories = fleet(5, seed=4) + fleet(3, seed=5, length=90)
    for alone, together in zip(histories, predict(fitted.predictor, histories), strict=True):
        assert together.shape == (len(alone), 1)
        np.testing.assert_allclose(together, predict(fitted.predictor, [alone])[0], atol=1e-4)


@given(st.lists(st.integers(1, 3 * READINGS), max_size=200))
def test_what_runs_together_never_outgrows_the_memory(lengths: list[int]) -> None:
    groups = list(grouped(lengths))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= READINGS


def test_what_begins_in_mid_life_holds_no_value_from_before() -> None:
    mask = np.array([[True, True], [True, False], [False, True], [True, False]])
    x = np.array([[10.0, 1.0], [20.0, 1.0], [20.0, 3.0], [40.0, 3.0]], np.float32)
    whole = History("m", 0, np.array([0.0, 5.0, 6.0, 9.0]), x, True, 0.0, mask=mask)
    scaler, task = Scaler.fit([whole], project()), build_task(project())
    late = whole.window(1, 4)
    assert np.isnan(late.x).tolist() == [[False, True], [False, False], [False, False]]
    (lesson,), (window,) = lessons([whole], task, scaler), lessons([late], task, scaler)
    begun = cut(lesson, 1, 4)
    assert torch.equal(begun.x, window.x) and begun.x[0, 1] == 0.0
    assert all(torch.equal(begun.more[name], window.more[name]) for name in ("dt", "mask"))


@pytest.mark.parametrize("mid_life", [0.0, 0.5, 1.0])
def test_the_asked_share_of_sequences_begins_in_mid_life(mid_life: float) -> None:
    histories = fleet(40, length=60)
    for h in histories:
        h.x[:, 0] = np.arange(len(h))
    task, scaler = build_task(project()), Scaler(2)
    taught = lessons(histories, task, scaler)
    rng = np.random.default_rng(0)
    batches = [b for _ in range(5) for b in epoch(taught, rng, 8, mid_life, 512)]
    starts = np.concatenate([b.x[:, 0, 0].numpy() for b in batches])
    assert len(starts) == 200 and abs((starts > 0).mean() - mid_life) < 0.12


def test_padding_has_no_weight_and_every_life_comes_once_an_epoch() -> None:
    histories = fleet(10)
    taught = lessons(histories, build_task(project()), Scaler(2))
    batches = list(epoch(taught, np.random.default_rng(0), 4, 0.0, 512))
    assert [len(b.x) for b in batches] == [4, 4, 2]
    assert sum(float(b.weight.sum()) for b in batches) == sum(len(h) for h in histories)


def test_a_life_longer_than_a_lesson_is_entered_again_and_again() -> None:
    taught = lessons(fleet(1, length=600), build_task(project()), Scaler(2))
    batches = list(epoch(taught, np.random.default_rng(0), 1, 1.0, 100))
    assert len(batches) == math.ceil(len(taught[0].x) / 100) and all(b.x.shape[1] <= 100 for b in batches)
    assert sum(b.x.shape[1] == 100 for b in batches) >= len(batches) - 1


def test_the_last_reading_of_a_long_record_is_taught_too() -> None:
    at = torch.arange(20.0)[:, None]
    taught = Lesson(at, at, torch.ones_like(at), torch.zeros(20, dtype=torch.bool))
    rng = np.random.default_rng(0)
    seen = {t for _ in range(40) for b in epoch([taught], rng, 1, 0.0, 10) for t in b.x.flatten().tolist()}
    assert seen == set(range(20))


@pytest.mark.parametrize("length", [130, 1000])
def test_the_end_of_a_long_life_is_taught_as_often_as_its_middle(length: int) -> None:
    at = torch.arange(float(length))[:, None]
    taught = Lesson(at, at, torch.ones_like(at), torch.zeros(length, dtype=torch.bool))
    rng = np.random.default_rng(0)
    seen = np.bincount(torch.cat([b.x.flatten() for _ in range(400) for b in epoch([taught], rng, 1, 0.0, 100)]).int())
    assert seen[-1] >= 0.8 * np.median(seen[100:])


def test_what_is_entered_again_is_led_up_to_by_readings_that_teach_nothing() -> None:
    at = torch.arange(400.0)[:, None]
    taught = Lesson(at, at, torch.ones_like(at), torch.zeros(400, dtype=torch.bool))
    leads = []
    for batch in epoch([taught], np.random.default_rng(1), 1, 0.0, 100, lead=30):
        lead = batch.x.shape[1] - 100
        assert not batch.weight[0, :lead].any() and bool(batch.weight[0, lead:].all())
        leads.append(lead if batch.x[0, 0, 0] > 0 else 30)
    assert leads == [30] * 4
    assert bool(taught.weight.all())


@pytest.mark.parametrize(
    ("family", "options", "says"),
    [
        ("gru", {"hidden": 0}, r"`model\.hidden` must be from 1 to 4096"),
        ("gru", {"hiden": 8}, r"unknown key `model\.hiden`; did you mean `hidden`"),
        ("gru", {"dropout": 1.0}, r"`model\.dropout` must be from 0 to below 1"),
        ("tcn", {"kernel": 1}, r"`model\.kernel` must be at least 2"),
        ("tcn", {"levels": 2.5}, r"`model\.levels` must be a whole number"),
        ("grru", {}, "unknown model family `grru`; did you mean `gru`"),
    ],
)
def test_a_model_nobody_can_build_is_refused(family: str, options: dict[str, Any], says: str) -> None:
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}}, "task": {"kind": "rul"}}
    asked = parse_project({**table, "model": {"family": family, **options}})
    with pytest.raises(ProjectError, match=says):
        build_family(asked, 1, 1)
