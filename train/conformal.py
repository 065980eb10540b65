"""Split conformal prediction over machines: from what was answered about unseen machines to a table of intervals.

What is exchangeable are machines; the readings of one are not. So a machine counts as one observation, whose weight its
readings share, and one more machine that may be anything stands for the machine to come (Lee, Barber & Willett 2023,
Distribution-free inference with hierarchical data, eq. 5; Dunn, Wasserman & Ramdas 2022). Levels of the
prediction are calibrated each for itself (Vovk 2012, Mondrian predictors), and so are stages of what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.intervals import Interval, Stage
from train.tasks.base import Reach

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

LEVELS = 6
"""Levels of the prediction, each asked of an equal share of readings."""

STAGES = 3
"""Stages of how much was seen, each holding an equal share of readings."""

ENOUGH = 20
"""Machines that each of several parts must have, and without which errors are taken to be the same on both sides."""

EXACT = 1e-9
"""What a sum of weights may be off by rounding."""


@dataclass(frozen=True)
class Asked:
    """Readings [N] that a model was asked about which never saw their machine, for one output.

    `machine` names the machine of each, `seen` counts the readings seen so far, `late` is true where the first of them
    was not the record's, `weight` says how much a reading counts among those of its machine.
    """

    machine: NDArray[Any]
    seen: Places
    late: NDArray[np.bool_]
    weight: Floats
    predicted: Floats
    truth: Floats

    def of(self, which: NDArray[np.bool_]) -> Asked:
        """Some of the readings."""
        return Asked(*(getattr(self, column.name)[which] for column in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Asked]) -> Asked:
        """Several, one behind the other."""
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))


def quantile(scores: Floats, machine: NDArray[Any], weight: Floats, share: float) -> float:
    """The bound that a score of one more machine keeps with probability `share` or more; infinite for too few machines.

    With K machines of equal weight it is where their scores weigh share · (K + 1): with one score a machine, the
    ⌈(K + 1) share⌉-th smallest. Fewer than share / (1 - share) machines can say nothing.
    """
    _, mine = np.unique(machine, return_inverse=True)
    totals = np.bincount(mine, weight)
    order = np.argsort(scores, kind="stable")
    running = np.cumsum((weight / totals[mine])[order])
    place = int(np.searchsorted(running, share * (len(totals) + 1) - EXACT))
    return float(scores[order[place]]) if place < len(order) else float("inf")


def cut(values: Floats, to: Reach | Interval) -> Floats:
    """Values cut to the range of an output, where it has one."""
    low, high = (-np.inf if to.low is None else to.low, np.inf if to.high is None else to.high)
    return np.clip(values, low, high)


def least(share: float) -> int:
    """How many machines an interval of this share needs at least: with fewer, no bound of any score is high enough."""
    return math.ceil(share / (1 - share) - EXACT)


def interval_of(asked: Asked, reach: Reach) -> Interval | None:
    """The table of one output, as fine as the machines allow, with `STAGES` times `LEVELS` parts at most.

    Where even one part for all is too few machines, the interval is the whole range; None for an output without one.
    """
    asked = replace(asked, predicted=cut(asked.predicted, reach), truth=cut(asked.truth, reach))
    names, mine = np.unique(asked.machine, return_inverse=True)
    fleet, asked = len(names), replace(asked, machine=mine)
    for stages in range(STAGES if fleet >= least(reach.share) else 0, 0, -1):
        parts = _split(asked, stages)
        if stages > 1 and any(len(np.unique(part.machine)) < ENOUGH for _, part in parts):
            continue
        made = [_stage(since, part, reach.share) for since, part in parts]
        if all(stage is not None for stage in made):
            rows = tuple(stage for stage in made if stage is not None)
            return Interval(reach.output, reach.share, fleet, rows, reach.low, reach.high)
    if reach.low is None or reach.high is None:
        return None
    whole = reach.high - reach.low
    return Interval(
        reach.output, reach.share, fleet, (Stage(0, (reach.low,), (whole,), (whole,)),), reach.low, reach.high
    )


def _split(asked: Asked, stages: int) -> list[tuple[int, Asked]]:
    """Stages with the readings from which on each counts."""
    cuts = [int(cut) for cut in _equal_shares(asked.seen.astype(np.float64), asked.weight, stages)]
    edges = [0, *(cut for cut in cuts if cut > asked.seen.min()), int(asked.seen.max()) + 1]
    return [(a, asked.of((asked.seen >= a) & (asked.seen < b))) for a, b in pairwise(edges)]


def _stage(since: int, asked: Asked, share: float) -> Stage | None:
    """One stage with as many levels as leave each enough machines; None where none does."""
    for levels in range(LEVELS, 0, -1):
        edges = _equal_shares(asked.predicted, asked.weight, levels)
        place = np.searchsorted(edges, asked.predicted, side="right")
        parts = [asked.of(place == level) for level in range(len(edges) + 1)]
        if levels == 1 or all(len(np.unique(part.machine)) >= ENOUGH for part in parts):
            rows = np.array([_row(part, share) for part in parts])
            if np.isfinite(rows).all():
                return _rising(since, rows)
    return None


def _row(asked: Asked, share: float) -> tuple[float, float, float]:
    """Middle, reach below and reach above of one level.

    The score is the distance from the typical error of the level, its median: one bound for both sides needs fewer
    machines than one for each, and the median makes it as lopsided as the errors are. It comes from the machines that
    it is asked of, which costs 1 to 2 % of coverage where they are few; there it is taken to be zero.
    """
    gap = asked.truth - asked.predicted
    _, mine = np.unique(asked.machine, return_inverse=True)
    totals = np.bincount(mine, asked.weight)
    weight = asked.weight / totals[mine]
    order = np.argsort(gap, kind="stable")
    middle_of = order[np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]
    typical = float(gap[middle_of]) if len(totals) >= ENOUGH else 0.0
    bound = quantile(np.abs(gap - typical), asked.machine, asked.weight, share)
    middle = float(np.average(asked.predicted, weights=asked.weight))
    # An interval that does not hold its own prediction would puzzle more than the little it is wider.
    return middle, max(bound - typical, 0.0), max(bound + typical, 0.0)


def _rising(since: int, rows: Floats) -> Stage:
    """Levels in order; where an end would fall while the prediction rises, the interval is widened until it stays."""
    at, first = np.unique(rows[:, 0], return_index=True)
    lows, highs = at - rows[first, 1], at + rows[first, 2]
    lows = np.minimum.accumulate(lows[::-1])[::-1]
    highs = np.maximum.accumulate(highs)
    return Stage(since, *(tuple(column.tolist()) for column in (at, at - lows, highs - at)))


def _equal_shares(values: Floats, weight: Floats, count: int) -> Sequence[float]:
    """The values at which `count` parts of equal weight meet, each once."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weight[order])
    places = np.searchsorted(running, running[-1] * np.arange(1, count) / count)
    return sorted({float(values[order[place]]) for place in places} - {float(values.min())})
