"""What simple models look at: rolling statistics of scaled readings, none of which looks ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from train.data.history import History, inputs
from train.data.scale import Scaler

if TYPE_CHECKING:
    from train.tasks.base import Array

Rows = NDArray[np.float64]

WINDOW, RECENT = 30, 5
"""Readings the rolling statistics look back, and those that count as recent."""

LIFE_WINDOWS = (10, 30, 100)
"""Readings the means of the life ridge look back."""

Statistics = Callable[[History, Scaler], Rows]
"""A history's features [T, F], the one at t of the readings up to t alone."""


def window_statistics(history: History, scaler: Scaler) -> Rows:
    """[T, 3 C + 1]: mean and least-squares slope of each scaled channel over the last 30 readings (or all so far), its
    mean over the last 5, and how many readings the window holds. Nothing here looks ahead.
    """
    x = scaled(history, scaler)
    t = np.arange(len(x), dtype=np.float64)[:, None]
    n = np.minimum(t + 1, WINDOW)
    # Time inside the window runs 0 … n - 1: its sums are closed forms, every other sum a difference of cumulated ones.
    total, moment = _window_sum(x, WINDOW), _window_sum(x * t, WINDOW)
    middle = t - (n - 1) / 2
    spread = n * (n * n - 1) / 12
    slope = np.where(n > 1, (moment - middle * total) / np.maximum(spread, 1.0), 0.0)
    return np.concatenate([total / n, slope, _window_mean(x, RECENT), n], axis=1)


def life_statistics(history: History, scaler: Scaler) -> Rows:
    """[T, 3 C + 1]: mean of each scaled channel over the last 10, 30 and 100 readings (or all so far), and how many
    readings there were. Nothing here looks ahead.
    """
    x = scaled(history, scaler)
    age = np.arange(1, len(x) + 1, dtype=np.float64)[:, None]
    return np.concatenate([*(_window_mean(x, window) for window in LIFE_WINDOWS), age], axis=1)


def scaled(history: History, scaler: Scaler) -> Rows:
    """[T, C] the readings as a family sees them, what is missing held."""
    with torch.no_grad():
        x: Array = scaler(torch.from_numpy(inputs(history, scaler.fill))).numpy()
    return x.astype(np.float64)


def _window_mean(values: Rows, window: int) -> Rows:
    held = np.minimum(np.arange(1, len(values) + 1), window)[:, None]
    mean: Rows = _window_sum(values, window) / held
    return mean


def _window_sum(values: Rows, window: int) -> Rows:
    running = np.cumsum(values, axis=0)
    running[window:] -= running[:-window].copy()
    return running
