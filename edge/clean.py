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
        if low <= value <= high:  # NaN is in no range, and no range holds an infinity
            held[i] = value
        else:
            values[i] = held[i]
            replaced += 1
    return replaced


def present(values: Sequence[float], limits: Sequence[tuple[float, float]]) -> list[float]:
    """1 for each value that `clean` would take, 0 for each that it would replace."""
    return [1.0 if low <= value <= high else 0.0 for value, (low, high) in zip(values, limits, strict=True)]


LARGEST = 3.4028234e38
"""What a float32 can hold: a model takes no more, so nothing beyond is plausible."""


def limits_of(channels: Sequence[str], signals: dict[str, Signal]) -> tuple[tuple[float, float], ...]:
    """The plausible range of each channel; a regime column that is no signal has only that of float32."""
    known = [signals.get(channel, Signal()) for channel in channels]
    return tuple((max(signal.min, -LARGEST), min(signal.max, LARGEST)) for signal in known)
