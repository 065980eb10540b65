"""Forecasts without a model: what a forecast must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from edge.spec import Project
from train.data.history import History, inputs
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task
    from train.tasks.forecast import Forecast


def persistence(project: Project, task: Task, parts: Split) -> Predict:
    """All stays as it is: the present reading, at every horizon."""
    forecast = cast("Forecast", task)
    fill = Scaler.fit(parts.train, project).fill
    places = list(forecast.predicted)

    def predict(histories: Sequence[History]) -> list[Array]:
        return [np.tile(inputs(h, fill)[:, places], (1, len(forecast.horizons))) for h in histories]

    return predict
