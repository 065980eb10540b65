"""JSB Chorales: which of 88 keys sound next, in 382 chorales by J. S. Bach."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError, ProjectError
from train.sequence.base import BAI, SURE, Asked, Batch, Examples, Places, Plan, Published, SequenceTask, row, tensor

KEYS = 88
PARTS = {"training": "traindata", "validation": "validdata", "test": "testdata"}
"""Part -> its name in the file of Boulanger-Lewandowski, Bengio & Vincent 2012."""
TCN = {"kernel": 3, "levels": 2, "channels": 150, "dropout": 0.5}


class Rolls(Examples):
    """Piano rolls [T, 88] of 0 and 1; the keys of the next moment are right."""

    def __init__(self, rolls: Sequence[NDArray[Any]]) -> None:
        self.rolls = [np.asarray(roll, dtype=np.float32) for roll in rolls]

    def __len__(self) -> int:
        return len(self.rolls)

    def batch(self, places: Places) -> Batch:
        """x, y [B, T, 88], zeros behind the end of a shorter piece."""
        rolls = [self.rolls[at] for at in places]
        x, y = (np.zeros((len(rolls), max(map(len, rolls)) - 1, KEYS), np.float32) for _ in range(2))
        counted = torch.zeros(x.shape[:2], dtype=torch.bool)
        for i, roll in enumerate(rolls):
            x[i, : len(roll) - 1], y[i, : len(roll) - 1] = roll[:-1], roll[1:]
            counted[i, : len(roll) - 1] = True
        return Batch(tensor(x), tensor(y), counted)


class Chorales(SequenceTask):
    """Boulanger-Lewandowski, Bengio & Vincent 2012, with their parts and the loss of Bai, Kolter & Koltun 2018: the
    negative log likelihood of a moment, summed over its keys, each a yes or no.
    """

    summary = "the keys of the next moment of a chorale, many to many"
    source = BAI
    metric = "NLL"
    unit = "nats a moment"
    takes = frozenset({"data"})
    budget = 300_000
    fixed_length = False
    inputs = KEYS
    outputs = KEYS

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        parts = _read(_file(asked.data))
        self.training, self.validation, self.test = (Rolls(parts[name]) for name in PARTS.values())
        self._keys = np.concatenate(self.training.rolls)
        self.length = max(map(len, self.training.rolls)) - 1

    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """The negative log likelihood of each moment."""
        each = F.binary_cross_entropy_with_logits(y, batch.y, reduction="none").sum(-1)
        return each[batch.counted]

    def descended(self, terms: Tensor) -> Tensor:
        """The sum over a piece, as in the paper's code; its gradient is always longer than the clip."""
        return terms.sum()

    def right(self, batch: Batch) -> Tensor:
        """Yes for each key that sounds, no for all others."""
        return SURE * (2 * batch.y - 1)

    @classmethod
    def tiny(cls, folder: Path) -> Asked:
        """A handful of pieces of noise, of different lengths."""
        from scipy.io import savemat

        rng = np.random.default_rng(0)
        parts = {}
        for name, count in zip(PARTS.values(), (5, 3, 4), strict=True):
            parts[name] = np.empty((1, count), dtype=object)
            for i in range(count):
                parts[name][0, i] = (rng.random((5 + 2 * i, KEYS)) < 0.05).astype(np.float64)
        savemat(folder / "pieces.mat", parts)
        return Asked(data=folder / "pieces.mat")

    def naive(self) -> float:
        """Every key as often as in the training part, whatever sounded before."""
        assert isinstance(self.test, Rolls)
        often = self._keys.mean(0, dtype=np.float64).clip(1e-4, 1 - 1e-4)
        truth = np.concatenate([roll[1:] for roll in self.test.rolls])
        return float(-(truth * np.log(often) + (1 - truth) * np.log(1 - often)).sum(1).mean())

    def plan(self, family: str) -> Plan:
        """Adam 1e-3, one piece at a time, clipped at 0.4, dropout 0.5, 100 epochs, as the paper's TCN."""
        if family == "tcn":
            return Plan(1e-3, 1, 100, clip=0.4, options=TCN, patience=25)
        return Plan(1e-3, 1, 100, clip=0.4, dropout=0.5, patience=15)

    def published(self) -> Mapping[str, Published]:
        """Table 1."""
        return row({"lstm": 8.45, "gru": 8.43, "rnn": 8.91, "tcn": 8.10}, 300_000, f"{BAI}, table 1")

    def probe(self) -> Tensor:
        """The longer half of the validation pieces, cut at its shortest."""
        assert isinstance(self.validation, Rolls)
        lengths = np.array([len(roll) for roll in self.validation.rolls])
        places = np.flatnonzero(lengths >= np.median(lengths))
        return self.validation.batch(places).x[:, : int(lengths[places].min()) - 1]


def _file(data: Path | None) -> Path:
    """The file the user named, or the one in `$EDGE_DATA`."""
    if data is not None:
        return data
    if "EDGE_DATA" not in os.environ:
        raise ProjectError("task `jsb` needs JSB_Chorales.mat: say where it is with --data FILE, or export EDGE_DATA=…")
    return Path(os.environ["EDGE_DATA"]) / "poly_music" / "JSB_Chorales.mat"


def _read(path: Path) -> dict[str, list[NDArray[Any]]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise DataError(f"there is no file `{path}`; say where JSB_Chorales.mat is with --data FILE")
    try:
        table = loadmat(path)
        parts = {name: list(table[name].ravel()) for name in PARTS.values()}
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MatReadError) as error:
        raise DataError(f"`{path}` is no file of piano rolls ({error}); it has {', '.join(PARTS.values())}") from error
    for name, rolls in parts.items():
        if not rolls or any(np.ndim(roll) != 2 or roll.shape[1] != KEYS or len(roll) < 2 for roll in rolls):
            raise DataError(f"`{path}`: `{name}` must hold rolls of {KEYS} keys and at least 2 moments")
    return parts
