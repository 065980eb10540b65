"""The contract of a task: everything that depends on what is predicted, in one file a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError, ProjectError
from edge.registry import suggest
from edge.spec import AlarmSpec, Project
from train.data.history import History
from train.tasks.measure import Measure
from train.tasks.tail import Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.data.scale import Scaler
    from train.data.split import Split
    from train.evaluate import Judged
    from train.predictor import Predictor

Array = NDArray[np.float32]

Predict = Callable[[Sequence[History]], list[Array]]
"""From histories to predictions [T, O] each, in the task's units; every history from the initial state."""

Baseline = Callable[[Project, "Task", "Split"], Predict]
"""How an honest baseline is fitted; the split's test group is not for it."""

UNKNOWN = (
    "the truth of no held-out history is known; hold back machines that ran to failure or have labels, or records "
    "longer than the furthest horizon, or say what was left"
)
"""What a DataError says where there is nothing to judge by."""


@dataclass(frozen=True)
class TaskOptions:
    """Keys of `[task]` that a task knows, with their defaults; a task extends it."""


def counted(count: str, project: Project) -> float | None:
    """`task.count` as `History.behind` takes it: None for readings, seconds a period for time. Raises ProjectError."""
    if count not in ("readings", "time"):
        raise ProjectError(f"`task.count` must be readings or time, not {count!r}")
    return project.timing.period_s if count == "time" else None


@dataclass(frozen=True)
class IntervalOptions(TaskOptions):
    """For tasks whose outputs can have an interval. `interval`: which share of the truth it shall hold; 0 for none.

    Raises ProjectError for a share that is none.
    """

    interval: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.interval < 1:
            raise ProjectError(f"`task.interval` must be from 0 to below 1, such as 0.9, not {self.interval:g}")


@dataclass(frozen=True)
class Reach:
    """An output that gets an interval which holds the truth of a share `share` of readings.

    Truth and interval are cut to `low` … `high`, both None where the output has no range.
    """

    output: str
    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Labels:
    """What a life teaches. `value` [T, L] in the task's units; `weight` [T, L], 0 where nothing is known; `censored`
    [T] is true where the value is only a bound (the record ended before the failure).
    """

    value: Array
    weight: Array
    censored: NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """What cross-validation asks of each history: `starts` first readings (random with `mid_life`), `each` cut-offs
    behind every one of them. A measure of whole records is asked of the record from each first reading on instead.
    """

    starts: int
    each: int
    mid_life: bool


class Task(ABC):
    """What is predicted.

    `outputs` is the table of outputs (name, unit), the first of which decides the alarm; `width` how many raw outputs
    the family has; `measures` what predictions are judged by, the headline first; `baselines` what a model must beat,
    `yardsticks` what only `edge rank` puts beside them: they take their time or the extra `rank`;
    `questions` what cross-validation asks; `notes` what a report says about its figures, `silence` what it
    says in place of a verdict where nothing can be decided; `lasting` says whether only
    machines that ran to failure can judge, so that each group of a split needs one.
    """

    Options: ClassVar[type[TaskOptions]] = TaskOptions
    alarm_keys: ClassVar[tuple[str, ...]]
    baselines: ClassVar[Mapping[str, Baseline]]
    yardsticks: ClassVar[Mapping[str, Baseline]] = {}
    questions: Mapping[str, Question] = {
        "seen from the first reading": Question(1, 20, False),
        "seen from mid-life on": Question(5, 4, True),
    }
    notes: tuple[str, ...] = ()
    silence: str = ""
    lasting: ClassVar[bool] = True
    outputs: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]
    options: Any
    alarm: AlarmSpec

    @property
    def headline(self) -> str:
        """Name of the error that `error` returns and the certificate uses."""
        return self.measures[0].name

    @property
    def width(self) -> int:
        """Raw outputs R of the family."""
        return len(self.outputs)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """The outputs that get an interval: none, unless the task can tell and the project asks."""
        return ()

    @property
    def exam_unit(self) -> str:
        """Unit of the error that stops the fitting."""
        return self.measures[0].unit

    def __init__(self, options: Any, project: Project) -> None:
        """`options` an instance of `Options`; `alarm` is the project's, with defaults where a task has some.

        Raises ProjectError where `[alarm]` has keys this task does not know.
        """
        self.options = options
        self.alarm = project.alarm
        known = [*self.alarm_keys, "hold_readings"]
        for spec in fields(self.alarm):
            if spec.name not in known and getattr(self.alarm, spec.name) is not None:
                kind = project.task.kind
                raise ProjectError(f"task `{kind}` knows no `alarm.{spec.name}`{suggest(spec.name, known)}")

    def alarm_within(self, low: float, high: float, reach: str) -> None:
        """Raises ProjectError where a level of the alarm is outside `low` … `high`; `reach` says that in words."""
        for key in self.alarm_keys:
            level = getattr(self.alarm, key)
            if level is not None and not low < level < high:
                raise ProjectError(f"`alarm.{key}` is {level:g}, but predictions go from {reach}")

    def settled(self, project: Project) -> Project:
        """`project` with the alarm this task decides by: what travels to the device."""
        return replace(project, alarm=self.alarm)

    def study(self, project: Project, histories: Sequence[History], heldout: Sequence[History] = ()) -> Project:
        """`project` with what only its histories can say, such as which classes there are; asked before
        the model is built. It travels with the model, and stays what it is where the project says it already. Of
        `heldout`, the histories that judge, nothing is taken but names without which they could not be read.
        """
        return project

    def scaled_by(self, scaler: Scaler) -> Task:
        """This task, as it teaches and judges a model whose readings are scaled so; asked before anything is taught and
        before `tail`.
        """
        return self

    def taught(self, histories: Sequence[History]) -> list[History]:
        """What of these histories may be learnt from."""
        return list(histories)

    def check_taught(self, training: Sequence[History]) -> None:
        """Raises DataError where nothing of the task could be learnt from these histories; asked before any fitting."""
        return

    def healthy(self, history: History) -> NDArray[np.bool_]:
        """[T]: which of its readings show a healthy machine, as far as anyone knows: what predictions are explained
        against. Those nobody marked, where somebody looked; else the first half, being farthest from a failure.
        """
        if history.anomalous is not None:
            return ~history.anomalous
        return np.arange(len(history)) < (len(history) + 1) // 2

    @abstractmethod
    def labels(self, history: History) -> Labels:
        """The labels of one life."""

    @abstractmethod
    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Scalar loss of the family's raw output [B, T, R] for a batch."""

    @abstractmethod
    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """The error that stops the fitting, of raw outputs [B, T, R], batches and the readings asked for [B, T]."""

    @abstractmethod
    def tail(self) -> Tail:
        """What stands behind the family, fresh; part of every exported file."""

    def settle(self, predictor: Predictor, training: Sequence[History], validation: Sequence[History]) -> None:
        """Fit what the tail must know of the fitted family; called once, when the family is final. In place."""
        return

    def tells(self, history: History) -> bool:
        """Can this history judge at all?"""
        return self.truth(history) is not None

    @abstractmethod
    def truth(self, history: History) -> Array | None:
        """What would have been right at every reading [T, O], NaN where nobody knows, or None where that is everywhere.
        For judging, never for fitting.
        """

    @abstractmethod
    def judged(self, history: History) -> list[int]:
        """The readings a history is judged at, its cut-offs; empty where the truth is not known."""

    def asked(self, measure: Measure, history: History) -> list[int]:
        """The readings at which `measure` is taken; empty where the truth is not known."""
        judged = self.judged(history)
        if not judged or measure.at == "judged":
            return judged
        truth = self.truth(history)
        assert truth is not None, "what is judged has a truth"
        known = ~np.isnan(truth[:, 0])
        return list(range(len(history))) if measure.at == "record" else [int(i) for i in np.flatnonzero(known)]

    def error(self, histories: Sequence[History], predictions: Sequence[Array]) -> float:
        """The first measure of predictions [T, O], over the histories whose truth is known; lower is better.

        Raises DataError where the truth of none is known.
        """
        headline = self.measures[0]
        known, predicted, truths = [], [], []
        for history, found in zip(histories, predictions, strict=True):
            at, truth = self.asked(headline, history), self.truth(history)
            if at and truth is not None:
                known.append(history)
                predicted.append(found[at])
                truths.append(truth[at])
        if not truths:
            raise DataError(UNKNOWN)
        return headline.figure(known, predicted, truths)

    @abstractmethod
    def said(self, histories: Sequence[History]) -> str:
        """What held-out histories were judged at, as half a sentence behind "judged at"."""

    @abstractmethod
    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """Draw what a run found; `judged` begins with the model, `predictions` [T, O] are the model's."""
