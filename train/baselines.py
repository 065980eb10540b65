"""Honest baselines: what a model must beat before anyone should care about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge.spec import Project
from train.data.history import History, inputs
from train.data.scale import Scaler
from train.data.split import Split
from train.evaluate import Predict
from train.tasks.base import Array, Task

WINDOW, RECENT = 30, 5
"""Readings the rolling statistics look back, and those that count as recent."""

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
    """Quadratic ridge regression on rolling statistics of the last 30 readings.

    Like the model it is scaled on training machines, tuned on validation machines, and shown mid-life starts; it then
    learns from the validation machines too, because nothing else needs them. Lives that did not fail are left out: a
    square loss knows no bounds.
    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    scaler = Scaler.fit(parts.train, project)
    rng = np.random.default_rng(project.train.seed)
    rows, wanted = _rows(parts.train, task, scaler, rng)
    columns = rows.shape[1]
    degree = 2 if columns <= QUADRATIC else 1
    features = columns * (columns + 3) // 2 if degree == 2 else columns
    exam, answers = _rows(parts.validation, task, scaler, rng)
    low, high = wanted.min(), wanted.max()

    def fitted(penalty: float, seen: NDArray[np.float64], right: NDArray[np.float64]) -> Any:
        chosen = rng.permutation(len(seen))[: min(ROWS, CELLS // features)]
        steps = (StandardScaler(), PolynomialFeatures(degree, include_bias=False), StandardScaler(), Ridge(penalty))
        return make_pipeline(*steps).fit(seen[chosen], right[chosen])

    def answer(model: Any, seen: NDArray[np.float64]) -> NDArray[np.float64]:
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


def _rows(
    histories: Sequence[History], task: Task, scaler: Scaler, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Statistics [N, F] and labels [N, O] of the failed lives, each a second time from a random mid-life start: only
    the readings there whose window is still filling, since behind them both are the same.
    """
    rows, wanted = [], []
    for history in histories:
        if history.failed:
            late = history.window(int(rng.integers(0, len(history) - 1)), len(history))
            rows += [statistics(history, scaler), statistics(late, scaler)[: WINDOW - 1]]
            wanted += [task.labels(history).value, task.labels(late).value[: WINDOW - 1]]
    return np.concatenate(rows), np.concatenate(wanted).astype(np.float64)


def statistics(history: History, scaler: Scaler) -> NDArray[np.float64]:
    """[T, 3 C + 1]: mean and least-squares slope of each scaled channel over the last 30 readings (or all so far), its
    mean over the last 5, and how many readings the window holds. Nothing here looks ahead.
    """
    with torch.no_grad():
        x = scaler(torch.from_numpy(inputs(history, scaler.fill))).numpy().astype(np.float64)
    t = np.arange(len(x), dtype=np.float64)[:, None]
    n = np.minimum(t + 1, WINDOW)
    # Time inside the window runs 0 … n - 1: its sums are closed forms, every other sum a difference of cumulated ones.
    total, moment = _window_sum(x, WINDOW), _window_sum(x * t, WINDOW)
    middle = t - (n - 1) / 2
    spread = n * (n * n - 1) / 12
    slope = np.where(n > 1, (moment - middle * total) / np.maximum(spread, 1.0), 0.0)
    return np.concatenate([total / n, slope, _window_sum(x, RECENT) / np.minimum(t + 1, RECENT), n], axis=1)


def _window_sum(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    running = np.cumsum(values, axis=0)
    running[window:] -= running[:-window].copy()
    return running


BASELINES = {"ridge": ridge, "constant": constant}
"""Name -> how it is fitted: (project, task, split) -> predictions; the split's test group is not for it."""
