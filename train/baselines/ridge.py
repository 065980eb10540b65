"""Quadratic ridge regression on rolling statistics: what a maintenance engineer would try, and often hard to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.spec import Project
from train.baselines.statistics import WINDOW, Rows, Statistics, life_statistics, window_statistics
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Ridge penalties that the validation machines choose from."""

ROWS, CELLS = 30_000, 1 << 25
"""Training rows of the ridge at most, drawn at random, and rows times features: beyond that it only gets slower."""

QUADRATIC = 128
"""Statistics up to which their products are features too; there are too many of them beyond."""


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
