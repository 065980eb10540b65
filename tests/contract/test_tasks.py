"""Claims every registered task must stand up to; a newcomer is picked up from the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edge.errors import ProjectError
from edge.spec import parse_project
from train.build import build_task
from train.data.batches import Batch
from train.data.history import History
from train.evaluate import judge
from train.tasks import TASKS
from train.tasks.base import Array, Task
from train.tasks.tail import Tail

TABLE = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}, "b": {}, "c": {}}}


def made(kind: str, **sections: dict[str, Any]) -> Task:
    """A task with its default options."""
    return build_task(parse_project({**TABLE, "task": {"kind": kind}, **sections}))


def task_kind(task: Task) -> str:
    """Its name in the table."""
    return next(kind for kind in TASKS if TASKS[kind] is type(task))


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    """Each task with its default options and no alarm."""
    return made(request.param)


def history(failed: bool, left: float | None, length: int = 150) -> History:
    """A record that says all a task may learn from: its end, its readings, and marks in its second half."""
    x = np.random.default_rng(0).normal(size=(length, 3)).astype(np.float32)
    marks = np.arange(length) >= length / 2
    return History("m", 0, np.arange(length, dtype=float), x, failed, left, marks)


LIVES = [history(True, 0.0), history(False, None), history(False, 7.0), history(True, 0.0, 2)]


def test_outputs_and_measures_are_named_once(task: Task) -> None:
    assert task.outputs and len({name for name, _ in task.outputs}) == len(task.outputs)
    assert task.measures and len({m.key for m in task.measures}) == len(task.measures)
    assert task.headline == task.measures[0].name


@pytest.mark.parametrize("life", LIVES, ids=["failed", "censored", "cut", "short"])
def test_labels_cover_every_reading(task: Task, life: History) -> None:
    labels = task.labels(life)
    assert labels.value.shape == labels.weight.shape and len(labels.value) == len(life)
    assert labels.censored.shape == (len(life),)
    assert labels.value.dtype == labels.weight.dtype == np.float32 and labels.censored.dtype == np.bool_
    assert np.isfinite(labels.value).all() and (labels.weight >= 0).all()


@pytest.mark.parametrize("life", LIVES, ids=["failed", "censored", "cut", "short"])
def test_some_readings_of_a_life_are_healthy_and_none_that_is_marked(task: Task, life: History) -> None:
    healthy = task.healthy(life)
    assert healthy.shape == (len(life),) and healthy.dtype == np.bool_ and healthy.any()
    marks = np.arange(len(life)) % 2 == 0
    marked = task.healthy(replace(life, anomalous=marks))
    assert marked.any() and not (marked & marks).any()


@pytest.mark.parametrize("life", LIVES, ids=["failed", "censored", "cut", "short"])
def test_what_is_judged_has_a_truth(task: Task, life: History) -> None:
    judged, truth = task.judged(life), task.truth(life)
    assert all(0 <= i < len(life) for i in judged)
    if judged:
        assert (
            truth is not None and truth.shape == (len(life), len(task.outputs)) and np.isfinite(truth[judged, 0]).all()
        )


def test_the_truth_has_no_error(task: Task) -> None:
    known = [life for life in LIVES if task.judged(life)]
    if task_kind(task) == "rul":
        right = [task.labels(life).value if life.failed else truth for life, truth in told(task, known)]
    else:
        right = [np.nan_to_num(truth) for _, truth in told(task, known)]
    assert task.error(known, right) == pytest.approx(0.0, abs=1e-3)


def told(task: Task, lives: Sequence[History]) -> list[tuple[History, Array]]:
    """Each life with its truth."""
    return [(life, truth) for life in lives if (truth := task.truth(life)) is not None]


def test_the_error_is_the_first_measure_and_what_a_report_shows(task: Task) -> None:
    known = [life for life in LIVES if task.judged(life)]

    def wrong(histories: Sequence[History]) -> list[Array]:
        return [np.full((len(h), len(task.outputs)), 3.0, np.float32) for h in histories]

    assert task.error(known, wrong(known)) == pytest.approx(judge(task, known, wrong).headline.value)


def test_the_loss_is_finite_and_teaches(task: Task) -> None:
    labels = task.labels(LIVES[0])
    raw = torch.randn(1, len(LIVES[0]), task.width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    parts = (torch.from_numpy(t)[None] for t in (labels.value, labels.weight, labels.censored))
    loss = task.loss(raw, Batch(torch.randn(1, 150, CHANNELS), *parts))
    loss.backward()  # type: ignore[no-untyped-call]
    assert (
        loss.ndim == 0
        and torch.isfinite(loss)
        and raw.grad is not None
        and raw.grad.isfinite().all()
        and raw.grad.any()
    )


CHANNELS, LONG = 3, 10_000


def tail_of(task: Task) -> tuple[Tail, Tensor, Tensor]:
    """A fresh tail and what comes in: x [2, T, C] and raw [2, T, R], each far off for a while."""
    tail = task.tail().eval()
    draw = torch.Generator().manual_seed(0)
    steps = max(300, 3 * (tail.memory(1) or 0))
    x, raw = (torch.randn(2, steps, width, generator=draw) for width in (CHANNELS, task.width))
    x[:, 100:110] *= 1e3
    raw[:, 150:160] *= 1e6
    return tail, x, raw


def stepped(tail: Tail, x: Tensor, raw: Tensor) -> Tensor:
    """Predictions [B, T, O] of the step form."""
    state, outputs = tail.init_state(len(x)), []
    for x_t, raw_t in zip(x.unbind(1), raw.unbind(1), strict=True):
        y_t, *following = tail.step(x_t, raw_t, *state)
        outputs.append(y_t)
        state = tuple(following)
    return torch.stack(outputs, 1)


def test_the_tail_gives_one_finite_prediction_a_reading(task: Task) -> None:
    tail, x, raw = tail_of(task)
    y = tail(x, raw)
    assert y.shape == (*x.shape[:2], len(task.outputs)) and torch.isfinite(y).all()


def test_the_tail_steps_as_it_runs_over_time(task: Task) -> None:
    tail, x, raw = tail_of(task)
    y = tail(x, raw)
    reach = float(y.max() - y.min())
    torch.testing.assert_close(stepped(tail, x, raw), y, rtol=0, atol=1e-5 * reach)


def test_the_tail_sees_no_future(task: Task) -> None:
    tail, x, raw = tail_of(task)
    later_x, later_raw = x.clone(), raw.clone()
    later_x[:, 40:], later_raw[:, 40:] = 9.0, 9.0
    assert torch.equal(tail(x, raw)[:, :40], tail(later_x, later_raw)[:, :40])


def test_the_tail_leaves_its_inputs_alone(task: Task) -> None:
    tail, x, raw = tail_of(task)
    state = tail.init_state(2)
    for i in range(5):
        _, *following = tail.step(x[:, i], raw[:, i], *state)
        state = tuple(following)
    inputs = (x[:, 5], raw[:, 5], *state)
    before = [t.clone() for t in inputs]
    first, second = tail.step(*inputs), tail.step(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(before, inputs, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_tail_names_its_state_and_keeps_its_shapes(task: Task) -> None:
    tail, x, raw = tail_of(task)
    state = tail.init_state(2)
    assert len(tail.state_names) == len(state) == len(set(tail.state_names))
    _, *following = tail.step(x[:, 0], raw[:, 0], *state)
    for before, after in zip(state, following, strict=True):
        assert before.shape == after.shape and before.shape[0] == 2
        assert before.dtype == after.dtype == torch.float32


def test_the_tail_stays_finite_for_ten_thousand_readings(task: Task) -> None:
    tail, draw = task.tail().eval(), torch.Generator().manual_seed(1)
    x, raw = (5 * torch.randn(1, LONG, width, generator=draw) for width in (CHANNELS, task.width))
    assert torch.isfinite(stepped(tail, x, raw)).all()


def test_what_a_tail_knows_is_in_its_buffers(task: Task) -> None:
    tail, x, raw = tail_of(task)
    other = task.tail().eval()
    other.load_state_dict(tail.state_dict())
    assert torch.equal(other(x, raw), tail(x, raw)) and not list(tail.parameters())


def test_an_alarm_it_does_not_know_is_refused(task: Task) -> None:
    for strange in {"raise_below", "clear_above", "raise_above", "clear_below"} - set(task.alarm_keys):
        with pytest.raises(ProjectError, match=rf"knows no `alarm\.{strange}`"):
            made(task_kind(task), alarm={strange: 0.5})


def test_the_alarm_it_decides_by_travels(task: Task) -> None:
    project = parse_project({**TABLE, "task": {"kind": task_kind(task)}})
    assert build_task(task.settled(project)).alarm == task.alarm


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_unknown_options_are_refused(kind: str) -> None:
    with pytest.raises(ProjectError, match=r"unknown key `task\.colour`"):
        build_task(parse_project({**TABLE, "task": {"kind": kind, "colour": "red"}}))


def test_an_interval_is_around_an_output_whose_truth_is_known(task: Task) -> None:
    assert task.reaches == ()
    if not hasattr(task.options, "interval"):
        return
    asking = build_task(parse_project({**TABLE, "task": {"kind": task_kind(task), "interval": 0.8}}))
    names = [name for name, _ in asking.outputs]
    told = [reach.output for reach in asking.reaches]
    assert told and len(set(told)) == len(told) and set(told) <= set(names)
    truths = [truth for life in LIVES if (truth := asking.truth(life)) is not None]
    for reach in asking.reaches:
        assert reach.share == 0.8 and (reach.low is None) == (reach.high is None)
        assert any(np.isfinite(truth[:, names.index(reach.output)]).any() for truth in truths)
