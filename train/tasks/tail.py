"""What stands behind the family: from its raw output to the task's predictions, with a state of its own if need be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn


class Tail(nn.Module, ABC):
    """The task's part of the step graph, in two equal forms like a family: `forward` over time, `step` for one reading.

    It is part of every exported file: plain tensor operations, everything it knows is a buffer, all its memory is in a
    flat tuple of float32 tensors with static shapes and the batch first, which follows the family's state.
    """

    @property
    def state_names(self) -> tuple[str, ...]:
        """One name for each tensor of its state; none of them a family's."""
        return ()

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Its state before the first reading."""
        return ()

    def memory(self, family: int | None) -> int | None:
        """How many past readings can influence a prediction, `family` being how many can influence a raw output."""
        return family

    @abstractmethod
    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """Scaled readings x [B, T, C] and the family's output [B, T, R] -> predictions [B, T, O]."""

    @abstractmethod
    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], raw_t [B, R] and the state -> (predictions [B, O], *next state)."""


class Stateless(Tail):
    """Predictions are the raw output in other units."""

    def __init__(self, units: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.units = units

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """As Tail."""
        return self.units(raw)

    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """As Tail."""
        return (self.units(raw_t),)
