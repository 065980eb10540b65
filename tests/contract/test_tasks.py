"""Claims every registered task must stand up to; a newcomer is picked up from the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from edge.errors import ProjectError
from edge.spec import parse_project
from train.build import build_task
from train.data.history import History
from train.evaluate import judge
from train.tasks import TASKS
from train.tasks.base import Array, Task

TABLE = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}}}


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    """Each task with its default options and no alarm."""
    return build_task(parse_project({**TABLE, "task": {"kind": request.param}}))


def history(failed: bool, left: float | None, length: int = 150) -> History:
    x = np.random.default_rng(0).normal(size=(length, 1)).astype(np.float32)
    return History("m", 0, np.arange(length, dtype=float), x, failed, left)


LIVES = [history(True, 0.0), history(False, None), history(False, 7.0), history(True, 0.0, 2)]


def test_outputs_and_measures_are_named_once(task: Task) -> None:
    assert task.outputs and len({name for name, _ in task.outputs}) == len(task.outputs)
    assert task.measures and len({m.key for m in task.measures}) == len(task.measures)
    assert task.headline == task.measures[0].name


@pytest.mark.parametrize("life", LIVES, ids=["failed", "censored", "cut", "short"])
def test_labels_cover_every_reading(task: Task, life: History) -> None:
    labels = task.labels(life)
    shape = (len(life), len(task.outputs))
    assert labels.value.shape == labels.weight.shape == shape and labels.censored.shape == (len(life),)
    assert labels.value.dtype == labels.weight.dtype == np.float32 and labels.censored.dtype == np.bool_
    assert np.isfinite(labels.value).all() and (labels.weight >= 0).all()


@pytest.mark.parametrize("life", LIVES, ids=["failed", "censored", "cut", "short"])
def test_what_is_judged_has_a_truth(task: Task, life: History) -> None:
    judged, truth = task.judged(life), task.truth(life)
    assert all(0 <= i < len(life) for i in judged)
    if judged:
        assert truth is not None and truth.shape == (len(life), len(task.outputs)) and np.isfinite(truth[judged]).all()


def test_the_truth_has_no_error(task: Task) -> None:
    known = [life for life in LIVES if task.judged(life)]
    right = [task.labels(life).value if life.failed else task.truth(life) for life in known]
    assert task.error(known, [r for r in right if r is not None]) == pytest.approx(0.0, abs=1e-6)


def test_the_error_is_the_first_measure_and_what_a_report_shows(task: Task) -> None:
    known = [life for life in LIVES if task.judged(life)]

    def wrong(histories: Sequence[History]) -> list[Array]:
        return [np.full((len(h), len(task.outputs)), 3.0, np.float32) for h in histories]

    assert task.error(known, wrong(known)) == pytest.approx(judge(task, known, wrong).headline.value)


def test_the_loss_is_finite_and_teaches(task: Task) -> None:
    labels = task.labels(LIVES[0])
    raw = torch.randn(1, *labels.value.shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    parts = (torch.from_numpy(t)[None] for t in (labels.value, labels.weight, labels.censored))
    loss = task.loss(raw, *parts)
    loss.backward()  # type: ignore[no-untyped-call]
    assert (
        loss.ndim == 0
        and torch.isfinite(loss)
        and raw.grad is not None
        and raw.grad.isfinite().all()
        and raw.grad.any()
    )


def test_units_are_finite_and_the_same_for_one_reading_and_many(task: Task) -> None:
    raw = torch.tensor([[-1e6], [-1.0], [0.0], [0.5], [1e6]]).expand(5, len(task.outputs))
    many = task.units(raw[None])[0]
    assert torch.isfinite(many).all()
    assert all(torch.equal(task.units(row[None])[0], want) for row, want in zip(raw, many, strict=True))


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_unknown_options_are_refused(kind: str) -> None:
    with pytest.raises(ProjectError, match=r"unknown key `task\.colour`"):
        build_task(parse_project({**TABLE, "task": {"kind": kind, "colour": "red"}}))
