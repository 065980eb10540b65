"""Honest baselines: what a model must beat before anyone should care about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge.spec import Project
from train.data.history import History, inputs
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task

Rows = NDArray[np.float64]

WINDOW, RECENT = 30, 5
"""Readings the rolling statistics look back, and those that count as recent."""

LIFE_WINDOWS = (10, 30, 100)
"""Readings the means of the life ridge look back."""

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Ridge penalties that the validation machines choose from."""

ROWS, CELLS = 30_000, 1 << 25
"""Training rows of the ridge at most, drawn at random, and rows times features: beyond that it only gets slower."""

QUADRATIC = 128
"""Statistics up to which their products are features too; there are too many of them beyond."""


def constant(project: Project, task: Task, parts: Split) -> Predict:
    """The mean label of the training readings, always."""
    labels = [task.labels(h) for h in parts.train]
    value, weight = (np.concatenate([getattr(label, name) for label in labels]) for name in ("value", "weight"))
    mean = ((value * weight).sum(0) / np.maximum(weight.sum(0), 1.0)).astype(np.float32)
    return lambda histories: [np.tile(mean, (len(h), 1)) for h in histories]


def ridge(project: Project, task: Task, parts: Split) -> Predict:
    """Quadratic ridge regression on rolling statistics of the last 30 readings: what a maintenance engineer would try.

    It is shown mid-life starts like the model. Of those only the readings whose window is still filling are new to it:
    behind them it sees what it sees of the whole life.
    """

    def late(history: History, rng: np.random.Generator) -> tuple[History, int]:
        return history.window(int(rng.integers(0, len(history) - 1)), len(history)), WINDOW - 1

    return _fitted(project, task, parts, window_statistics, late)


def life_ridge(project: Project, task: Task, parts: Split) -> Predict:
    """Quadratic ridge regression that knows the machine's age and its mean over the last 10, 30 and 100 readings.

    The strongest simple answer where every record begins with the machine's first reading, and of no use where one
    begins in mid-life: it then takes an old machine for a new one. (Being shown such starts makes it worse at both.)
    """
    return _fitted(project, task, parts, life_statistics, None)


Statistics = Callable[[History, Scaler], Rows]
"""A history's features [T, F], the one at t of the readings up to t alone."""

Late = Callable[[History, np.random.Generator], tuple[History, int]]
"""A mid-life start of a history, and how many of its first readings to learn from."""


def _fitted(project: Project, task: Task, parts: Split, statistics: Statistics, late: Late | None) -> Predict:
    """A ridge, scaled on training machines, its penalty chosen by validation machines, then fitted to both.

    Censored lives are left out: a square loss knows no bounds.
    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    scaler = Scaler.fit(parts.train, project)
    rng = np.random.default_rng(project.train.seed)

    def rows_of(histories: Sequence[History]) -> tuple[Rows, Rows]:
        rows, wanted = [], []
        for history in (h for h in histories if task.truth(h) is not None):
            shown = [(history, len(history))] if late is None else [(history, len(history)), late(history, rng)]
            rows += [statistics(one, scaler)[:first] for one, first in shown]
            wanted += [task.labels(one).value[:first] for one, first in shown]
        return np.concatenate(rows), np.concatenate(wanted).astype(np.float64)

    rows, wanted = rows_of(parts.train)
    columns = rows.shape[1]
    degree = 2 if columns <= QUADRATIC else 1
    features = columns * (columns + 3) // 2 if degree == 2 else columns
    exam, answers = rows_of(parts.validation)
    low, high = wanted.min(), wanted.max()

    def fitted(penalty: float, seen: Rows, right: Rows) -> Any:
        chosen = rng.permutation(len(seen))[: min(ROWS, CELLS // features)]
        steps = (StandardScaler(), PolynomialFeatures(degree, include_bias=False), StandardScaler(), Ridge(penalty))
        return make_pipeline(*steps).fit(seen[chosen], right[chosen])

    def answer(model: Any, seen: Rows) -> Rows:
        pieces = np.array_split(seen, -(-len(seen) * features // CELLS))
        found = [model.predict(piece).reshape(len(piece), -1) for piece in pieces]
        return np.asarray(np.clip(np.concatenate(found), low, high))

    def loss(penalty: float) -> float:
        return float(((answer(fitted(penalty, rows, wanted), exam) - answers) ** 2).mean())

    best = fitted(min(PENALTIES, key=loss), np.concatenate([rows, exam]), np.concatenate([wanted, answers]))

    def predict(histories: Sequence[History]) -> list[Array]:
        ends = np.cumsum([len(h) for h in histories])[:-1]
        seen = np.concatenate([statistics(h, scaler) for h in histories])
        return np.split(answer(best, seen).astype(np.float32), ends)

    return predict


def window_statistics(history: History, scaler: Scaler) -> Rows:
    """[T, 3 C + 1]: mean and least-squares slope of each scaled channel over the last 30 readings (or all so far), its
    mean over the last 5, and how many readings the window holds. Nothing here looks ahead.
    """
    x = _scaled(history, scaler)
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
    x = _scaled(history, scaler)
    age = np.arange(1, len(x) + 1, dtype=np.float64)[:, None]
    return np.concatenate([*(_window_mean(x, window) for window in LIFE_WINDOWS), age], axis=1)


def _scaled(history: History, scaler: Scaler) -> Rows:
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
