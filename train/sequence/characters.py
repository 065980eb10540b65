"""Characters: what letter comes next in a text, in bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError, ProjectError
from train.sequence.base import (
    BAI,
    TINY,
    Asked,
    Batch,
    Examples,
    Places,
    Plan,
    Published,
    SequenceTask,
    row,
    sure,
    whole,
)

DEFAULT = 320
CONTEXT = 80
"""Characters in front of a window that are read and not counted."""
PARTS = (0.9, 0.95)
"""Where the training part ends, and the validation part."""
LEAST = 4
"""Windows that the shortest part must hold."""
TCN = {"kernel": 3, "levels": 3, "channels": 450, "dropout": 0.1}


class Windows(Examples):
    """Pieces of a text [N] of codes: a window of `length` characters behind `context` more, where there are any."""

    def __init__(self, codes: NDArray[np.int64], length: int, kinds: int) -> None:
        self.codes, self.length, self.kinds = codes, length, kinds

    def __len__(self) -> int:
        return -(-(len(self.codes) - 1) // self.length)

    def batch(self, places: Places) -> Batch:
        """x [B, context + length, kinds], one 1 in each row; y [B, ·] the next character; each is counted once."""
        ends = np.minimum((np.asarray(places) + 1) * self.length, len(self.codes) - 1)
        starts = np.maximum(ends - self.length - CONTEXT, 0)
        size = int((ends - starts).max())
        at = np.minimum(starts[:, None] + np.arange(size), len(self.codes) - 2)
        position = starts[:, None] + np.arange(size)
        mine = (position >= np.asarray(places)[:, None] * self.length) & (position < ends[:, None])
        x = F.one_hot(whole(self.codes[at]), self.kinds).float()
        return Batch(x, whole(self.codes[at + 1]), torch.tensor(mine))


class Characters(SequenceTask):
    """Language of characters in the form of Bai, Kolter & Koltun 2018, section 4: windows of 320 behind 80 that are
    only read. Any text: the first 90 % teach, 5 % validate, the last 5 % judge. A character that the first part does
    not have is read and predicted as "another one".
    """

    summary = "the next character of a text, many to many"
    source = BAI
    metric = "cross entropy"
    unit = "bits a character"
    takes = frozenset({"length", "text"})
    budget = 3_000_000
    exams = 4

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self.window = asked.length or DEFAULT
        self.length = self.window + CONTEXT
        codes, self.outputs = self._codes(asked)
        self.inputs = self.outputs
        ends = [int(share * len(codes)) for share in PARTS]
        parts = np.split(codes, ends)
        if min(map(len, parts)) < LEAST * self.length:
            need = math.ceil(LEAST * self.length / (1 - PARTS[-1]))
            raise DataError(f"`{asked.text}` has {len(codes)} characters; at this --length at least {need} are needed")
        self.training, self.validation, self.test = (Windows(part, self.window, self.outputs) for part in parts)

    def _codes(self, asked: Asked) -> tuple[NDArray[np.int64], int]:
        if asked.text is None:
            raise ProjectError("task `char` needs a text: --text FILE")
        try:
            text = asked.text.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise DataError(f"`{asked.text}` cannot be read as text: {why}") from error
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
        known = np.unique(points[: int(PARTS[0] * len(points))])
        at = np.searchsorted(known, points).clip(max=max(len(known) - 1, 0))
        codes = np.where(known[at] == points, at, len(known)) if len(known) else points
        return codes, len(known) + 1

    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """The cross entropy of each character, in nats."""
        return F.cross_entropy(y[batch.counted], batch.y[batch.counted], reduction="none")

    def figures(self, y: Tensor, batch: Batch) -> Tensor:
        """The same in bits."""
        return self.terms(y, batch) / math.log(2)

    def right(self, batch: Batch) -> Tensor:
        """The next character."""
        return sure(batch.y, self.outputs)

    @classmethod
    def tiny(cls, folder: Path) -> Asked:
        """A text of four letters, of which the last stands in the last part alone."""
        letters = np.random.default_rng(0).choice(list("abc"), 8000)
        letters[-9] = "é"
        (folder / "text.txt").write_text("".join(letters), encoding="utf-8")
        return Asked(length=TINY, text=folder / "text.txt")

    def naive(self) -> float:
        """Every character as often as in the training part, and one more of each so that none is impossible."""
        assert isinstance(self.training, Windows) and isinstance(self.test, Windows)
        often = np.bincount(self.training.codes, minlength=self.outputs) + 1.0
        return float(-np.log2(often / often.sum())[self.test.codes[1:]].mean())

    def plan(self, family: str) -> Plan:
        """SGD 4, clipped at 0.15, for the TCN, as in the paper; Adam 2e-3, clipped at 1, for all others."""
        if family == "tcn":
            return Plan(4.0, 32, 100, "SGD", clip=0.15, options=TCN, patience=12)
        return Plan(2e-3, 32, 100, clip=1.0, dropout=0.1, patience=12)

    def published(self) -> Mapping[str, Published]:
        """Table 1, on Penn Treebank; another text has other figures."""
        values = {"lstm": 1.36, "gru": 1.37, "rnn": 1.48, "tcn": 1.31}
        return row(values, 3_000_000, f"{BAI}, table 1, Penn Treebank")
