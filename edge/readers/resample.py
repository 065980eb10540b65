"""One reading a period: what a device is sent at the project's period, made of what was recorded at any rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from edge.clean import MISSING
from edge.readers.base import Record

Limits = Sequence[tuple[float, float]]
Aggregate = Callable[[Sequence[float]], float]

AGGREGATES: dict[str, Aggregate] = {
    "mean": lambda found: math.fsum(found) / len(found),
    "median": median,
    "last": lambda found: found[-1],
    "min": min,
    "max": max,
}
"""Names of `data.resample`, and what they make of the good values of one period, in time order."""

TOLERANCE_S = 5e-7
"""A stamp this little behind the end of a period is at its end: seconds since 1970 in double precision know no more."""


def resample(records: Sequence[Record], period_s: float, ways: Sequence[str], limits: Limits) -> list[Record]:
    """One machine's readings, in time order, as one reading for each period that has any.

    The reading at t = k · `period_s` is made of the readings in (t - `period_s`, t] and of nothing else: no value is
    carried on or interpolated. A channel without a value inside its `limits` is missing there, and a period without
    readings has none, so gaps stay gaps. Periods are counted from 1970 (or from 0), not from the first reading: a piece
    of a history gives a piece of its readings. A failure ends its period early; what follows it inside is left out. A
    period that was anomalous for a while is anomalous, and its label is the last one in it.
    `ways` names an aggregate for each channel.
    """
    made: list[Record] = []
    group: list[Record] = []
    slack = max(1e-6, TOLERANCE_S / period_s)
    number: int | None = None
    over = False
    for record in records:
        period = math.ceil(record.ts / period_s - slack)
        if period != number:
            if group:
                made.append(_one(group, number, period_s, ways, limits))
            group, number, over = [], period, False
        if not over:
            group.append(record)
        over = over or record.failed
    if group:
        made.append(_one(group, number, period_s, ways, limits))
    return made


def _one(group: Sequence[Record], number: int | None, period_s: float, ways: Sequence[str], limits: Limits) -> Record:
    assert number is not None
    values = []
    for i, ((low, high), way) in enumerate(zip(limits, ways, strict=True)):
        good = [value for record in group if low <= (value := record.values[i]) <= high]
        values.append(AGGREGATES[way](good) if good else MISSING)
    marked = any(record.anomalous for record in group)
    label = next((record.label for record in reversed(group) if record.label), "")
    return replace(group[-1], ts=round(number * period_s, 6), values=values, anomalous=marked, label=label)
