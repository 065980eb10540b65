"""How far the truth lies around a prediction: a small table in the manifest, looked up at every reading."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Stage:
    """The table for machines of which `since` readings or more were seen, up to the next stage.

    At the prediction `at[i]`, the interval reaches `below[i]` under it and `above[i]` over it, all in the output's
    unit: straight lines between, constant beyond the first and the last.
    """

    since: int
    at: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """Intervals of one `output` that hold the truth of a share `share` of readings of a machine never seen before.

    `machines` were asked to make it. Ends are cut to `low` … `high`, None where the output has no range; a truth
    beyond an end of the range counts as that end.
    """

    output: str
    share: float
    machines: int
    stages: tuple[Stage, ...]
    low: float | None = None
    high: float | None = None


def keys(output: str) -> tuple[str, str]:
    """What the two ends of an output's interval are called in a prediction."""
    return f"{output}_low", f"{output}_high"


def ends(interval: Interval, value: float, seen: int) -> tuple[float, float]:
    """Both ends around the prediction `value` of a machine of which `seen` readings were seen, this one included.

    Continuous in `value`, and never falling where it rises.
    """
    return around(interval)(value, seen)


def around(interval: Interval) -> Callable[[float, int], tuple[float, float]]:
    """`ends` of one table, made ready to be asked at every reading."""
    begins = [stage.since for stage in interval.stages[1:]]
    tables = [(stage.at, _lines(stage)) for stage in interval.stages]
    lowest = -math.inf if interval.low is None else interval.low
    highest = math.inf if interval.high is None else interval.high

    def of(value: float, seen: int) -> tuple[float, float]:
        at, lines = tables[bisect_right(begins, seen)]
        start, below, falls, above, rises = lines[bisect_right(at, value)]
        further = value - start
        low, high = value - (below + falls * further), value + (above + rises * further)
        # Comparisons, not min and max: this runs at every reading of every machine.
        if low < lowest:
            low = lowest
        elif low > highest:
            low = highest
        if high > highest:
            high = highest
        elif high < lowest:
            high = lowest
        return low, high

    return of


def _lines(stage: Stage) -> list[tuple[float, float, float, float, float]]:
    """Before the first level, between each two, behind the last: where it starts, reach and slope below, and above."""
    at, below, above = stage.at, stage.below, stage.above
    between = [
        (p, b, (c - b) / (q - p), d, (e - d) / (q - p))
        for (p, q), (b, c), (d, e) in zip(pairwise(at), pairwise(below), pairwise(above), strict=True)
    ]
    return [(at[0], below[0], 0.0, above[0], 0.0), *between, (at[-1], below[-1], 0.0, above[-1], 0.0)]


def problem(interval: Interval) -> str:
    """What is wrong with a table, or nothing: asked once, when a bundle is opened."""
    if not 0 < interval.share < 1:
        return f"its share is {interval.share:g}"
    if not interval.stages:
        return "it has no stage"
    if any(a.since >= b.since for a, b in pairwise(interval.stages)):
        return "its stages are not in order"
    return next((found for stage in interval.stages if (found := _problem(stage))), "")


def _problem(stage: Stage) -> str:
    if not len(stage.at) == len(stage.below) == len(stage.above) > 0:
        return "its columns differ in length, or are empty"
    if not all(map(math.isfinite, (*stage.at, *stage.below, *stage.above))):
        return "it holds a number that is not finite"
    if any(a >= b for a, b in pairwise(stage.at)):
        return "its levels do not rise"
    if min(*stage.below, *stage.above) < 0:
        return "it reaches away from the prediction"
    for (p, q), (b, c), (d, e) in zip(pairwise(stage.at), pairwise(stage.below), pairwise(stage.above), strict=True):
        slack = 1e-9 * max(abs(p), abs(q), b, c, d, e)
        if q - c < p - b - slack or q + e < p + d - slack:
            return "an end falls where the prediction rises"
    return ""
