"""The healthy mean: what a prediction is explained against. Measured at conversion, looked up by `edge explain`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edge.manifest import Healthy, Manifest
from train.data.history import History
from train.run import Run

LEAST = 10
"""Healthy readings of an operating condition below which its mean is no mean."""


def healthy(run: Run) -> tuple[Healthy, ...]:
    """The mean of every channel over the healthy readings of the training side (`Task.healthy`), one row for each
    operating condition, or a single one where the project knows none. Empty where no reading is healthy.
    """
    kept = [_healthy(run, history) for history in run.calibration]
    x = np.concatenate(kept) if kept else np.empty((0, len(run.project.channels)))
    known = ~np.isnan(x)
    if not known.any():
        return ()
    fill = run.predictor.scaler.fill.astype(np.float64)
    whole = _mean(x, fill)
    if not run.predictor.scaler.columns:
        return (_row(whole),)
    seen = torch.from_numpy(np.where(known, x, fill).astype(np.float32))
    with torch.no_grad():
        share = run.predictor.scaler.membership(seen).argmax(-1).numpy()
    groups = [x[share == k] for k in np.unique(share)]
    return tuple(_row(_mean(group, whole)) for group in groups if len(group) >= LEAST) or (_row(whole),)


def baseline(manifest: Manifest, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a healthy machine shows at the same conditions: [N, C] for readings x [N, C].

    The regime columns are those of `x` themselves: a condition is no fault. Where the bundle does not know what is
    healthy, it is the training mean (`Channel.fill`).
    """
    columns = held(manifest)
    if manifest.healthy:
        rows = np.array([row.values for row in manifest.healthy], np.float32)
        near = np.zeros(len(x), np.intp)
        if columns and len(rows) > 1:
            centres = rows[:, columns]
            spread = np.ptp(centres, axis=0)
            away = (x[:, None, columns] - centres) / np.where(spread > 0, spread, 1.0)
            near = np.square(away).sum(-1).argmin(-1)
        found = rows[near]
    else:
        found = np.repeat(np.array([[c.fill for c in manifest.channels]], np.float32), len(x), axis=0)
    found[:, columns] = x[:, columns]
    return found


def held(manifest: Manifest) -> list[int]:
    """Places of the channels that describe the operating condition."""
    return [manifest.project.channels.index(c) for c in manifest.project.regime.columns]


def _healthy(run: Run, history: History) -> NDArray[np.float64]:
    """Its healthy readings [T, C], NaN where a channel had no value of its own."""
    x = np.where(history.mask, history.x, np.nan).astype(np.float64)
    return x[run.predictor.task.healthy(history)]


def _mean(x: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(x)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, x, 0.0).sum(axis=0) / np.maximum(count, 1), otherwise)


def _row(mean: NDArray[np.float64]) -> Healthy:
    return Healthy(tuple(float(np.float32(v)) for v in mean))
