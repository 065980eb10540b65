"""The trainer of all sequence tasks: one seeded course, examined now and then, that can be interrupted anywhere."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import DataError
from train.checkpoint import Checkpoint
from train.fit import one_thread
from train.models.base import Family
from train.sequence.base import Batch, Examples, Plan, SequenceTask, batches
from train.sequence.lag import feed

TOGETHER = 32
"""Sequences examined at once."""
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "Adam": torch.optim.Adam,
    "RMSprop": torch.optim.RMSprop,
    "SGD": torch.optim.SGD,
}


@dataclass(frozen=True)
class Limits:
    """Where a course ends at the latest: after so many epochs, or so many minutes of CPU time."""

    epochs: int
    minutes: float | None = None


@dataclass
class Standing:
    """Where a course stands behind a step; `looks` are rows of (step, training loss, validation loss, figure)."""

    family: nn.Module
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor]
    best_error: float = math.inf
    best_look: int = 0
    done: int = 0
    lost: float = 0.0
    since: int = 0
    cpu_seconds: float = 0.0
    looks: list[list[float]] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """All of it, with torch's random state, as plain tables and tensors."""
        cuda = [torch.cuda.get_rng_state()] if _on_cuda(self.family) else []
        modules = {name: getattr(self, name).state_dict() for name in ("family", "optimizer")}
        return {
            **modules,
            **{name: getattr(self, name) for name in _PLAIN},
            "torch": torch.get_rng_state(),
            "cuda": cuda,
        }

    def restore(self, table: dict[str, Any]) -> None:
        """The inverse."""
        for name in ("family", "optimizer"):
            getattr(self, name).load_state_dict(table[name])
        for name in _PLAIN:
            setattr(self, name, table[name])
        torch.set_rng_state(table["torch"].cpu())
        if _on_cuda(self.family) and table["cuda"]:
            torch.cuda.set_rng_state(table["cuda"][0].cpu())


_PLAIN = ("best", "best_error", "best_look", "done", "lost", "since", "cpu_seconds", "looks")

Told = Callable[[int, str], None]
"""Called behind each step with 1 and a remark."""


@contextmanager
def quick() -> Iterator[None]:
    """One thread, and numbers below 1e-38 taken as zero: gradients that vanish over hundreds of readings would
    otherwise be computed in denormal numbers, at a seventh of the speed (GRU-150, T = 200).
    """
    with one_thread():
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)


def teach(
    task: SequenceTask,
    family: Family,
    plan: Plan,
    limits: Limits,
    seed: int,
    told: Told = lambda done, remark: None,
    checkpoint: Checkpoint | None = None,
    name: str = "course",
) -> tuple[Standing, str]:
    """Fit `family`, which keeps the weights that validated best; where the course stood, and why it ended.

    Everything that happens at a step is decided by `seed`, the step's number and the standing, so that a course that is
    resumed ends with the very weights of one that was not. Raises DataError where the loss is no number.
    """
    optimizer = OPTIMIZERS[plan.optimizer](family.parameters(), lr=plan.learning_rate)  # type: ignore[call-arg]
    at = Standing(family, optimizer, copy.deepcopy(family.state_dict()))
    kept = checkpoint.course(name) if checkpoint else None
    if kept:
        at.restore(kept)
    an_epoch = -(-len(task.training) // plan.batch)
    looks = _places(an_epoch, task.exams)
    order: tuple[int, Any] = (-1, None)
    while (ended := _ended(task, plan, limits, at, an_epoch)) is None:
        started = time.process_time()
        epoch, place = divmod(at.done, an_epoch)
        if order[0] != epoch:
            order = (epoch, np.random.default_rng([seed, 7, epoch]).permutation(len(task.training)))
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * rate(at.done / (an_epoch * limits.epochs), plan)
        batch = task.training.batch(order[1][place * plan.batch : (place + 1) * plan.batch])
        try:
            at.lost += _step(task, family, optimizer, batch, plan.clip)
        except DataError:
            if checkpoint:
                checkpoint.drop()  # it would only lead here again
            raise
        at.done += 1
        at.since += 1
        if place + 1 in looks:
            _look(task, family, at)
        at.cpu_seconds += time.process_time() - started
        told(1, _remark(task, at))
        if checkpoint:
            checkpoint.keep(name, at)
    if at.since:
        _look(task, family, at)
    if checkpoint:
        checkpoint.keep(name, at, ended=True)
    family.load_state_dict(at.best)
    family.eval()
    return at, ended


def examine(task: SequenceTask, family: Family, examples: Examples) -> tuple[float, float]:
    """The mean loss and the metric over a set of examples."""
    family.eval()
    lost, figure, count = 0.0, 0.0, 0
    with torch.no_grad():
        for batch in batches(examples, TOGETHER):
            y = family(*feed(family, batch.x))
            terms = task.terms(y, batch)
            lost += terms.double().sum().item()
            figure += task.figures(y, batch).double().sum().item()
            count += terms.numel()
    return lost / count, figure / count


def rate(share: float, plan: Plan) -> float:
    """Learning rate as a share of its top, at this share of the course."""
    if share <= plan.hold:
        return 1.0
    fallen = min(1.0, (share - plan.hold) / (1 - plan.hold))
    return plan.last + (1 - plan.last) * 0.5 * (1 + math.cos(math.pi * fallen))


def _step(
    task: SequenceTask, family: Family, optimizer: torch.optim.Optimizer, batch: Batch, clip: float | None
) -> float:
    family.train()
    optimizer.zero_grad()
    terms = task.terms(family(*feed(family, batch.x)), batch)
    task.descended(terms).backward()  # type: ignore[no-untyped-call]
    if clip is not None:
        nn.utils.clip_grad_norm_(family.parameters(), clip)
    optimizer.step()
    lost = terms.mean().item()
    if not math.isfinite(lost):
        raise DataError("the loss is no number any more; lower the learning rate with --rate")
    return lost


def _look(task: SequenceTask, family: Family, at: Standing) -> None:
    error, figure = examine(task, family, task.validation)
    at.looks.append([at.done, at.lost / at.since, error, figure])
    at.lost, at.since = 0.0, 0
    if error < at.best_error:
        at.best_error, at.best_look = error, len(at.looks)
        at.best = copy.deepcopy(family.state_dict())


def _ended(task: SequenceTask, plan: Plan, limits: Limits, at: Standing, an_epoch: int) -> str | None:
    """Why the course is over, or None."""
    if at.best_error < task.enough:
        return "good enough"
    if at.done >= an_epoch * limits.epochs:
        return "all epochs"
    if plan.patience is not None and len(at.looks) - at.best_look >= plan.patience:
        return "no better for long"
    if limits.minutes is not None and at.cpu_seconds >= 60 * limits.minutes:
        return "time is up"
    return None


def _places(an_epoch: int, exams: int) -> Sequence[int]:
    """The steps of an epoch behind which there is an exam; the last is one."""
    return sorted({max(1, an_epoch * i // exams) for i in range(1, exams + 1)})


def _remark(task: SequenceTask, at: Standing) -> str:
    if not at.looks:
        return ""
    return f"validation {task.metric} {at.looks[-1][3]:.4g}, loss {at.looks[-1][2]:.3g}, best {at.best_error:.3g}"


def _on_cuda(family: nn.Module) -> bool:
    return any(parameter.is_cuda for parameter in family.parameters())
