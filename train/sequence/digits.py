"""Sequential MNIST: a handwritten digit, pixel by pixel, optionally in one fixed random order."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError, ProjectError
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
    row,
    sure,
    tensor,
    whole,
)

MEAN, DEVIATION = 0.1307, 0.3081
"""Of the pixels of the training images, from 0 to 1."""
VALIDATE = 5_000
"""Training images at the end of the file that are held back."""
ORDER = 0
"""Seed of the permutation, the same whatever the seed of a run."""
TCN = {"kernel": 7, "levels": 8, "channels": 25, "dropout": 0.0}
CLASSES = 10
MAGIC = {"images": 2051, "labels": 2049}


class Pixels(Examples):
    """`images` [N, P] of bytes, pixel by pixel, and their `labels` [N]."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, places: Places) -> Batch:
        """x [B, P, 1], standardised; y [B], the digit."""
        x = (self.images[places].astype(np.float32) / 255 - MEAN) / DEVIATION
        return Batch(tensor(x[..., None]), whole(self.labels[places]), at_end(*x.shape))


class Digits(SequenceTask):
    """LeCun et al. 1998 as a sequence (Le, Jaitly & Hinton 2015, section 4.2); with `permuted` the order of the pixels
    is drawn once. Settings of Bai, Kolter & Koltun 2018.
    """

    summary = "a handwritten digit of 784 pixels, one at a time, many to one"
    source = BAI
    metric = "accuracy"
    unit = "%"
    higher = True
    takes = frozenset({"data", "permuted"})
    budget = 70_000
    exams = 4
    inputs = 1
    outputs = CLASSES

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        if asked.data is None:
            raise ProjectError("task `mnist` needs the four MNIST files: say where they are with --data FOLDER")
        images, labels = (_read(asked.data, "train", kind) for kind in MAGIC)
        test = Pixels(_read(asked.data, "t10k", "images"), _read(asked.data, "t10k", "labels"))
        back = min(VALIDATE, len(images) // 6)
        if back < 1 or len(images) != len(labels) or len(test.images) != len(test.labels):
            raise DataError(f"`{asked.data}`: images and labels do not belong together; take all four files of one set")
        self.training = Pixels(images[:-back], labels[:-back])
        self.validation = Pixels(images[-back:], labels[-back:])
        self.test = test
        self.length = images.shape[1]
        if asked.permuted:
            order = np.random.default_rng(ORDER).permutation(self.length)
            for examples in (self.training, self.validation, self.test):
                examples.images = np.ascontiguousarray(examples.images[:, order])

    def terms(self, y: Tensor, batch: Batch) -> Tensor:
        """The cross entropy of each image."""
        return F.cross_entropy(last(y), batch.y, reduction="none")

    def figures(self, y: Tensor, batch: Batch) -> Tensor:
        """100 for each image that was recognised."""
        return 100.0 * (last(y).argmax(-1) == batch.y).float()

    def right(self, batch: Batch) -> Tensor:
        """The digit, at all times."""
        return sure(batch.y, CLASSES).unsqueeze(1).expand(-1, batch.x.shape[1], -1)

    @classmethod
    def tiny(cls, folder: Path) -> Asked:
        """Noise of 3 × 4 pixels, as idx files, the training images compressed."""
        rng = np.random.default_rng(0)
        for part, count in (("train", 60), ("t10k", 20)):
            images = struct.pack(">IIII", MAGIC["images"], count, 3, 4) + rng.bytes(12 * count)
            labels = struct.pack(">II", MAGIC["labels"], count) + rng.integers(0, CLASSES, count, np.uint8).tobytes()
            (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
            (folder / f"{part}-labels.idx1-ubyte").write_bytes(labels)
        return Asked(data=folder)

    def naive(self) -> float:
        """Always the digit that is most common in training."""
        assert isinstance(self.training, Pixels) and isinstance(self.test, Pixels)
        guess = np.bincount(self.training.labels, minlength=CLASSES).argmax()
        return float(100 * (self.test.labels == guess).mean())

    def plan(self, family: str) -> Plan:
        """Adam 2e-3 for the TCN, as in the paper; 1e-3, clipped at 1, for all others."""
        if family == "tcn":
            return Plan(2e-3, 64, 20, options=TCN)
        return Plan(1e-3, 64, 20, clip=1.0)

    def published(self) -> Mapping[str, Published]:
        """Table 1."""
        if self.asked.permuted:
            values = {"lstm": 85.7, "gru": 87.3, "rnn": 25.3, "tcn": 97.2}
            return row(values, 70_000, f"{BAI}, table 1, permuted")
        return row({"lstm": 87.2, "gru": 96.2, "rnn": 21.5, "tcn": 99.0}, 70_000, f"{BAI}, table 1, sequential")


def _read(folder: Path, part: str, kind: str) -> NDArray[np.uint8]:
    """An idx file, as it is or compressed: images as [N, pixels], labels as [N]."""
    shape = "idx3" if kind == "images" else "idx1"
    names = [f"{part}-{kind}{dot}{shape}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"there is no `{names[0]}` (nor with .gz) in `{folder}`; the four files of MNIST belong there")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        magic, count = struct.unpack(">II", content[:8])
        dims = struct.unpack(">II", content[8:16]) if kind == "images" else ()
        values = np.frombuffer(content, np.uint8, offset=8 + 4 * len(dims))
        if magic != MAGIC[kind] or count == 0 or len(values) != count * int(np.prod(dims)):
            raise ValueError("its head and its size disagree")
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DataError(f"`{path}` is no idx file of {kind} ({error}); copy it again") from error
    return values.reshape((count, -1) if dims else count)
