"""Anomaly: how far a machine is from what it usually does, learnt from healthy readings alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from edge.errors import DataError, ProjectError
from edge.spec import Project
from train.data.history import History
from train.detectors import never, persistence, principal
from train.picture import rates, records
from train.tasks.alarms import Flags, failures_warned, false_alarms, lead, raisings, standing
from train.tasks.base import Array, Labels, Question, Task, TaskOptions
from train.tasks.chart import Chart, expected
from train.tasks.measure import Costs, Measure, mean_of_ratios, middle, ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.evaluate import Judged
    from train.predictor import Predictor


@dataclass(frozen=True)
class AnomalyOptions(TaskOptions):
    """`false_alarms`: share of healthy readings whose score is above 1. `smooth_readings`: how many readings the score
    remembers; more see smaller faults, fewer see them sooner. `suspect_readings`: so many readings before a failure are
    no example of what is healthy. `highest`: the score is cut off there. `unit` names a reading.
    """

    false_alarms: float = 0.01
    smooth_readings: float = 20.0
    suspect_readings: int = 0
    highest: float = 10.0
    unit: str = "readings"


class Anomaly(Task):
    """The distance from normal behaviour: 1 is the level that a share `false_alarms` of healthy readings exceed.

    The family learns to say the next reading of every signal; `Chart` makes one score of what it expected and what
    came, and one for each signal, which says where to look. Marks of anomalies (`data.anomaly`) and the readings before
    a failure are left out of all fitting; they judge. Where nothing is marked, all is taken for healthy.
    """

    Options = AnomalyOptions
    alarm_keys = ("raise_above", "clear_below")
    baselines = {"T² and SPE": principal, "persistence": persistence, "never": never}  # noqa: RUF012
    questions = {  # noqa: RUF012
        "whole records": Question(1, 1, False),
        "switched on in the middle": Question(5, 1, True),
    }
    notes: tuple[str, ...] = (
        "baselines choose their levels as the model does, on the machines that told when to stop",
    )
    lasting = False
    options: AnomalyOptions

    def __init__(self, options: AnomalyOptions, project: Project) -> None:
        super().__init__(options, project)
        for key, holds, wanted in (
            ("false_alarms", 0 < options.false_alarms < 1, "above 0 and below 1"),
            ("smooth_readings", options.smooth_readings >= 1, "at least 1"),
            ("suspect_readings", options.suspect_readings >= 0, "0 or more"),
            ("highest", options.highest > 1, "above 1"),
        ):
            if not holds:
                raise ProjectError(f"`task.{key}` must be {wanted}, not {getattr(options, key):g}")
        self.alarm_within(0, options.highest, f"0 to task.highest = {options.highest:g}")
        if self.alarm.raise_above is None:
            if self.alarm.clear_below is not None and self.alarm.clear_below > 1:
                raise ProjectError("`alarm.clear_below` must not be above 1, at which the alarm is raised")
            self.alarm = replace(self.alarm, raise_above=1.0)
        self.channels = project.channels
        self.outputs = (("anomaly", ""), *((f"anomaly_{channel}", "") for channel in project.channels))
        self.warm_up = project.timing.warm_up_readings
        measures = [
            Measure(
                "error",
                "mean of both shares, blurred about the level",
                "",
                self._blurred,
                mean_of_ratios,
                "record",
                whole=1.0,
            ),
            Measure("false", "share of healthy readings with an alarm", "", self._false, ratio, "record"),
            false_alarms(self._by, project.timing.period_s),
        ]
        if project.data.anomaly is not None or options.suspect_readings:
            measures += [
                Measure("missed", "share of faulty readings without one", "", self._missed, ratio, "record"),
                Measure("found", "share of faults found (more is better)", "", self._found, ratio, "record"),
                Measure("delay", "delay of those found, median", options.unit, self._delays, middle, "record"),
            ]
            self.notes = (
                *self.notes,
                "an alarm that outlasts its fault was not raised falsely; the healthy readings it stands at do count",
            )
        else:
            known = "No fault is marked, only failures" if project.data.failure is not None else "No fault is known"
            self.silence = f"{known}: this says how often each cries, and nothing about what it finds."
        if project.data.failure is not None:
            measures += [failures_warned(self._by), lead(self._by, options.unit, None)]
        self.measures = tuple(measures)

    @property
    def width(self) -> int:
        """Two for each signal: a value, and how much the last reading counts beside it."""
        return 2 * len(self.channels)

    @property
    def exam_unit(self) -> str:
        """What the one-step forecast is off by."""
        return "deviations"

    def taught(self, histories: Sequence[History]) -> list[History]:
        """Healthy stretches. Raises DataError where there is none."""
        stretches = []
        for h in histories:
            faulty = self._faulty(h)
            edges = [0, *(np.flatnonzero(np.diff(faulty)) + 1).tolist(), len(h)]
            stretches += [h.window(a, b) for a, b in pairwise(edges) if b - a > 1 and not faulty[a]]
        if not stretches:
            raise DataError(
                "no history holds two healthy readings in a row; add healthy ones, or correct data.anomaly and "
                "task.suspect_readings"
            )
        return [replace(h, anomalous=None, failed=False, left=None) for h in stretches]

    def healthy(self, history: History) -> Flags:
        """What it learns from: all that is not known to be faulty."""
        return ~self._faulty(history)

    def labels(self, history: History) -> Labels:
        """Nothing but the readings themselves."""
        nothing = np.zeros((len(history), 1), np.float32)
        return Labels(nothing, nothing + 1, np.zeros(len(history), np.bool_))

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of the next scaled reading."""
        gap = (expected(batch.x, raw)[:, :-1] - batch.x[:, 1:]).square() * batch.weight[:, 1:]
        return gap.sum() / (batch.weight[:, 1:].sum() * gap.shape[-1]).clamp(min=1.0)

    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """Root mean squared error of the next reading, in deviations of the training readings."""
        total = count = 0.0
        for raw, batch, asked in answers:
            gap = (expected(batch.x, raw)[:, :-1] - batch.x[:, 1:]).double().square()[asked[:, 1:]]
            total, count = total + float(gap.sum()), count + gap.numel()
        return float(np.sqrt(total / max(count, 1.0)))

    def tail(self) -> Chart:
        """The chart, not settled yet."""
        return Chart(len(self.channels), 1 / self.options.smooth_readings, self.options.highest)

    def settle(self, predictor: Predictor, training: Sequence[History], validation: Sequence[History]) -> None:
        """Noise and covariance from the training stretches, the level of 1 from the validation stretches."""
        chart = predictor.tail
        assert isinstance(chart, Chart)
        chart.learn([_through(predictor, h) for h in training])
        chart.level(
            [_through(predictor, h) for h in validation or training], 1 - self.options.false_alarms, self.warm_up - 1
        )

    def truth(self, history: History) -> Array:
        """0 where the machine is healthy, the highest score where it is faulty; of signals nothing is known."""
        truth = np.full((len(history), len(self.outputs)), np.nan, np.float32)
        truth[:, 0] = np.where(self._faulty(history), self.options.highest, 0.0)
        return truth

    def judged(self, history: History) -> list[int]:
        """Every reading."""
        return list(range(len(history)))

    def said(self, histories: Sequence[History]) -> str:
        """How many readings there are, and how many are known to be faulty."""
        faulty = sum(int(self._faulty(h).sum()) for h in histories)
        every = sum(len(h) for h in histories)
        return f"{every} readings of {len(histories)} records, of which {faulty} are faulty"

    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """Scores of a few records over time, and what each model gets wrong."""
        shown = sorted(range(len(histories)), key=lambda i: -int(self._faulty(histories[i]).any()))
        both: Any = drawing.subfigures(1, 2, width_ratios=(1.25, 1))
        left, right = both
        records(
            left,
            [(histories[i].machine, predictions[i][:, 0], self._faulty(histories[i])) for i in shown],
            self.alarm,
            f"score, cut off at {self.options.highest:g}",
        )
        rates(right, judged, [m.key for m in self.measures if m.key in ("false", "missed")])

    def _faulty(self, history: History) -> Flags:
        """[T]: marked as anomalous, or shortly before a failure."""
        marked = np.zeros(len(history), np.bool_) if history.anomalous is None else history.anomalous.copy()
        if history.left is not None and self.options.suspect_readings:
            marked |= np.arange(len(history) - 1, -1, -1) + history.left < self.options.suspect_readings
        return marked

    def _by(self, values: Costs) -> Flags:
        return standing(values, self.alarm, self.warm_up)

    def _judging(self, predicted: Costs, truth: Costs) -> tuple[Flags, Flags]:
        """Alarm and fault at the warm readings."""
        first = min(self.warm_up - 1, len(predicted))
        return self._by(predicted[:, 0])[first:], truth[first:, 0] > 0

    def _false(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        return self._shares(history, predicted, truth)[:, :2]

    def _missed(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        return self._shares(history, predicted, truth)[:, 2:]

    def _blurred(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        """Both shares, an alarm counting in part from half the level to one and a half: smooth, so that a file whose
        numbers are a little off is judged by how far, and not by which readings happen to lie at the level.
        """
        first = min(self.warm_up - 1, len(predicted))
        level = self.alarm.raise_above or 1.0
        alarm, faulty = np.clip(predicted[first:, 0] / level - 0.5, 0.0, 1.0), truth[first:, 0] > 0
        return np.array([[alarm[~faulty].sum(), (~faulty).sum(), (1 - alarm[faulty]).sum(), faulty.sum()]])

    def _shares(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        alarm, faulty = self._judging(predicted, truth)
        counts = [(alarm & ~faulty).sum(), (~faulty).sum(), (~alarm & faulty).sum(), faulty.sum()]
        return np.array([counts], np.float64)

    def _waits(self, predicted: Costs, truth: Costs) -> list[float]:
        """For each fault, readings until the alarm stands; infinite where it never does."""
        alarm, faulty = self._judging(predicted, truth)
        waits = []
        for begin in raisings(faulty):
            end = begin + int(np.argmin(np.append(faulty[begin:], False)))
            at = np.flatnonzero(alarm[begin:end])
            waits.append(float(at[0]) if len(at) else np.inf)
        return waits

    def _found(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        return np.array([[np.isfinite(w), 1.0] for w in self._waits(predicted, truth)]).reshape(-1, 2)

    def _delays(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        return np.array([[w] for w in self._waits(predicted, truth) if np.isfinite(w)]).reshape(-1, 1)


def _through(predictor: Predictor, history: History) -> tuple[Tensor, Tensor]:
    """Scaled readings [1, T, C] and the family's raw output [1, T, R]."""
    with torch.no_grad():
        return predictor.through(*predictor.parts(torch.from_numpy(predictor.rows(history))[None]))
