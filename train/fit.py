"""Fitting: one seeded, single-threaded course over the training machines, stopped by the validation machines."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from edge.errors import DataError
from edge.spec import Project
from train.build import build_predictor, build_task
from train.data.batches import epoch, lessons, pad
from train.data.history import History
from train.data.scale import Scaler
from train.infer import grouped
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
class Fitted:
    """A fitted model in eval mode; validation error in the task's unit, epochs run, the best one, and CPU seconds."""

    predictor: Predictor
    validation_error: float
    epochs: int
    best_epoch: int
    cpu_seconds: float


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
) -> Fitted:
    """Fit the project's model; the same seed gives the same weights. Raises DataError where nothing can be learnt.

    Each epoch a share `train.mid_life` of the sequences begins at a random reading. The running average of the weights
    is what is validated and kept (Polyak & Juditsky 1992); the learning rate rises and falls once (Smith & Topin 2019).
    """
    seed = project.train.seed if seed is None else seed
    with one_thread(), torch.random.fork_rng(devices=[]):
        return _fit(project, training, validation, seed, course or Course(), told)


def _fit(
    project: Project,
    training: Sequence[History],
    validation: Sequence[History],
    seed: int,
    course: Course,
    told: Told,
) -> Fitted:
    task = build_task(project)
    training, validation = task.taught(training), task.taught(validation)
    spec = project.train
    started = time.process_time()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    predictor = build_predictor(project, Scaler.fit(training, project))
    family, task = predictor.family, predictor.task
    taught = lessons(training, task, predictor.scaler)
    if not any(lesson.weight.any() for lesson in taught):
        raise DataError("no training history says anything about its label; add histories that ran to failure")
    exam = Exam(project, validation, task, predictor.scaler, np.random.default_rng([seed, 1]), course.starts)
    optimizer = torch.optim.AdamW(family.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    averaged = copy.deepcopy(family)
    best, best_error, best_epoch, done, steps = copy.deepcopy(family.state_dict()), math.inf, 0, 0, 0
    for done in range(1, spec.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = spec.learning_rate * _rate((done - 1) / spec.epochs, course.rise)
        family.train()
        for batch in epoch(taught, rng, spec.batch_size, spec.mid_life, course.longest):
            optimizer.zero_grad()
            loss = task.loss(family(batch.x), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(family.parameters(), course.clip)
            optimizer.step()
            steps += 1
            _follow(averaged, family, min(course.average, steps / (steps + 10)))
        error = exam.error(averaged)
        if not math.isfinite(error):
            raise DataError(f"fitting diverged in epoch {done}; lower train.learning_rate (now {spec.learning_rate:g})")
        if error < best_error:
            best_error, best_epoch = error, done
            best = copy.deepcopy(averaged.state_dict())
        told(done, best_error)
        if done - best_epoch >= spec.patience:
            break
    family.load_state_dict(best)
    family.fold()
    predictor.eval()
    task.settle(predictor, training, validation)
    return Fitted(predictor, best_error, done, best_epoch, time.process_time() - started)


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
            return self.task.exam((family(batch.x), batch, asked) for batch, asked in self.batches)


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
