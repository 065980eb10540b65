"""The adding problem: two of T random numbers are marked; say their sum at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import ProjectError
from train.sequence.base import (
    BAI,
    Asked,
    Batch,
    Examples,
    Places,
    Plan,
    Published,
    SequenceTask,
    at_end,
    last,
    nearest,
    row,
    tensor,
)

DEFAULT = 200
SETS = {"training": 50_000, "validation": 1_000, "test": 1_000}
TCN = {
    200: {"kernel": 6, "levels": 7, "channels": 27, "dropout": 0.0},
    400: {"kernel": 7, "levels": 7, "channels": 27, "dropout": 0.0},
    600: {"kernel": 8, "levels": 8, "channels": 24, "dropout": 0.0},
}
"""T -> sizes, Bai, Kolter & Koltun 2018, supplement, table of TCN settings."""


class Sums(Examples):
    """`numbers` [N, T] from 0 to 1, and the two `marked` places [N, 2] of each."""

    def __init__(self, count: int, length: int, rng: np.random.Generator) -> None:
        self.numbers = rng.random((count, length), dtype=np.float32)
        first, second = rng.integers(0, length, count), rng.integers(0, length - 1, count)
        self.marked = np.stack([first, second + (second >= first)], 1)  # two different places, all pairs alike

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, places: Places) -> Batch:
        """x [B, T, 2] = number and mark, y [B, 1] = the sum."""
        numbers, marked = self.numbers[places], self.marked[places]
        marks: NDArray[np.float32] = np.zeros_like(numbers)
        np.put_along_axis(marks, marked, 1.0, 1)
        sums = np.take_along_axis(numbers, marked, 1).sum(1, keepdims=True)
        return Batch(tensor(np.stack([numbers, marks], -1)), tensor(sums), at_end(*numbers.shape))


class Adding(SequenceTask):
    """Hochreiter & Schmidhuber 1997, section 5.4, in the form of Bai, Kolter & Koltun 2018, section 4: the marks lie
    anywhere, the loss is the squared error of the sum.
    """

    summary = "the sum of two marked numbers among T, many to one"
    source = BAI
    metric = "MSE"
    takes = frozenset({"length"})
    budget = 70_000
    exams = 5
    enough = 2e-4
    inputs = 2
    outputs = 1
    seeds: ClassVar[Mapping[str, int]] = {"training": 1, "validation": 2, "test": 3}

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self.length = asked.length or DEFAULT
        if self.length < 2:
            raise ProjectError(f"--length {self.length}: two numbers are marked, so at least 2")
        sets = {name: Sums(n, self.length, np.random.default_rng([self.seeds[name], self.length]))
                for name, n in SETS.items()}  # fmt: skip
        self.training, self.validation, self.test = sets["training"], sets["validation"], sets["test"]

    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """The squared error of each sequence."""
        return (last(y) - batch.y).square().squeeze(1)

    def right(self, batch: Batch) -> Tensor:
        """The sum, at all times."""
        return batch.y.unsqueeze(1).expand(-1, batch.x.shape[1], -1)

    def naive(self) -> float:
        """1/6: the variance of the sum of two uniform numbers."""
        return 1 / 6

    def plan(self, family: str) -> Plan:
        """Adam 4e-3 without clipping for the TCN, as in the paper; 2e-3 with clipping for all others."""
        if family == "tcn":
            return Plan(4e-3, 32, 10, options=nearest(TCN, self.length))
        return Plan(2e-3, 32, 10, clip=1.0)

    def published(self) -> Mapping[str, Published]:
        """Table 1; the paper has figures in numbers for T = 600 alone."""
        values = {"lstm": 0.164, "gru": 5.3e-5, "rnn": 0.177, "tcn": 5.8e-5}
        return row(values, 70_000, f"{BAI}, table 1, T=600")
