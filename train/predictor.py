"""The whole model as one module: sensors' units in, the task's units out, in both forms."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from edge.spec import Project
from train.data.scale import Scaler
from train.models.base import Family
from train.tasks.base import Task


class Predictor(nn.Module):
    """Scaling, family and the task's tail in one module, so that every exported file takes raw readings and predicts.

    Its state is the family's, then the tail's.
    """

    def __init__(self, project: Project, scaler: Scaler, family: Family, task: Task) -> None:
        super().__init__()
        self.project = project
        self.scaler = scaler
        self.family = family
        self.task = task
        task.meet(scaler)
        self.tail = task.tail()

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

    def forward(self, x: Tensor) -> Tensor:
        """Raw readings [B, T, C] -> predictions [B, T, O] in the task's units."""
        z = self.scaler(x)
        return self.tail(z, self.family(z))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Raw reading [B, C] and the state -> (prediction [B, O] in the task's units, *next state)."""
        z, inner = self.scaler(x_t), len(self.family.state_names)
        raw, *following = self.family.step(z, *state[:inner])
        y, *behind = self.tail.step(z, raw, *state[inner:])
        return (y, *following, *behind)
