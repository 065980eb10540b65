"""From what a sensor sent to what a model sees: the same rule for histories and for live readings."""

from __future__ import annotations

import math
from collections.abc import MutableSequence, Sequence

from edge.spec import Signal

MISSING = math.nan
"""How "no value" travels between decoding and cleaning."""


def clean(values: MutableSequence[float], held: MutableSequence[float], limits: Sequence[tuple[float, float]]) -> int:
    """Replace what is missing or implausible in `values` by the last value held, in place; returns how many were.

    `values` and `held` have shape [C], in the sensors' units; `held` is updated with the good values. Missing is
    non-finite, implausible is outside `limits` (low, high per channel). Where nothing was held yet, `held` must carry
    the fill value (the mean over the training machines).
    """
    replaced = 0
    for i, value in enumerate(values):
        low, high = limits[i]
        if low <= value <= high and value - value == 0.0:  # NaN fails the first, an infinity the second
            held[i] = value
        else:
            values[i] = held[i]
            replaced += 1
    return replaced


def limits_of(channels: Sequence[str], signals: dict[str, Signal]) -> tuple[tuple[float, float], ...]:
    """The plausible range of each channel; regime columns that are no signal have none."""
    anything = Signal()
    return tuple((signals.get(c, anything).min, signals.get(c, anything).max) for c in channels)
