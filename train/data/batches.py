"""What one epoch shows a model: sequences that begin anywhere, padded into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from train.data.history import History, beside, inputs
from train.data.scale import Scaler
from train.tasks.base import Task


@dataclass(frozen=True)
class Lesson:
    """One life, scaled: `x` [T, C], `value` and `weight` [T, O], `censored` [T]; `more`: what a family may take behind
    x, by name; `unheard` [T, C]: what x is where nothing was heard of a channel yet, None where no value is missing.
    """

    x: Tensor
    value: Tensor
    weight: Tensor
    censored: Tensor
    more: Mapping[str, Tensor] = field(default_factory=dict, kw_only=True)
    unheard: Tensor | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Batch:
    """Lessons side by side, [B, T, ·]; what is padded has weight 0."""

    x: Tensor
    value: Tensor
    weight: Tensor
    censored: Tensor
    more: Mapping[str, Tensor] = field(default_factory=dict, kw_only=True)

    def through(self, family: nn.Module) -> Tensor:
        """The raw output [B, T, R] of a family."""
        takes: tuple[str, ...] = getattr(family, "takes", ())
        return family(self.x, *(self.more[name] for name in takes))  # type: ignore[no-any-return]


def lessons(histories: Sequence[History], task: Task, scaler: Scaler) -> list[Lesson]:
    """Histories with their labels, scaled once, because scaling learns nothing more."""
    made = []
    for history in histories:
        labels = task.labels(history)
        x = scaler(torch.from_numpy(inputs(history, scaler.fill)))
        more = scaler.beside(**{name: torch.from_numpy(values) for name, values in beside(history).items()})
        taught = map(torch.from_numpy, (labels.value, labels.weight, labels.censored))
        unheard = None if history.mask.all() else scaler(torch.from_numpy(_unheard(history, scaler)))
        made.append(Lesson(x, *taught, more=more, unheard=unheard))
    return made


def _unheard(history: History, scaler: Scaler) -> NDArray[np.float32]:
    """[T, C] the fill of each channel, in the operating condition of each reading."""
    seen = inputs(history, scaler.fill)
    condition = np.isin(np.arange(seen.shape[1]), scaler.columns)
    return np.where(condition, seen, scaler.fill)


def epoch(
    taught: Sequence[Lesson], rng: np.random.Generator, batch_size: int, mid_life: float, longest: int, lead: int = 0
) -> Iterator[Batch]:
    """Every lesson once, in random order; a share `mid_life` of them begins at a random reading.

    A model that always saw the first reading learns to count from it and fails on a machine it meets in mid-life.
    Lessons longer than `longest` readings are entered again at random places until all of their length is made up for,
    the last reading, which is next to the failure, as likely as any other. No machine begins there: the `lead` readings
    before the place run through the model and teach nothing, so that a model that looks so far back learns from full
    windows.
    """
    spans: list[tuple[int, int, int, int]] = []
    for i, lesson in enumerate(taught):
        length = len(lesson.x)
        late = rng.random() < mid_life
        begins = int(rng.integers(0, max(1, length - 1))) if late else 0
        over = rng.integers(1 - longest, length, -(-length // longest) - 1)  # beyond either end as far as within
        again = np.clip(over, 0, max(0, length - longest)).tolist()
        spans.append((i, begins, begins, min(begins + longest, length)))
        spans += [(i, max(0, start - lead), start, min(start + longest, length)) for start in again]
    order = rng.permutation(len(spans))
    for at in range(0, len(order), batch_size):
        yield pad([_led(taught[i], *span) for i, *span in (spans[j] for j in order[at : at + batch_size])])


def cut(lesson: Lesson, start: int, stop: int) -> Lesson:
    """Readings `start` … `stop - 1` of a lesson; before the first of them nothing was read, nothing held."""
    more = {name: t[start:stop] for name, t in lesson.more.items()}
    if "dt" in more:
        more["dt"] = torch.cat([torch.zeros_like(more["dt"][:1]), more["dt"][1:]])
    x, unheard = lesson.x[start:stop], None if lesson.unheard is None else lesson.unheard[start:stop]
    if unheard is not None and start:
        x = torch.where(more["mask"].cummax(0).values > 0, x, unheard)
    return Lesson(
        x, *(t[start:stop] for t in (lesson.value, lesson.weight, lesson.censored)), more=more, unheard=unheard
    )


def _led(lesson: Lesson, first: int, start: int, stop: int) -> Lesson:
    """Readings `first` … `stop - 1`, of which those before `start` teach nothing."""
    led = cut(lesson, first, stop)
    if start == first:
        return led
    weight = led.weight.clone()
    weight[: start - first] = 0.0
    return replace(led, weight=weight)


def pad(taught: Sequence[Lesson]) -> Batch:
    """Lessons of different lengths as one batch."""
    columns = ([getattr(lesson, name) for lesson in taught] for name in ("x", "value", "weight", "censored"))
    more = {name: pad_sequence([lesson.more[name] for lesson in taught], True) for name in taught[0].more}
    return Batch(*(pad_sequence(column, batch_first=True) for column in columns), more=more)
