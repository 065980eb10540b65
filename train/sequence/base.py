"""The contract of a sequence task: what goes in, what is right, how it is counted, and what others reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import ProjectError

BAI = "Bai, Kolter & Koltun 2018"
PROBED = 64
"""Sequences over which the gradient by lag is averaged."""
TINY = 12
"""Length of a task that is only looked at."""
SURE = 30.0
"""A logit that leaves no doubt."""

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Sequences of one length. `x` [B, T, C], `y` what is right in the task's own shape, `counted` [B, T] where an
    output is judged.
    """

    x: Tensor
    y: Tensor
    counted: Tensor


class Examples(ABC):
    """A fixed set of examples, of which batches are made by their places."""

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def batch(self, places: Places) -> Batch:
        """The examples at these places, in this order."""


@dataclass(frozen=True)
class Asked:
    """What a user may say about a task; a task names in `takes` which of these it understands.

    `length`: the task's T. `text`: a file. `data`: a file or a folder. `permuted`: inputs in one fixed random order.
    """

    length: int | None = None
    text: Path | None = None
    data: Path | None = None
    permuted: bool = False


@dataclass(frozen=True)
class Published:
    """A figure of a paper in the task's metric, with the number of weights it was reached with, and where it stands."""

    value: float
    parameters: int
    where: str


@dataclass(frozen=True)
class Plan:
    """How a family is fitted to a task.

    `options`: keys of the family; without its width the family is made as wide as the budget allows. `dropout` is given
    to families that know it. `clip`: the largest norm of a gradient. The learning rate is held for the share `hold` of
    the epochs and then falls along a half cosine to `last` of it. `patience`: exams without a better one that end the
    fitting.
    """

    learning_rate: float
    batch: int
    epochs: int
    optimizer: str = "Adam"
    clip: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    dropout: float | None = None
    hold: float = 0.5
    last: float = 0.01
    patience: int | None = None


class SequenceTask(ABC):
    """One task. The constructor makes or reads its examples and raises ProjectError or DataError where it cannot."""

    summary: ClassVar[str]
    source: ClassVar[str]
    """The paper the task is taken from."""
    metric: ClassVar[str]
    unit: ClassVar[str] = ""
    higher: ClassVar[bool] = False
    """Whether a higher figure is better."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Asked` it understands."""
    budget: ClassVar[int]
    """Weights that every family may have, as in the paper."""
    exams: ClassVar[int] = 1
    """Looks at the validation set in an epoch."""
    enough: ClassVar[float] = 0.0
    """Validation loss below which fitting ends."""
    fixed_length: ClassVar[bool] = True
    """Whether all sequences of a batch have one length, so that `length` says how far back an answer may lie."""

    inputs: int
    outputs: int
    length: int
    training: Examples
    validation: Examples
    test: Examples

    def __init__(self, asked: Asked) -> None:
        for name in ("length", "text", "data", "permuted"):
            if getattr(asked, name) and name not in self.takes:
                known = ", ".join(f"--{key}" for key in sorted(self.takes)) or "none of these options"
                raise ProjectError(f"this task has no --{name}; it takes {known}")
        self.asked = asked

    @abstractmethod
    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """Outputs y [B, T, O] -> the loss of each thing that counts, [N], differentiable."""

    def figures(self, y: Tensor, batch: Batch) -> Tensor:
        """Outputs -> what each thing that counts contributes to the metric, which is their mean; [N]."""
        return self.terms(y, batch)

    def descended(self, terms: Tensor) -> Tensor:
        """The scalar whose gradient is followed."""
        return terms.mean()

    @abstractmethod
    def right(self, batch: Batch) -> Tensor:
        """Outputs [B, T, O] that none can better."""

    @classmethod
    def tiny(cls, folder: Path) -> Asked:
        """The least there is to learn from, for looks and tests: what to ask for, with its files made in `folder`."""
        return Asked(length=TINY)

    @abstractmethod
    def naive(self) -> float:
        """The metric of who has seen no input."""

    @abstractmethod
    def plan(self, family: str) -> Plan:
        """How this family is fitted; one that nobody has heard of gets the plan of recurrent ones."""

    def published(self) -> Mapping[str, Published]:
        """Family -> the paper's figure that comes nearest."""
        return {}

    def probe(self) -> Tensor:
        """x [B, T, C], the held-out sequences at whose last reading the gradient by lag is taken."""
        return self.validation.batch(np.arange(min(PROBED, len(self.validation)))).x


def last(y: Tensor) -> Tensor:
    """y [B, T, O] -> [B, O], the outputs behind the last reading."""
    return y[:, -1]


def tensor(values: NDArray[Any]) -> Tensor:
    """Where torch puts new tensors, as float32."""
    return torch.tensor(np.ascontiguousarray(values, dtype=np.float32))


def whole(values: NDArray[Any]) -> Tensor:
    """The same as int64."""
    return torch.tensor(np.ascontiguousarray(values, dtype=np.int64))


def everywhere(batch: int, length: int) -> Tensor:
    """A mark that every output counts."""
    return torch.ones(batch, length, dtype=torch.bool)


def at_end(batch: int, length: int) -> Tensor:
    """A mark that the last output counts."""
    marks = torch.zeros(batch, length, dtype=torch.bool)
    marks[:, -1] = True
    return marks


def nearest(table: Mapping[int, Any], length: int) -> Any:
    """The row of the least length that reaches `length`, or the last one."""
    return table[min((key for key in table if key >= length), default=max(table))]


def sure(kinds: Tensor, outputs: int) -> Tensor:
    """Classes [...] -> logits [..., outputs] that leave no doubt."""
    return SURE * torch.nn.functional.one_hot(kinds, outputs).float()


def row(values: Mapping[str, float], parameters: int, where: str) -> dict[str, Published]:
    """One line of a paper's table: family -> figure."""
    return {family: Published(value, parameters, where) for family, value in values.items()}


def batches(examples: Examples, size: int) -> Sequence[Batch]:
    """All examples in order, batch by batch."""
    return _Batches(examples, size)


class _Batches(Sequence[Batch]):
    def __init__(self, examples: Examples, size: int) -> None:
        self.examples, self.size = examples, size

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < len(self):
            raise IndexError(at)
        return self.examples.batch(np.arange(at * self.size, min((at + 1) * self.size, len(self.examples))))
