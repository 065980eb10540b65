"""The whole model as one module: sensors' units in, the task's units out, in both forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.manifest import Extra
from edge.spec import Project
from train.data.history import History, beside, inputs
from train.data.scale import Scaler
from train.models.base import Family
from train.tasks.base import Task

Array = NDArray[np.float32]


class Predictor(nn.Module):
    """Scaling, family and the task's tail in one module, so that every exported file takes raw readings and predicts.

    Its state is the family's, then the tail's.
    """

    def __init__(self, project: Project, scaler: Scaler, family: Family, task: Task) -> None:
        super().__init__()
        self.project = project
        self.scaler = scaler
        self.family = family
        self.task = task.scaled_by(scaler)
        self.tail = self.task.tail()

    @property
    def takes(self) -> tuple[str, ...]:
        """What is taken behind the channels: the family's."""
        return self.family.takes

    @property
    def extras(self) -> tuple[Extra, ...]:
        """What a step says beside its predictions: the family's."""
        return self.family.extras

    @property
    def memory(self) -> int | None:
        """How many past readings, the present one included, can influence a prediction; None without a bound."""
        return self.tail.memory(self.family.memory)

    @property
    def state_names(self) -> tuple[str, ...]:
        """One name for each tensor of the state."""
        return (*self.family.state_names, *self.tail.state_names)

    @property
    def state_bounds(self) -> Mapping[str, float]:
        """As the family's."""
        return self.family.state_bounds

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """The state before the first reading, each [batch, …]."""
        return (*self.family.init_state(batch), *self.tail.init_state(batch))

    def rows(self, history: History) -> Array:
        """What is taken of a history, one array [T, W]: channels in the sensors' units, `dt` in s, `mask`."""
        more = beside(history)
        return np.concatenate([inputs(history, self.scaler.fill), *(more[name] for name in self.takes)], 1)

    def parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows [..., W] -> what `forward` or `step` takes: x [..., C], `dt` [..., 1], `mask` [..., C]."""
        channels = len(self.scaler.fill_value)
        widths = {"dt": 1, "mask": channels}
        return torch.split(rows, [channels, *(widths[name] for name in self.takes)], -1)

    def through(self, x: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        """Raw readings [B, T, C] and what the family takes -> scaled readings and the family's raw output [B, T, R]."""
        z = self.scaler(x)
        return z, self.family(z, *self._beside(more))

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Raw readings [B, T, C] and what the family takes -> predictions [B, T, O] in the task's units."""
        return self.tail(*self.through(x, *more))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Raw reading [B, C], what the family takes, and the state -> (prediction [B, O] in the task's units, *extras,
        *next state).
        """
        z, taken, inner = self.scaler(x_t), len(self.takes), len(self.takes) + len(self.family.state_names)
        raw, *following = self.family.step(z, *self._beside(rest[:taken]), *rest[taken:inner])
        y, *behind = self.tail.step(z, raw, *rest[inner:])
        return (y, *following, *behind)

    def _beside(self, more: Sequence[Tensor]) -> Iterable[Tensor]:
        return self.scaler.beside(**dict(zip(self.takes, more, strict=True))).values()
