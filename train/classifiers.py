"""Classifiers without a sequence model: what a class must be told better than by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edge.spec import Project
from train.baselines import CELLS, ROWS, Rows, window_statistics
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split
from train.logistic import STRENGTHS, SURE

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task
    from train.tasks.classify import Classify


def majority(project: Project, task: Task, parts: Split) -> Predict:
    """Each class as often as it was in training, always: the most frequent one is what it says."""
    classify = cast("Classify", task)
    counts = np.zeros(len(classify.classes))
    for label in map(task.labels, parts.train):
        np.add.at(counts, label.value[label.weight[:, 0] > 0, 0].astype(int), 1.0)
    said = classify.outputs_of((counts / max(counts.sum(), 1.0))[None])
    return lambda histories: [np.tile(said, (len(h), 1)) for h in histories]


def logistic(project: Project, task: Task, parts: Split) -> Predict:
    """Multinomial logistic regression on rolling statistics of the last 30 readings, its penalty chosen by validation
    machines, then fitted to both.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classify = cast("Classify", task)
    scaler = Scaler.fit(parts.train, project)
    rng = np.random.default_rng(project.train.seed)

    def rows_of(histories: Sequence[History]) -> tuple[Rows, Rows]:
        rows, wanted = [np.empty((0, 3 * len(project.channels) + 1))], [np.empty(0)]
        for h in histories:
            label = task.labels(h)
            known = label.weight[:, 0] > 0
            rows.append(window_statistics(h, scaler)[known])
            wanted.append(label.value[known, 0].astype(np.float64))
        return np.concatenate(rows), np.concatenate(wanted)

    def fitted(strength: float, rows: Rows, wanted: Rows) -> Any:
        chosen = rng.permutation(len(rows))[: min(ROWS, CELLS // rows.shape[1])]
        if len(np.unique(wanted[chosen])) < 2:
            return int(wanted[0])
        steps = (StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        return make_pipeline(*steps).fit(rows[chosen], wanted[chosen].astype(int))

    def answer(model: Any, rows: Rows) -> Rows:
        """Probabilities [N, K] of all classes; one that was not met has none."""
        found = np.zeros((len(rows), len(classify.classes)))
        if isinstance(model, int):
            found[:, model] = 1.0
        else:
            found[:, model.classes_] = model.predict_proba(rows)
        return found

    rows, wanted = rows_of(parts.train)
    exam, right = rows_of(parts.validation)

    def loss(strength: float) -> float:
        p = answer(fitted(strength, rows, wanted), exam)[np.arange(len(exam)), right.astype(int)]
        return float(-np.log(np.clip(p, SURE, 1.0)).mean()) if len(p) else 0.0

    best = fitted(min(STRENGTHS, key=loss), np.concatenate([rows, exam]), np.concatenate([wanted, right]))

    def predict(histories: Sequence[History]) -> list[Array]:
        return [classify.outputs_of(answer(best, window_statistics(h, scaler))) for h in histories]

    return predict
