"""What is odd about channels: how much of each is missing, which never change, which stand still for long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from train.data.history import History

STUCK_READINGS, STUCK_SHARE = 50, 0.1
"""A sensor that shows one and the same value for more readings than this, and for more than this share of its record,
stands still …
"""

ALIVE = 0.2
"""… provided that no more than this share of the records do, and that elsewhere more than this share of its readings
differ from the one before: few-valued channels do stand still.
"""

WILD = 1000.0
"""A value so many times as far from the middle of all as the middle half of them is wide is asked about."""


class Lost:
    """Counts, channel by channel, what was no value and what was outside its limits."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.channels = tuple(channels)
        self.readings = 0
        self.missing: NDArray[np.int64] = np.zeros(len(self.channels), np.int64)
        self.outside: NDArray[np.int64] = np.zeros(len(self.channels), np.int64)

    def count(self, sent: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Take readings as they were sent [T, C], and which of their values are used [T, C]."""
        nothing = np.isnan(sent)
        self.readings += len(sent)
        self.missing += nothing.sum(0)
        self.outside += (~nothing & ~mask).sum(0)

    def said(self) -> str:
        """`temp` 3 (60 %, 2 of them outside min … max), …; empty where nothing was lost."""
        parts = []
        for channel, missing, outside in zip(self.channels, self.missing, self.outside, strict=True):
            lost = int(missing + outside)
            if lost:
                of = f", {outside} of them outside min … max" if outside else ""
                parts.append(f"`{channel}` {lost} ({100 * lost / self.readings:.2g} %{of})")
        return ", ".join(parts)


def judge_channels(
    channels: Sequence[str], histories: Sequence[History], lost: Lost, key: str, notes: list[str]
) -> None:
    """Notes on what is odd. Raises DataError for a channel without a single usable value."""
    constant = []
    for i, channel in enumerate(channels):
        found = [h.x[h.mask[:, i], i] for h in histories]
        lowest = min((float(values.min()) for values in found if len(values)), default=None)
        if lowest is None:
            raise DataError(
                f"column `{channel}` has no usable value in `{key}`: all are missing or outside its min … max; "
                f"correct the limits, or take `{channel}` out of the project file"
            )
        if all(bool((values == lowest).all()) for values in found):
            constant.append(channel)
            continue
        notes += _wild(channel, np.concatenate(found))
        still = _stuck(histories, found)
        if still is not None:
            history, length = still
            notes.append(
                f"machine `{history.machine}`: `{channel}` shows the same value {length} times in a row "
                f"({100 * length / len(history):.0f} % of the record); is the sensor stuck?"
            )
    if constant:
        names = ", ".join(f"`{c}`" for c in constant)
        verb = "never changes" if len(constant) == 1 else "never change"
        notes.append(f"{names} {verb} in {key}; a constant teaches nothing")
    said = lost.said()
    if said:
        notes.append(f"missing or implausible values in {key}, the last good one was held: {said}")


def _wild(channel: str, values: NDArray[np.float32]) -> list[str]:
    """What one spike would do to all the others: scaled by it, they would hardly move."""
    low, middle, high = (float(q) for q in np.percentile(values.astype(np.float64), [25, 50, 75]))
    furthest = float(values[np.argmax(np.abs(values - middle))])
    if not 0 < WILD * (high - low) < abs(furthest - middle):
        return []
    return [
        f"`{channel}` reaches {furthest:g}, and half of its values lie between {low:g} and {high:g}; if that is no "
        f"reading, set min and max of `signals.{channel}`: what is outside counts as missing"
    ]


def _stuck(histories: Sequence[History], found: Sequence[NDArray[np.float32]]) -> tuple[History, int] | None:
    """The history in which a lively channel stands still longest, and for how many of its present readings."""
    steps = sum(max(len(values) - 1, 0) for values in found)
    moves = sum(int((np.diff(values) != 0).sum()) for values in found)
    worst: tuple[History, int] | None = None
    still = stuck = 0
    for history, values in zip(histories, found, strict=True):
        length = longest_run(values)
        if length > STUCK_READINGS and length > STUCK_SHARE * len(history):
            still, stuck = still + length, stuck + 1
            if worst is None or length > worst[1]:
                worst = history, length
    rare = stuck <= max(1, ALIVE * len(histories))
    return worst if worst is not None and rare and moves > ALIVE * max(steps - still, 1) else None


def longest_run(values: NDArray[np.float32]) -> int:
    """Length of the longest run of equal values."""
    if not len(values):
        return 0
    edges = np.flatnonzero(np.diff(values) != 0) + 1
    return int(np.diff(np.concatenate([[0], edges, [len(values)]])).max())
