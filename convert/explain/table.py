"""An explanation as text."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from convert.explain.explanation import Explanation
from convert.explain.shares import window
from edge.table import measured_in
from edge.table import render as table


def render(found: Explanation) -> str:
    """What was predicted, when it was decided, a row a sensor that sums up to the difference, and what to mind."""
    unit = f" {found.unit}" if found.unit else ""
    moved = found.prediction - found.baseline
    stretch = found.stretch
    head = (
        f"machine {found.machine}, reading {found.reading} of {found.readings} ({found.at}), model {found.model}\n"
        f"{found.output} is {found.prediction:.4g}{unit}; with healthy readings it would be {found.baseline:.4g}"
        f"{unit}: a difference of {moved:+.4g}"
    )
    if found.stretch.share:
        head += (
            f"\n{stretch.share:.0%} of what moved it lies in readings {stretch.first} to {stretch.last} "
            f"({stretch.begin} to {stretch.end})"
        )
    header = ["sensor", measured_in("moved it by", found.unit), "share", "mean there", "healthy", "unit"]
    rows: list[list[object]] = [
        [s.name, f"{s.contribution:+.3g}", f"{s.share:.0%}", *apart(s.mean, s.healthy), s.unit] for s in found.sensors
    ]
    if found.before:
        rows.append([f"the {found.before} readings before", f"{found.earlier:+.3g}", None, None, None, ""])
    rows.append(["unexplained", f"{found.unexplained:+.3g}", None, None, None, ""])
    rows.append(["all", f"{moved:+.3g}", None, None, None, ""])
    notes = [*found.notes, *_attended(found)]
    if found.held:
        notes.append(
            f"{' and '.join(found.held)}: a condition, no fault; healthy machines at the same one are compared"
        )
    notes.append("integrated gradients over the readings; signs say which way, a sum over time may hide ups and downs")
    return "\n".join([head, "", table(header, rows), "", *(f"note: {line}" for line in notes)])


def _attended(found: Explanation) -> Iterator[str]:
    """Where each head's weight lies behind the explained reading; a line a head."""
    for name, heads in found.attention.items():
        for place, row in enumerate(heads):
            weights = np.asarray(row)
            begin, end = window(weights)
            first, last = (max(found.reading - len(row) + at, 1) for at in (begin + 1, end))
            head = name if len(heads) == 1 else f"{name}, head {place + 1}"
            yield f"{head}: {weights[begin:end].sum():.0%} of the weight is on readings {first} to {last}"


def apart(mean: float, healthy: float) -> tuple[str, str]:
    """Both numbers with as many places as it takes to see how far they are apart."""
    difference = abs(mean - healthy)
    places = 1 - math.floor(math.log10(difference)) if difference > 0 else 2
    return f"{mean:.{min(max(places, 0), 6)}f}", f"{healthy:.{min(max(places, 0), 6)}f}"
