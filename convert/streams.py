"""What files are compared on: every held-out life, and a few recorded streams that travel in the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from train.predictor import Predictor

Array = NDArray[np.float32]

GOLDEN_STEPS = 256
"""Golden streams are cut here; a model with a longer memory gets three memories."""
DRIFT_STEPS = 10_000
DRIFT_KEPT = 1_000


@dataclass(frozen=True)
class Stream:
    """`x` [T, C] fed cyclically for `steps` readings; `torch` [N, O]: what the parallel forward says of the last N."""

    name: str
    x: Array
    steps: int
    torch: Array


def forward(predictor: Predictor, x: Array) -> Array:
    """The parallel forward over one life: [T, C] -> [T, O]."""
    with torch.inference_mode():
        y: Array = predictor(torch.from_numpy(x).unsqueeze(0)).squeeze(0).numpy()
    return y


def golden(predictor: Predictor, lives: Sequence[tuple[str, Array]]) -> list[Stream]:
    """Three lives (shortest, middle, longest), and the same three in a row for thousands of free steps."""
    by_length = sorted(lives, key=lambda life: len(life[1]))
    chosen = [by_length[i] for i in sorted({0, len(by_length) // 2, len(by_length) - 1})]
    most = max(GOLDEN_STEPS, 3 * (predictor.memory or 0))
    cut = [(name, np.ascontiguousarray(x[-most:])) for name, x in chosen]
    streams = [Stream(name, x, len(x), forward(predictor, x)) for name, x in cut]
    period = np.concatenate([x for _, x in cut])
    steps = max(DRIFT_STEPS, DRIFT_KEPT + len(period))
    endless = np.resize(period, (steps, period.shape[1]))  # repeats the rows in order
    return [*streams, Stream("drift", period, steps, forward(predictor, endless)[-DRIFT_KEPT:])]
