"""The whole model as one module: sensors' units in, the task's units out, in both forms."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from edge.spec import Project
from train.data.scale import Scaler
from train.models.base import Family
from train.tasks.base import Task


class Predictor(nn.Module):
    """Scaling, family and units in one module, so that every exported file takes raw readings and predicts."""

    def __init__(self, project: Project, scaler: Scaler, family: Family, task: Task) -> None:
        super().__init__()
        self.project = project
        self.scaler = scaler
        self.family = family
        self.task = task

    @property
    def memory(self) -> int | None:
        """As the family's."""
        return self.family.memory

    @property
    def state_names(self) -> tuple[str, ...]:
        """As the family's."""
        return self.family.state_names

    @property
    def state_bounds(self) -> Mapping[str, float]:
        """As the family's."""
        return self.family.state_bounds

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """As the family's."""
        return self.family.init_state(batch)

    def forward(self, x: Tensor) -> Tensor:
        """Raw readings [B, T, C] -> predictions [B, T, O] in the task's units."""
        return self.task.units(self.family(self.scaler(x)))

    def step(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Raw reading [B, C] and the state -> (prediction [B, O] in the task's units, *next state)."""
        raw, *following = self.family.step(self.scaler(x_t), *state)
        return (self.task.units(raw), *following)
