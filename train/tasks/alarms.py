"""What an alarm would have done over a record, by the device's own rule, and the operational figures made of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.decide import AlarmState, decide
from edge.spec import AlarmSpec
from train.data.history import History
from train.tasks.measure import Costs, Measure, middle, ratio

MONTH_S = 86400 * 365.25 / 12
"""Seconds a month."""

Flags = NDArray[np.bool_]

Standing = Callable[[Costs], Flags]
"""From the first output of a record [T] to the alarm [T]."""


def standing(values: Costs, alarm: AlarmSpec, warm_up: int) -> Flags:
    """Is the alarm raised at each reading? As on the device: from a fresh state, warm readings only."""
    state = AlarmState()
    raised = [decide(state, value, alarm) if i >= warm_up - 1 else False for i, value in enumerate(values.tolist())]
    return np.array(raised, np.bool_)


def raisings(raised: Flags) -> NDArray[np.intp]:
    """The readings at which an alarm begins."""
    return np.flatnonzero(raised & ~np.concatenate([[False], raised[:-1]]))


def failures_warned(by: Standing) -> Measure:
    """Share of the failures at which the alarm stood."""

    def take(history: History, predicted: Costs, truth: Costs) -> Costs:
        return np.array([[float(by(predicted[:, 0])[-1]), 1.0]]) if history.failed else np.zeros((0, 2))

    return Measure("warned", "share of failures warned of (more is better)", "", take, ratio, "record")


def lead(by: Standing, unit: str, period_s: float | None) -> Measure:
    """Median over the failures warned of: what was left, counted as in `History.behind`, when the alarm was raised that
    stood at the failure.
    """

    def take(history: History, predicted: Costs, truth: Costs) -> Costs:
        raised = by(predicted[:, 0])
        if not history.failed or not raised[-1]:
            return np.zeros((0, 1))
        return np.array([[float(history.behind(period_s)[raisings(raised)[-1]])]])

    return Measure("lead", "warning before the failure, median (more is better)", unit, take, middle, "record")


def false_alarms(by: Standing, period_s: float) -> Measure:
    """Alarms that begin where the truth is zero, by the time in which it is known; a reading lasts until the next one,
    the last one for `period_s`. One that began in a fault and outlasts it was no false alarm.
    """

    def take(history: History, predicted: Costs, truth: Costs) -> Costs:
        known = ~np.isnan(truth[:, 0])
        begun = raisings(by(predicted[:, 0]))
        months = np.append(np.diff(history.ts), period_s)[known].sum() / MONTH_S
        return np.array([[float((truth[begun, 0] == 0).sum()), months]])

    return Measure("false_alarms", "false alarms raised, per machine and month", "", take, ratio, "record")
