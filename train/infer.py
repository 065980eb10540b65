"""Predictions for whole histories, batch by batch: the parallel form at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from train.data.history import History
from train.predictor import Predictor
from train.tasks.base import Array

AT_ONCE = 64
"""Histories that run at once, at most."""

READINGS = 1 << 16
"""Readings that run at once, padding included: bounds the memory that long histories take."""


def predict(predictor: Predictor, histories: Sequence[History]) -> list[Array]:
    """Predictions [T, O] in the task's units for each history, each from the initial state."""
    found: list[Array] = [np.empty((0, len(predictor.task.outputs)), np.float32)] * len(histories)
    training = predictor.training
    predictor.eval()
    with torch.no_grad():
        for group in grouped([len(h) for h in histories]):
            # Causal models do not see what is padded behind a history.
            x = nn.utils.rnn.pad_sequence([torch.from_numpy(predictor.rows(histories[i])) for i in group], True)
            y = predictor(*predictor.parts(x)).numpy()
            for row, i in enumerate(group):
                found[i] = y[row, : len(histories[i])]
    predictor.train(training)
    return found


def grouped(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of histories that run together: similar lengths, so that little is padded, and never too many readings."""
    group: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if group and (len(group) == AT_ONCE or (len(group) + 1) * lengths[i] > READINGS):
            yield group
            group = []
        group.append(i)
    if group:
        yield group
