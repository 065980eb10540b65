"""Fitting: one seeded, single-threaded course over the training machines, stopped by the validation machines."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edge.errors import DataError
from edge.spec import Project
from train.build import build_predictor, build_task
from train.checkpoint import Checkpoint, Standing
from train.data.batches import epoch, lessons, pad
from train.data.history import History
from train.data.scale import Scaler
from train.infer import grouped
from train.models.base import Family
from train.predictor import Predictor
from train.tasks.base import Task


@dataclass(frozen=True)
class Course:
    """What a course does beside the keys of `[train]`; chosen by cross-validation on C-MAPSS training machines.

    `clip`: largest norm of a gradient. `rise`: share of the epochs in which the learning rate climbs, before it falls
    along a half cosine. `average`: share of the old weights kept in their running average at each step. `longest`:
    readings of one lesson. `starts`: mid-life starts of each validation life.
    """

    clip: float = 1.0
    rise: float = 0.15
    average: float = 0.98
    longest: int = 512
    starts: int = 3


@dataclass(frozen=True)
class Schedule:
    """How long a course goes, how patient it is with validation, and the top of its learning rate."""

    epochs: int
    patience: int
    learning_rate: float


@dataclass(frozen=True)
class Lived:
    """What became of one course: training loss and validation error of each epoch, and the epoch that was kept."""

    name: str
    losses: tuple[float, ...]
    errors: tuple[float, ...]
    best_epoch: int
    cpu_seconds: float

    def plain(self) -> dict[str, Any]:
        """As a table, for a report."""
        return {
            "name": self.name,
            "losses": list(self.losses),
            "errors": list(self.errors),
            "best_epoch": self.best_epoch,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def of(cls, table: dict[str, Any]) -> Lived:
        """The inverse."""
        return cls(**{**table, "losses": tuple(table["losses"]), "errors": tuple(table["errors"])})


@dataclass(frozen=True)
class Fitted:
    """A fitted model in eval mode, its validation error in the task's unit, and the courses that led to it.

    `before` is the whole model that a pruned one was cut from.
    """

    predictor: Predictor
    validation_error: float
    courses: tuple[Lived, ...]
    before: Fitted | None = None

    @property
    def epochs(self) -> int:
        """Epochs run, over all courses."""
        return sum(len(course.losses) for course in self.courses)

    @property
    def best_epoch(self) -> int:
        """The epoch of the last course whose weights were kept."""
        return self.courses[-1].best_epoch

    @property
    def cpu_seconds(self) -> float:
        """Over all courses."""
        return sum(course.cpu_seconds for course in self.courses)


Told = Callable[[int, float], None]
"""Called after each epoch with the epochs done and the validation error so far best."""


def fit(
    project: Project,
    training: Sequence[History],
    validation: Sequence[History],
    *,
    seed: int | None = None,
    course: Course | None = None,
    told: Told = lambda done, error: None,
    checkpoint: Checkpoint | None = None,
    name: str = "fit",
) -> Fitted:
    """Fit the project's model; the same seed gives the same weights. Raises DataError where nothing can be learnt.

    Each epoch a share `train.mid_life` of the sequences begins at a random reading. The running average of the weights
    is what is validated and kept (Polyak & Juditsky 1992); the learning rate rises and falls once (Smith & Topin 2019).
    With a `checkpoint`, a course of this `name` that stands in it goes on from there.
    """
    seed = project.train.seed if seed is None else seed
    project = build_task(project).study(project, [*training, *validation])
    task = build_task(project)
    training, validation = task.taught(training), task.taught(validation)
    spec = project.train
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        predictor = build_predictor(project, Scaler.fit(training, project))
        school = School(project, predictor.task, predictor.scaler, training, validation, seed, course or Course())
        schedule = Schedule(spec.epochs, spec.patience, spec.learning_rate)
        lived, error = school.teach(predictor.family, schedule, np.random.default_rng(seed), told, checkpoint, name)
        predictor.eval()
        predictor.task.settle(predictor, training, validation)
        return Fitted(predictor, error, (lived,))


class School:
    """What a model is taught by and examined with: the same for all courses of a training."""

    def __init__(
        self,
        project: Project,
        task: Task,
        scaler: Scaler,
        training: Sequence[History],
        validation: Sequence[History],
        seed: int,
        course: Course,
    ) -> None:
        """Raises DataError where the training histories say nothing about their label."""
        self.spec = project.train
        self.task = task
        self.course = course
        task.check_taught(training)
        self.lessons = lessons(training, task, scaler)
        if not any(lesson.weight.any() for lesson in self.lessons):
            raise DataError("no training history says anything about its label; add histories that ran to failure")
        self.exam = Exam(project, validation, task, scaler, np.random.default_rng([seed, 1]), course.starts)

    def teach(
        self,
        family: Family,
        schedule: Schedule,
        rng: np.random.Generator,
        told: Told,
        checkpoint: Checkpoint | None,
        name: str,
    ) -> tuple[Lived, float]:
        """One course: `family` leaves it folded, with the weights that validated best; their error."""
        optimizer = torch.optim.AdamW(
            family.parameters(), lr=schedule.learning_rate, weight_decay=self.spec.weight_decay
        )
        at = Standing(family, copy.deepcopy(family), optimizer, rng, copy.deepcopy(family.state_dict()))
        kept = checkpoint.course(name) if checkpoint else None
        if kept:
            at.restore(kept)
            told(at.done, at.best_error)
        while at.done < schedule.epochs and at.done - at.best_epoch < schedule.patience:
            try:
                self._epoch(at, schedule, (family.memory or 1) - 1)
            except DataError:
                if checkpoint:
                    checkpoint.drop()  # it would only lead here again
                raise
            told(at.done, at.best_error)
            if checkpoint:
                checkpoint.keep(name, at)
        if checkpoint and not (kept and kept["done"] == at.done):
            checkpoint.keep(name, at, ended=True)
        family.load_state_dict(at.best)
        family.fold()
        family.eval()
        return Lived(name, tuple(at.losses), tuple(at.errors), at.best_epoch, at.cpu_seconds), at.best_error

    def _epoch(self, at: Standing, schedule: Schedule, lead: int) -> None:
        started = time.process_time()
        for group in at.optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _rate(at.done / schedule.epochs, self.course.rise)
        at.family.train()
        losses = []
        spec = self.spec
        for batch in epoch(self.lessons, at.rng, spec.batch_size, spec.mid_life, self.course.longest, lead):
            at.optimizer.zero_grad()
            loss = self.task.loss(batch.through(at.family), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(at.family.parameters(), self.course.clip)
            at.optimizer.step()
            at.steps += 1
            losses.append(loss.item())
            _follow(at.averaged, at.family, min(self.course.average, at.steps / (at.steps + 10)))
        error = self.exam.error(at.averaged)
        at.done += 1
        if not math.isfinite(error):
            top = schedule.learning_rate
            raise DataError(f"fitting diverged in epoch {at.done}; lower train.learning_rate (now {top:g})")
        if error < at.best_error:
            at.best_error, at.best_epoch = error, at.done
            at.best = copy.deepcopy(at.averaged.state_dict())
        at.losses.append(sum(losses) / len(losses))
        at.errors.append(error)
        at.cpu_seconds += time.process_time() - started


class Exam:
    """The quiet yardstick of early stopping: the headline error from the first reading and from random mid-life starts.

    Every warm reading is a cut-off, so nothing is left to the luck of a draw but the starts, which are drawn once.
    """

    def __init__(
        self,
        project: Project,
        histories: Sequence[History],
        task: Task,
        scaler: Scaler,
        rng: np.random.Generator,
        starts: int,
    ) -> None:
        self.task = task
        windows = []
        for h in (h for h in histories if task.tells(h)):
            first = [0, *(int(s) for s in rng.integers(0, max(1, len(h) - 1), starts))]
            windows += [h.window(start, len(h)) for start in first]
        unwarm = [min(project.timing.warm_up_readings, len(h)) - 1 for h in windows]
        self.batches = []
        for places in grouped([len(h) for h in windows]):
            group, warm = [windows[i] for i in places], [unwarm[i] for i in places]
            marks = [torch.arange(len(h)) >= first for h, first in zip(group, warm, strict=True)]
            asked = torch.nn.utils.rnn.pad_sequence(marks, batch_first=True)
            self.batches.append((pad(lessons(group, task, scaler)), asked))

    def error(self, family: nn.Module) -> float:
        """The task's error that stops the fitting, in its unit."""
        family.eval()
        with torch.no_grad():
            return self.task.exam((batch.through(family), batch, asked) for batch, asked in self.batches)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: models this small gain nothing from more, and spinning threads ruin busy machines."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rate(share: float, rise: float) -> float:
    """Learning rate as a share of its top, at this share of the course."""
    if share < rise:
        return 0.1 + 0.9 * share / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


def _follow(averaged: nn.Module, family: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for old, new in zip(averaged.parameters(), family.parameters(), strict=True):
            old.lerp_(new, 1 - keep)
        for kept, present in zip(averaged.buffers(), family.buffers(), strict=True):
            kept.copy_(present)
