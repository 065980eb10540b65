"""Measures: what predictions are judged by, kept machine by machine so that machines can be drawn again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from train.data.history import History

Costs = NDArray[np.float64]

Over = Callable[[Costs], Costs]
"""From sums [..., K] to figures [...]; NaN where there is nothing to say."""

Pool = Callable[[Sequence[Costs]], tuple[Costs, Over]]
"""From what each machine contributes ([n, k] each) to sums [M, K] that may be added up over machines, and what makes a
figure of any such sum.
"""

LEVELS = 512
"""Scores are told apart in so many steps at most where they are ranked."""


@dataclass(frozen=True)
class Measure:
    """One figure about predictions. The first measure of a task is an error: lower is better.

    `take` gets a history, predictions [N, O] and the truth [N, O] in the task's units, and returns what they contribute
    [n, k]; `pool` makes figures of that. `at` says which readings N are: those a history is judged at, every one whose
    truth is known, or the whole record with all its readings, known or not (what an alarm does hangs on all of them).
    `whole` is what a file's change of an error is a share of, in the measure's unit; None where that is the output's
    range, because the error has the output's unit.
    """

    key: str
    name: str
    unit: str
    take: Callable[[History, Costs, Costs], Costs]
    pool: Pool
    at: Literal["judged", "every", "record"] = "judged"
    whole: float | None = None

    def figure(
        self,
        histories: Sequence[History],
        predicted: Sequence[NDArray[np.float32]],
        truths: Sequence[NDArray[np.float32]],
    ) -> float:
        """One figure of predictions and truths [N, O] of each history."""
        rows = [
            self.take(h, p.astype(np.float64), t.astype(np.float64))
            for h, p, t in zip(histories, predicted, truths, strict=True)
        ]
        sums, over = self.pool(rows)
        return float(over(sums.sum(0)))


def cost(of: Callable[[Costs, Costs], Costs]) -> Callable[[History, Costs, Costs], Costs]:
    """A `take` from a cost of each prediction: (predicted [N, O], truth [N, O]) -> [N]."""
    return lambda history, predicted, truth: of(predicted, truth)[:, None]


def root_mean(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The root of the mean of costs [n, 1]."""
    return _counted(rows), lambda sums: np.sqrt(_share(sums))


def mean(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The mean of costs [n, 1]."""
    return _counted(rows), _share


def total(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The sum of costs [n, 1]."""
    return np.array([row.sum(0) for row in rows]), lambda sums: sums[..., 0]


def ratio(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """All that was counted by what it was counted of: rows [n, 2]."""
    return np.array([row.sum(0) for row in rows]), _share


def mean_of_ratios(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The mean of several ratios, those that say something: rows [n, 2 R], numerators beside their denominators."""

    def over(sums: Costs) -> Costs:
        known = sums[..., 1::2] > 0
        shares = np.where(known, sums[..., ::2] / np.where(known, sums[..., 1::2], 1.0), 0.0)
        count = known.sum(-1)
        return np.where(count > 0, shares.sum(-1) / np.maximum(count, 1), np.nan)

    return np.array([row.sum(0) for row in rows]), over


def macro_f1(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The mean of F1 over the classes that occur: rows [n, 3 K], of each class the times it was said rightly, said, and
    right.
    """

    def over(sums: Costs) -> Costs:
        hits, said, right = (sums[..., i::3] for i in range(3))
        occurs = right > 0
        f1 = np.where(occurs, 2 * hits / np.maximum(said + right, 1.0), 0.0)
        count = occurs.sum(-1)
        return np.where(count > 0, f1.sum(-1) / np.maximum(count, 1), np.nan)

    return np.array([row.sum(0) for row in rows]), over


def middle(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """The median of values [n, 1]; the lower one where two are in the middle."""
    values = np.unique(np.concatenate([row.ravel() for row in rows]))
    sums = np.array([[(row == value).sum() for value in values] for row in rows], np.float64)

    def over(sums: Costs) -> Costs:
        if not len(values):
            return np.full(sums.shape[:-1], np.nan)
        running = np.cumsum(sums, -1)
        place = (running < running[..., -1:] / 2).sum(-1)
        return np.where(running[..., -1] > 0, values[np.minimum(place, len(values) - 1)], np.nan)

    return sums.reshape(len(rows), -1), over


def average_precision(rows: Sequence[Costs]) -> tuple[Costs, Over]:
    """Area under precision over recall (Davis & Goadrich 2006) of scores and labels (0 or 1): rows [n, 2].

    Higher is better; the share of positive labels is what guessing reaches.
    """
    every = np.concatenate(rows)
    # Half of the levels among the positive ones: where these are rare, ranks are decided among them.
    groups = [group for group in (every[:, 0], every[every[:, 1] > 0, 0]) if len(group)]
    edges = np.unique([np.quantile(group, np.linspace(0, 1, LEVELS // 2 + 1)) for group in groups])[1:]
    bins = len(edges) + 1  # a level begins at its edge; below the first one is the lowest
    counts = []
    for row in rows:
        place = np.digitize(row[:, 0], edges, right=False)
        positive = row[:, 1] > 0
        counts.append(np.stack([np.bincount(place[k], minlength=bins) for k in (positive, ~positive)], -1)[::-1])
    sums = np.array(counts, np.float64).reshape(len(rows), -1)

    def over(sums: Costs) -> Costs:
        precision, _, gained = precision_recall(sums)
        return np.where(gained.sum(-1) > 0, (precision * gained).sum(-1), np.nan)

    return sums, over


def precision_recall(sums: Costs) -> tuple[Costs, Costs, Costs]:
    """Precision, recall and what each level adds to it [..., L], from the sums of `average_precision`."""
    pairs = sums.reshape(*sums.shape[:-1], -1, 2)
    hits, alarms = np.cumsum(pairs[..., 0], -1), np.cumsum(pairs.sum(-1), -1)
    most = np.maximum(hits[..., -1:], 1.0)
    return hits / np.maximum(alarms, 1.0), hits / most, pairs[..., 0] / most


def _counted(rows: Sequence[Costs]) -> Costs:
    return np.array([[row.sum(), len(row)] for row in rows])


def _share(sums: Costs) -> Costs:
    known = sums[..., 1] > 0
    return np.where(known, sums[..., 0] / np.where(known, sums[..., 1], 1.0), np.nan)
