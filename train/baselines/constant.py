"""The baseline that looks at nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.spec import Project
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Predict, Task


def constant(project: Project, task: Task, parts: Split) -> Predict:
    """The mean label of the training readings, always."""
    labels = [task.labels(h) for h in parts.train]
    value, weight = (np.concatenate([getattr(label, name) for label in labels]) for name in ("value", "weight"))
    mean = ((value * weight).sum(0) / np.maximum(weight.sum(0), 1.0)).astype(np.float32)
    return lambda histories: [np.tile(mean, (len(h), 1)) for h in histories]
