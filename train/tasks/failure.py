"""Failure within a horizon: how probable it is that the machine fails within the next so many readings."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge.errors import DataError, ProjectError
from edge.spec import Project
from train.baselines import constant
from train.baselines.health_states import health_states
from train.data.history import History, machines
from train.logistic import life_logistic, logistic
from train.picture import levels, lives, precision_over_recall, two_panels
from train.tasks.alarms import Flags, failures_warned, false_alarms, lead, standing
from train.tasks.base import Array, Labels, Task, TaskOptions, counted
from train.tasks.measure import Costs, Measure, average_precision, cost, mean, ratio
from train.tasks.tail import Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.evaluate import Judged
    from train.predictor import Predictor

CUT_OFFS, CUT_LEAST, CUT_SEED = 10, 10, 21
"""Random cut-offs at which a held-out history is judged, readings before the first of them, and their seed."""

SURE = 1e-4
"""Log losses are taken as if nobody was surer than this: one surprise must not cost everything."""

COIN = 1.0
"""Log loss of a coin, in bits."""

EVEN = 0.5
"""The alarm's level where the project gives none: failing within the horizon is more probable than not."""


@dataclass(frozen=True)
class FailureOptions(TaskOptions):
    """`horizon`: within so many readings; `unit` names a reading. With `count = "time"` it is what the clock says, in
    multiples of `timing.period_s`.
    """

    horizon: float = 30.0
    unit: str = "cycles"
    count: str = "readings"


class Calibrated(Tail):
    """sigmoid(slope · raw + offset) (Platt 1999): no state."""

    slope: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones(1))
        self.register_buffer("offset", torch.zeros(1))

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """As Tail."""
        return torch.sigmoid(raw * self.slope + self.offset)

    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """As Tail."""
        return (self(x_t, raw_t),)


class Failure(Task):
    """Probability of failing within the next `horizon` readings.

    The raw output is a logit, taught by the plain log loss: it is proper, so rare failures make small probabilities and
    not wrong ones, and no class is weighted. Slope and offset of the logit are then fitted to the validation machines.
    A censored life teaches that nothing failed while there are `horizon` readings left of its record, and nothing
    behind that. Where the project gives no level the alarm is raised above 0.5.
    """

    Options = FailureOptions
    alarm_keys = ("raise_above", "clear_below")
    baselines = {"logistic": logistic, "life logistic": life_logistic, "constant": constant}  # noqa: RUF012
    yardsticks = {"HMM": health_states}  # noqa: RUF012
    notes = ("logistic regressions learn from those that told when to stop, too, once these have chosen the penalty",)
    options: FailureOptions

    def __init__(self, options: FailureOptions, project: Project) -> None:
        super().__init__(options, project)
        if not options.horizon >= 1:
            raise ProjectError(f"`task.horizon` must be at least 1 reading, not {options.horizon:g} {options.unit}")
        self.period_s = counted(options.count, project)
        self.alarm_within(0, 1, "0 to 1")
        if self.alarm.raise_above is None:
            if self.alarm.clear_below is not None:
                raise ProjectError("`alarm.clear_below` needs `alarm.raise_above` beside it")
            self.alarm = replace(self.alarm, raise_above=EVEN)
        self.outputs = (("failure", ""),)
        unit, warm_up = options.unit, project.timing.warm_up_readings

        def by(values: Costs) -> Flags:
            return standing(values, self.alarm, warm_up)

        self.measures = (
            Measure("loss", "log loss, at cut-offs", "bits", cost(_surprise), mean, whole=COIN),
            Measure("every", "log loss, every reading", "bits", cost(_surprise), mean, "every"),
            Measure("precision", "average precision (more is better)", "", _ranked, average_precision, "every"),
            Measure("rate", "failures predicted by failures seen (1 is right)", "", _ranked, ratio, "every"),
            failures_warned(by),
            lead(by, unit, self.period_s),
            false_alarms(by, project.timing.period_s),
        )

    def labels(self, history: History) -> Labels:
        """1 where it fails within the horizon, else 0; weight 0 where the record ends too early to know."""
        behind = history.behind(self.period_s)
        never = np.zeros(len(history), np.bool_)
        if history.left is None:
            value, known = never, behind >= self.options.horizon
        else:
            value, known = behind <= self.options.horizon, ~never
        return Labels(value.astype(np.float32)[:, None], known.astype(np.float32)[:, None], ~known)

    def check_taught(self, training: Sequence[History]) -> None:
        """Raises DataError where none of them is known to fail within the horizon, or each is at every reading."""
        if not any(self.labels(h).value.any() for h in training):
            raise DataError(
                "no training history reaches a failure, so nothing tells what one looks like; add such histories, or "
                'learn what is normal with task.kind = "anomaly"'
            )
        if not any((self.labels(h).weight * (1 - self.labels(h).value)).any() for h in training):
            raise DataError(
                f"`task.horizon` = {self.options.horizon:g} {self.options.unit} reaches over every training history, "
                "so the answer would always be yes; lower it"
            )

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Mean log loss of the logit."""
        losses = F.binary_cross_entropy_with_logits(raw, batch.value, reduction="none")
        return (losses * batch.weight).sum() / batch.weight.sum().clamp(min=1.0)

    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """The log loss in bits, at every reading asked for whose label is known."""
        total = count = 0.0
        for raw, batch, asked in answers:
            losses = F.binary_cross_entropy_with_logits(raw, batch.value, reduction="none")
            weight = batch.weight * asked.unsqueeze(-1)
            total, count = total + float((losses * weight).double().sum()), count + float(weight.sum())
        return total / max(count, 1.0) / float(np.log(2))

    def tail(self) -> Tail:
        """A calibrated sigmoid."""
        return Calibrated()

    def settle(self, predictor: Predictor, training: Sequence[History], validation: Sequence[History]) -> None:
        """Slope and offset of the logit, fitted to the validation machines where they know both answers."""
        from sklearn.linear_model import LogisticRegression

        raws, labels = [], []
        with torch.no_grad():
            for history in validation:
                label = self.labels(history)
                rows = torch.from_numpy(predictor.rows(history))[None]
                known = label.weight[:, 0] > 0
                raws.append(predictor.through(*predictor.parts(rows))[1][0, :, 0].numpy()[known])
                labels.append(label.value[known, 0] > 0)
        raw, wanted = np.concatenate(raws), np.concatenate(labels)
        if wanted.all() or not wanted.any():
            return
        fitted = LogisticRegression(C=1.0).fit(raw[:, None].astype(np.float64), wanted)
        slope = float(fitted.coef_[0, 0])
        if slope > 0:
            assert isinstance(predictor.tail, Calibrated)
            predictor.tail.slope.fill_(slope)
            predictor.tail.offset.fill_(float(fitted.intercept_[0]))

    def tells(self, history: History) -> bool:
        """Is any of its labels known?"""
        return bool(self.labels(history).weight.any())

    def truth(self, history: History) -> Array | None:
        """The labels, NaN where nobody knows."""
        labels = self.labels(history)
        return np.where(labels.weight > 0, labels.value, np.nan).astype(np.float32) if labels.weight.any() else None

    def judged(self, history: History) -> list[int]:
        """Random cut-offs among the readings whose label is known."""
        known = np.flatnonzero(self.labels(history).weight[:, 0])
        if not len(known):
            return []
        rng = np.random.default_rng([CUT_SEED, zlib.crc32(history.machine.encode()), history.life])
        return sorted(int(i) for i in known[rng.integers(min(CUT_LEAST, len(known) - 1), len(known), CUT_OFFS)])

    def said(self, histories: Sequence[History]) -> str:
        """How many cut-offs there are, and how often the answer is yes."""
        judges = [h for h in histories if self.judged(h)]
        labels = [self.labels(h) for h in judges]
        yes, known = sum(v.value.sum() for v in labels), sum(v.weight.sum() for v in labels)
        return (
            f"{CUT_OFFS * len(judges)} cut-offs in {len(judges)} histories, and at the {known:.0f} readings whose "
            f"answer is known, of which {yes:.0f} are within {self.options.horizon:g} {self.options.unit} of a failure"
        )

    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """Does the probability rise in time, and how many false answers does each right one cost?"""
        unit, (left, right) = self.options.unit, two_panels(drawing)
        ends = [(h, p) for h, p in zip(histories, predictions, strict=True) if h.left is not None]
        pairs = [(h.behind(self.period_s), p[:, 0]) for h, p in ends]
        title = f"{len(machines([h for h, _ in ends]))} machines it never saw, on their way to failure"
        lives(left, pairs, next(iter(judged)), title, ideal=False)
        left.axvspan(self.options.horizon, 0, color="#d97706", alpha=0.08, linewidth=0)
        left.set(xlabel=f"true {unit} left", ylabel=f"probability to fail within {self.options.horizon:g} {unit}")
        left.set(ylim=(0, 1.04))
        levels(left, self.alarm)
        precision_over_recall(right, {name: of.figures["precision"] for name, of in judged.items()})


def _surprise(predicted: Costs, truth: Costs) -> Costs:
    p = np.clip(predicted[:, 0], SURE, 1 - SURE)
    return np.asarray(-np.where(truth[:, 0] > 0, np.log2(p), np.log2(1 - p)), np.float64)


def _ranked(history: History, predicted: Costs, truth: Costs) -> Costs:
    return np.stack([predicted[:, 0], truth[:, 0]], -1)
