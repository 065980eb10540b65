"""The forecast that nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.spec import Project
from train.baselines.ahead import ahead
from train.data.history import History, inputs
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task


def persistence(project: Project, task: Task, parts: Split) -> Predict:
    """Every channel stays at its last value, at every horizon; before the first value, at its training mean."""
    wanted, fill = ahead(task, "persistence"), Scaler.fit(parts.train, project).fill

    def predict(histories: Sequence[History]) -> list[Array]:
        last = [inputs(h, fill)[:, list(wanted.predicted)] for h in histories]
        return [np.tile(x, (1, len(wanted.horizons))) for x in last]

    return predict
