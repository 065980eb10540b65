"""The contract of a model family: trained on whole histories, deployed as one pure step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from edge.errors import ProjectError
from edge.manifest import Extra


@dataclass(frozen=True)
class FamilyOptions:
    """Keys of `[model]` that a family knows, with their defaults; a family extends it."""


@dataclass(frozen=True)
class Place:
    """Where a group of units lies in a weight: along `dim` of the tensor `weight` (its dotted name), `times` over."""

    weight: str
    dim: int
    times: int = 1


@dataclass(frozen=True)
class Units:
    """Units that are kept or cut as one, ranked among each other.

    `makes`: the weights and biases that bring them forth. `reads`: all weights that take them in; these and `makes` at
    zero, nothing is left of a unit.
    """

    name: str
    makes: tuple[Place, ...]
    reads: tuple[Place, ...]


class Family(nn.Module, ABC):
    """A causal sequence model in two equal forms, `forward` over time and `step` for one reading.

    Inputs are scaled (about zero mean, unit variance), outputs are the task's raw numbers. `step` is pure: no cursor,
    no in-place write on a state, no mode. All memory is in the state, a flat tuple of float32 tensors with static
    shapes and the batch first. Both forms must give the same numbers: `tests/contract` checks every registered family.
    """

    Options: ClassVar[type[FamilyOptions]] = FamilyOptions
    width: ClassVar[str]
    """The key of `[model]` that says how wide the network is, and how many units each group of `units` has."""
    takes: ClassVar[tuple[str, ...]] = ()
    """What both forms take behind `x`, of edge.manifest.TAKES and in its order: `dt` [..., 1], the time since the
    reading before as a multiple of what is usual (0 at the first); `mask` [..., C], 1 where a channel is present and 0
    where `x` repeats its last value.
    """
    declines: ClassVar[Mapping[str, str]] = {}
    """Recipe, or `target/recipe` -> why there is no such file of this family; the certificate shows it."""

    def __init__(self, inputs: int, outputs: int, options: Any) -> None:
        """`inputs` C, `outputs` O, `options` an instance of `Options`."""
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        self.options = options

    @property
    @abstractmethod
    def memory(self) -> int | None:
        """How many past readings, the present one included, can influence an output; None where there is no bound."""

    @property
    @abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """One name for each tensor of the state; letters, digits and `_`."""

    @abstractmethod
    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """The state before the first reading, each [batch, …]; may be learned."""

    @property
    def state_bounds(self) -> Mapping[str, float]:
        """State -> the largest magnitude it can ever have, where it has one by construction; int8 files rely on it."""
        return {}

    @property
    def extras(self) -> tuple[Extra, ...]:
        """What `step` says beside `y`, for people to look at (attention weights, say): named outputs of every file."""
        return ()

    @abstractmethod
    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] and what the family `takes` -> [B, T, O], in parallel over time where the family can; starts from
        `init_state`.
        """

    @abstractmethod
    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], what the family `takes`, and the state -> (y_t [B, O], *extras, *next state)."""

    def units(self) -> tuple[Units, ...]:
        """The groups of units that pruning cuts down to one new width, wherever they lie; none where it cannot. No sum
        runs past `makes`: an identity that carries units from one place to another joins them into one group.
        """
        return ()

    def fold(self) -> None:
        """Make permanent what only helps while fitting, so that nothing but plain weights is saved and exported."""
        return


def need(holds: bool, key: str, wanted: str) -> None:
    """Check a family's option. Raises ProjectError naming `key` and what it must be."""
    if not holds:
        raise ProjectError(f"`{key}` must be {wanted}")
