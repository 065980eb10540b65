"""The contract of a task: labels and weights from histories, loss, metrics, units, and the keys of its alarm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError
from edge.spec import AlarmSpec
from train.data.history import History

Array = NDArray[np.float32]
Costs = NDArray[np.float64]

UNKNOWN = "the truth of no held-out history is known; hold back machines that ran to failure, or say what was left"
"""What a DataError says where there is nothing to judge by."""


@dataclass(frozen=True)
class TaskOptions:
    """Keys of `[task]` that a task knows, with their defaults; a task extends it."""


@dataclass(frozen=True)
class Labels:
    """What a life teaches. `value` [T, O] in the task's units; `weight` [T, O], 0 where nothing is known; `censored`
    [T] is true where the value is only a bound (the record ended before the failure).
    """

    value: Array
    weight: Array
    censored: NDArray[np.bool_]


@dataclass(frozen=True)
class Measure:
    """One figure about predictions; lower is better.

    `cost` takes predictions [N, O] and the truth [N, O] in the task's units and returns a cost each [N]; `total` makes
    one figure of them: the root of their mean, or their sum. `at`: the readings a history is judged at, or every
    reading.
    """

    key: str
    name: str
    unit: str
    cost: Callable[[Costs, Costs], Costs]
    total: Literal["root mean", "sum"] = "root mean"
    at: Literal["judged", "every"] = "judged"

    def over(self, costs: Costs, counts: Costs) -> Costs:
        """Figures of `costs`, each the sum of `counts` of them; both have the same shape."""
        return costs if self.total == "sum" else np.sqrt(costs / np.maximum(counts, 1.0))

    def figure(self, predicted: Sequence[Array], truths: Sequence[Array]) -> float:
        """One figure of pairs of predictions and truths, [N, O] each."""
        pairs = zip(predicted, truths, strict=True)
        costs = np.concatenate([self.cost(p.astype(np.float64), t.astype(np.float64)) for p, t in pairs])
        return float(self.over(costs.sum(keepdims=True), np.array([float(len(costs))]))[0])


class Task(ABC):
    """What is predicted.

    `outputs` is the table of outputs (name, unit), `measures` what predictions are judged by, the headline first. A
    history is judged at its last reading where the truth beyond it is known, and at random cut-offs where it ran to
    failure (the last reading of a life says nothing: there the answer is always zero). All of these are its cut-offs.
    """

    Options: ClassVar[type[TaskOptions]] = TaskOptions
    outputs: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]
    options: Any

    @property
    def headline(self) -> str:
        """Name of the error that `error` returns and the certificate uses."""
        return self.measures[0].name

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
        """The family's raw output [..., O] in the task's units; part of every exported file, so plain tensor operations
        only.
        """

    @abstractmethod
    def truth(self, history: History) -> Array | None:
        """What would have been right at every reading [T, O], or None where nobody knows. For judging, never for
        fitting.
        """

    @abstractmethod
    def judged(self, history: History) -> list[int]:
        """The readings a history is judged at; empty where the truth is not known."""

    def asked(self, measure: Measure, history: History) -> list[int]:
        """The readings at which `measure` is taken; empty where the truth is not known."""
        judged = self.judged(history)
        return list(range(len(history))) if judged and measure.at == "every" else judged

    def error(self, histories: Sequence[History], predictions: Sequence[Array]) -> float:
        """The first measure of predictions [T, O], over the histories whose truth is known; lower is better.

        Raises DataError where the truth of none is known.
        """
        headline = self.measures[0]
        predicted, truths = [], []
        for history, found in zip(histories, predictions, strict=True):
            at, truth = self.asked(headline, history), self.truth(history)
            if at and truth is not None:
                predicted.append(found[at])
                truths.append(truth[at])
        if not truths:
            raise DataError(UNKNOWN)
        return headline.figure(predicted, truths)
