"""What files are compared on: every held-out life, and a few recorded streams that travel in the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.predictor import Predictor

Array = NDArray[np.float32]

GOLDEN_STEPS = 256
"""Golden streams are cut here; a model with a longer memory gets three memories."""
DRIFT_STEPS = 10_000
DRIFT_KEPT = 1_000


@dataclass(frozen=True)
class Stream:
    """`x` [T, W], rows of the predictor's, fed cyclically for `steps` readings.

    `torch` [N, O]: what the parallel forward says of the last N. `extras` [T, E]: what else the torch step says of each
    reading in the first round, one behind the other; no column where it says nothing else.
    """

    name: str
    x: Array
    steps: int
    torch: Array
    extras: Array


def forward(predictor: Predictor, x: Array) -> Array:
    """The parallel forward over one life: [T, W] -> [T, O]."""
    with torch.inference_mode():
        y: Array = predictor(*predictor.parts(torch.from_numpy(x)[None])).squeeze(0).numpy()
    return y


def extras(predictor: Predictor, x: Array) -> Array:
    """What the torch step says beside its predictions over one life: [T, W] -> [T, E]."""
    said: list[Tensor] = []
    count = len(predictor.extras)
    if count:
        state = predictor.init_state(1)
        with torch.inference_mode():
            for row in torch.from_numpy(x):
                _, *rest = predictor.step(*predictor.parts(row[None]), *state)
                said.append(torch.cat([extra.flatten() for extra in rest[:count]]))
                state = tuple(rest[count:])
    return torch.stack(said).numpy() if said else np.empty((len(x), 0), np.float32)


def golden(predictor: Predictor, lives: Sequence[tuple[str, Array]]) -> list[Stream]:
    """Three lives (shortest, middle, longest), and the same three in a row for thousands of free steps."""
    by_length = sorted(lives, key=lambda life: len(life[1]))
    chosen = [by_length[i] for i in sorted({0, len(by_length) // 2, len(by_length) - 1})]
    most = max(GOLDEN_STEPS, 3 * (predictor.memory or 0))
    cut = [(name, np.ascontiguousarray(x[-most:])) for name, x in chosen]
    streams = [Stream(name, x, len(x), forward(predictor, x), extras(predictor, x)) for name, x in cut]
    period = np.concatenate([x for _, x in cut])
    steps = max(DRIFT_STEPS, DRIFT_KEPT + len(period))
    endless = np.resize(period, (steps, period.shape[1]))  # repeats the rows in order
    last = forward(predictor, endless)[-DRIFT_KEPT:]
    return [*streams, Stream("drift", period, steps, last, np.concatenate([s.extras for s in streams]))]
