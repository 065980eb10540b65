"""Copy memory: ten digits, a long blank, and then the ten digits are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch.nn.functional as F
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
    everywhere,
    nearest,
    row,
    sure,
    tensor,
    whole,
)

DEFAULT = 500
DIGITS = 10
"""How many are to be kept."""
KINDS = 8
"""Digits 1 to 8; 0 is blank, 9 asks."""
ASKS = KINDS + 1
SETS = {"training": 10_000, "validation": 1_000, "test": 1_000}
TCN = {
    500: {"kernel": 6, "levels": 9, "channels": 10, "dropout": 0.05},
    1000: {"kernel": 8, "levels": 8, "channels": 10, "dropout": 0.05},
}
"""T -> sizes, Bai, Kolter & Koltun 2018, supplement, table of TCN settings."""


class Copies(Examples):
    """The `digits` [N, 10] of each sequence; all else is the same in all."""

    def __init__(self, count: int, length: int, rng: np.random.Generator) -> None:
        self.digits = rng.integers(1, KINDS + 1, (count, DIGITS))
        self.length = length

    def __len__(self) -> int:
        return len(self.digits)

    def batch(self, places: Places) -> Batch:
        """x [B, T + 20, 1]: ten digits, T - 1 blanks, eleven times 9; y [B, T + 20]: the digits at the last ten places,
        0 elsewhere.
        """
        digits = self.digits[places]
        x = np.zeros((len(digits), self.length + 2 * DIGITS))
        y = np.zeros(x.shape, dtype=np.int64)
        x[:, :DIGITS] = y[:, -DIGITS:] = digits
        x[:, -DIGITS - 1 :] = ASKS
        return Batch(tensor(x[..., None]), whole(y), everywhere(*x.shape))


class CopyMemory(SequenceTask):
    """Hochreiter & Schmidhuber 1997; Arjovsky, Shah & Bengio 2016, section 5.1, in the form of Bai, Kolter & Koltun
    2018: the digit is one number, and the cross entropy is the mean over all places.
    """

    summary = "ten digits, asked for T readings later, many to many"
    source = BAI
    metric = "loss"
    unit = "nats a place"
    takes = frozenset({"length"})
    budget = 16_000
    enough = 1e-5
    inputs = 1
    outputs = KINDS + 2
    seeds: ClassVar[Mapping[str, int]] = {"training": 1, "validation": 2, "test": 3}

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        blank = asked.length or DEFAULT
        if blank < 1:
            raise ProjectError(f"--length {blank}: the blank has at least one place")
        self.blank = blank
        self.length = blank + 2 * DIGITS
        sets = {name: Copies(n, blank, np.random.default_rng([self.seeds[name], blank])) for name, n in SETS.items()}
        self.training, self.validation, self.test = sets["training"], sets["validation"], sets["test"]

    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """The cross entropy at each place of each sequence."""
        return F.cross_entropy(y.flatten(0, 1), batch.y.flatten(), reduction="none")

    def right(self, batch: Batch) -> Tensor:
        """The right one of ten kinds at every place."""
        return sure(batch.y, self.outputs)

    def naive(self) -> float:
        """Who knows where digits are asked for, and none of them."""
        return DIGITS * math.log(KINDS) / self.length

    def plan(self, family: str) -> Plan:
        """RMSprop 5e-4, clipped at 1, for all, as in the paper."""
        options = nearest(TCN, self.blank) if family == "tcn" else {}
        return Plan(5e-4, 32, 50, "RMSprop", clip=1.0, options=options)

    def published(self) -> Mapping[str, Published]:
        """Table 1; the paper has figures in numbers for T = 1000 alone."""
        values = {"lstm": 0.0204, "gru": 0.0197, "rnn": 0.0202, "tcn": 3.5e-5}
        return row(values, 16_000, f"{BAI}, table 1, T=1000")
