"""What age alone says: the actuary's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.spec import Project
from train.data.history import History
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task


def mean_life(project: Project, task: Task, parts: Split) -> Predict:
    """The mean label of the training lives at the same age, of those that lived that long; sensors do not matter.

    Age is counted from the first reading a record has, so a record that begins in mid-life is taken for a new machine.
    Behind the oldest training life its last label stands. Censored lives are left out, as the ridges leave them out.
    """
    known = [task.labels(h) for h in parts.train if task.truth(h) is not None]
    oldest = max(len(label.value) for label in known)
    total, count = np.zeros((oldest, known[0].value.shape[1])), np.zeros((oldest, known[0].value.shape[1]))
    for label in known:
        total[: len(label.value)] += label.value * label.weight
        count[: len(label.value)] += label.weight
    # An age of which nothing is known says what the age before it did.
    seen = np.maximum.accumulate(np.where(count > 0, np.arange(oldest)[:, None], 0), axis=0)
    mean = np.take_along_axis(total / np.maximum(count, 1.0), seen, axis=0).astype(np.float32)

    def predict(histories: Sequence[History]) -> list[Array]:
        return [mean[np.minimum(np.arange(len(h)), oldest - 1)] for h in histories]

    return predict
