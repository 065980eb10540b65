"""The contract of a task: labels and weights from histories, loss, metrics, units, and the keys of its alarm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge.spec import AlarmSpec
from train.data.history import History

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TaskOptions:
    """Keys of `[task]` that a task knows, with their defaults; a task extends it."""


@dataclass(frozen=True)
class Labels:
    """What a life teaches. `value` [T, O] in the task's units; `weight` [T, O], 0 where nothing is known; `censored` [T]
    is true where the value is only a bound (the record ended before the failure)."""

    value: Array
    weight: Array
    censored: NDArray[np.bool_]


class Task(ABC):
    """What is predicted. `outputs` is the table of outputs (name, unit); `headline` names the error the certificate uses."""

    Options: ClassVar[type[TaskOptions]] = TaskOptions
    outputs: tuple[tuple[str, str], ...]
    headline: str

    def __init__(self, options: Any, alarm: AlarmSpec) -> None:
        """`options` an instance of `Options`. Raises ProjectError where `alarm` has keys this task does not know."""
        self.options = options
        self.alarm = alarm

    @abstractmethod
    def labels(self, history: History) -> Labels:
        """The labels of one life."""

    @abstractmethod
    def loss(self, raw: Tensor, value: Tensor, weight: Tensor, censored: Tensor) -> Tensor:
        """Scalar loss of the family's raw output [B, T, O] against labels in the task's units."""

    @abstractmethod
    def units(self, raw: Tensor) -> Tensor:
        """The family's raw output [..., O] in the task's units; part of every exported file, so plain tensor operations only."""

    @abstractmethod
    def error(self, histories: Sequence[History], predictions: Sequence[Array]) -> float:
        """The headline error of predictions [T, O] for histories whose truth is known; lower is better."""
