"""Detectors without a forecast: what an anomaly model must beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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

EXPLAINED = 0.9
"""Share of the variance that the principal components explain."""

SMALL = 1e-9


def persistence(project: Project, task: Task, parts: Split) -> Predict:
    """The jump from one reading to the next: mean square over the signals, each in its usual jumps."""
    scaled = _scaler(project, task, parts)
    jumps = np.concatenate([np.diff(scaled(h), axis=0) for h in task.taught(parts.train)])
    usual = np.maximum(jumps.std(0), SMALL)

    def score(history: History) -> Rows:
        steps = np.diff(scaled(history), axis=0, prepend=scaled(history)[:1])
        return np.asarray(((steps / usual) ** 2).mean(1), np.float64)

    return _levelled(project, task, parts, [score])


def principal(project: Project, task: Task, parts: Split) -> Predict:
    """Hotelling's T² within the principal components that explain 90 % of the variance, and the squared prediction
    error outside them (Jackson & Mudholkar 1979), whichever is higher; each reading for itself, as in the field.
    """
    scaled = _scaler(project, task, parts)
    seen = np.concatenate([scaled(h) for h in task.taught(parts.train)])
    values, vectors = np.linalg.eigh(np.cov(seen.T).reshape(seen.shape[1], -1))
    values, vectors = np.maximum(values[::-1], SMALL), vectors[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(values) / values.sum(), EXPLAINED)) + 1

    def t_squared(history: History) -> Rows:
        along = scaled(history) @ vectors[:, :kept]
        return np.asarray((along * along / values[:kept]).sum(1), np.float64)

    def spe(history: History) -> Rows:
        across = scaled(history) @ vectors[:, kept:]
        return np.asarray((across * across).sum(1), np.float64)

    return _levelled(project, task, parts, [t_squared, spe] if kept < len(values) else [t_squared])


def never(project: Project, task: Task, parts: Split) -> Predict:
    """Nothing is ever anomalous."""
    return lambda histories: [np.zeros((len(h), len(task.outputs)), np.float32) for h in histories]


def _scaler(project: Project, task: Task, parts: Split) -> Callable[[History], Rows]:
    scaler = Scaler.fit(task.taught(parts.train), project)

    def scaled(history: History) -> Rows:
        with torch.no_grad():
            x: Array = scaler(torch.from_numpy(inputs(history, scaler.fill))).numpy()
        return x.astype(np.float64)

    return scaled


def _levelled(project: Project, task: Task, parts: Split, scores: Sequence[Callable[[History], Rows]]) -> Predict:
    """The highest of `scores`, each in shares of the level that `task.false_alarms` of the healthy validation readings
    exceed; of single signals nothing is said.
    """
    unwarm, options = project.timing.warm_up_readings - 1, task.options
    healthy = task.taught(parts.validation)
    levels = [
        max(float(np.quantile(np.concatenate([of(h)[unwarm:] for h in healthy]), 1 - options.false_alarms)), SMALL)
        for of in scores
    ]

    def predict(histories: Sequence[History]) -> list[Array]:
        answers = []
        for h in histories:
            answer = np.zeros((len(h), len(task.outputs)), np.float32)
            highest = np.max([of(h) / level for of, level in zip(scores, levels, strict=True)], axis=0)
            answer[:, 0] = np.minimum(highest, options.highest)
            answers.append(answer)
        return answers

    return predict
