"""Logistic regressions: what a model of probabilities must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.spec import Project
from train.baselines import CELLS, ROWS, Rows, Statistics, life_statistics, window_statistics
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse penalties that the validation machines choose from."""

SURE = 1e-4
"""Nobody is surer than this, so that one surprise does not cost everything."""


def logistic(project: Project, task: Task, parts: Split) -> Predict:
    """Logistic regression on rolling statistics of the last 30 readings."""
    return _fitted(project, task, parts, window_statistics)


def life_logistic(project: Project, task: Task, parts: Split) -> Predict:
    """Logistic regression that knows the machine's age and its mean over the last 10, 30 and 100 readings."""
    return _fitted(project, task, parts, life_statistics)


def _fitted(project: Project, task: Task, parts: Split, statistics: Statistics) -> Predict:
    """Scaled on training machines, its penalty chosen by validation machines, then fitted to both; readings whose label
    nobody knows are left out. The share of failures where there is only one kind of label.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = Scaler.fit(parts.train, project)
    rng = np.random.default_rng(project.train.seed)

    def rows_of(histories: Sequence[History]) -> tuple[Rows, Rows]:
        taught = [(statistics(h, scaler), task.labels(h)) for h in histories]
        known = [label.weight[:, 0] > 0 for _, label in taught]
        rows = np.concatenate([row[k] for (row, _), k in zip(taught, known, strict=True)])
        wanted = np.concatenate([label.value[k, 0] for (_, label), k in zip(taught, known, strict=True)])
        return rows, wanted.astype(np.float64)

    def fitted(strength: float, rows: Rows, wanted: Rows) -> Any:
        chosen = rng.permutation(len(rows))[: min(ROWS, CELLS // rows.shape[1])]
        if len(np.unique(wanted[chosen])) < 2:
            return float(wanted.mean())
        steps = (StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        return make_pipeline(*steps).fit(rows[chosen], wanted[chosen] > 0)

    def answer(model: Any, rows: Rows) -> Rows:
        found = np.full(len(rows), model) if isinstance(model, float) else model.predict_proba(rows)[:, 1]
        return np.asarray(np.clip(found, SURE, 1 - SURE), np.float64)

    rows, wanted = rows_of(parts.train)
    exam, answers = rows_of(parts.validation)

    def loss(strength: float) -> float:
        p = answer(fitted(strength, rows, wanted), exam)
        return float(-np.mean(np.where(answers > 0, np.log(p), np.log(1 - p))))

    best = fitted(min(STRENGTHS, key=loss), np.concatenate([rows, exam]), np.concatenate([wanted, answers]))

    def predict(histories: Sequence[History]) -> list[Array]:
        return [answer(best, statistics(h, scaler)).astype(np.float32)[:, None] for h in histories]

    return predict
