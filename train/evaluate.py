"""Judging predictions: figures per measure, each with a bootstrap interval over machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.errors import DataError
from train.data.history import History
from train.data.split import Cut
from train.tasks.base import UNKNOWN, Array, Predict, Task
from train.tasks.measure import Costs, Measure, Over

DRAWS = 2000
"""Bootstrap draws; the ends of a 95 % interval then move by about 0.02 of its width."""

SEEN = (30, 50, 100)
"""Readings a model is allowed to see in the table of errors by available history."""


@dataclass(frozen=True)
class Figure:
    """One figure kept machine by machine: `sums` [M, K], of which `over` makes the figure once they are added up."""

    measure: Measure
    machines: tuple[str, ...]
    sums: Costs
    over: Over

    @property
    def value(self) -> float:
        """The figure over all machines; NaN where there is nothing to say."""
        return float(self.over(self.sums.sum(0)))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13), machines drawn with replacement."""
        return _middle(self._resampled())

    def less(self, other: Figure) -> tuple[float, float, float]:
        """self - other with its 95 % interval, both drawn over the same machines: what machines share cancels."""
        assert self.machines == other.machines
        return self.value - other.value, *_middle(self._resampled() - other._resampled())

    def plain(self) -> dict[str, Any]:
        """Value, interval (None where there is nothing to say) and what it is of, for a report."""
        low, high = self.interval
        return {
            "value": _known(self.value),
            "low": _known(low),
            "high": _known(high),
            "unit": self.measure.unit,
            "machines": len(self.machines),
        }

    def _resampled(self) -> Costs:
        # Same seed, same number of machines: the same draws for every model, which makes differences paired.
        count = len(self.sums)
        drawn = np.random.default_rng(0).integers(0, count, (DRAWS, count))
        times = np.stack([np.bincount(draw, minlength=count) for draw in drawn])
        return self.over(times @ self.sums)


@dataclass(frozen=True)
class Judged:
    """All figures of one model: by measure, and the headline by how many readings were seen (`30`, …, `all`)."""

    figures: dict[str, Figure]
    by_history: dict[str, Figure]

    @property
    def headline(self) -> Figure:
        """The first measure."""
        return next(iter(self.figures.values()))

    def plain(self) -> dict[str, Any]:
        """As tables, for a report."""
        return {
            "measures": {key: {"name": f.measure.name, **f.plain()} for key, f in self.figures.items()},
            "by_history": {seen: f.plain() for seen, f in self.by_history.items()},
        }


def judge(task: Task, histories: Sequence[History], predict: Predict) -> Judged:
    """Every figure of one model over the histories whose truth is known. Raises DataError where none is.

    By available history only a headline that is taken at cut-offs can be given.
    """
    known = [h for h in histories if task.judged(h)]
    if not known:
        raise DataError(UNKNOWN)
    predictions = predict(known)
    truths = [truth_of(task, h) for h in known]
    figures = {}
    for measure in task.measures:
        at = [task.asked(measure, h) for h in known]
        pairs = [(p[i], t[i]) for p, t, i in zip(predictions, truths, at, strict=True)]
        figures[measure.key] = tally(measure, known, [p for p, _ in pairs], [t for _, t in pairs])
    headline = task.measures[0]
    if headline.at != "judged":
        return Judged(figures, {})
    asked = [(i, at) for i, h in enumerate(known) for at in task.judged(h)]
    by_history = {}
    for seen in SEEN:
        answers = ask(predict, known, [Cut(i, max(0, at + 1 - seen), at + 1) for i, at in asked])
        by_history[str(seen)] = tally(
            headline, [known[i] for i, _ in asked], answers, [truths[i][at : at + 1] for i, at in asked]
        )
    by_history["all"] = figures[headline.key]
    return Judged(figures, by_history)


def truth_of(task: Task, history: History) -> Array:
    """The truth of a history that is judged."""
    truth = task.truth(history)
    assert truth is not None, "a history is judged only where its truth is known"
    return truth


def ask(predict: Predict, histories: Sequence[History], cuts: Sequence[Cut]) -> list[Array]:
    """Each cut's answer [1, O]: the prediction at its last reading, having seen nothing before its first."""
    furthest: dict[tuple[int, int], int] = {}
    for c in cuts:
        furthest[c.index, c.start] = max(c.stop, furthest.get((c.index, c.start), 0))
    runs = predict([histories[index].window(start, stop) for (index, start), stop in furthest.items()])
    answers = dict(zip(furthest, runs, strict=True))
    return [answers[c.index, c.start][c.stop - c.start - 1 : c.stop - c.start] for c in cuts]


def tally(
    measure: Measure, histories: Sequence[History], predicted: Sequence[Array], truths: Sequence[Array]
) -> Figure:
    """What histories contribute, put together machine by machine; predictions [N, O] and truths [N, O] a history."""
    rows: dict[str, list[Costs]] = {}
    for h, p, t in zip(histories, predicted, truths, strict=True):
        rows.setdefault(h.machine, []).append(measure.take(h, p.astype(np.float64), t.astype(np.float64)))
    sums, over = measure.pool([np.concatenate(of) for of in rows.values()])
    return Figure(measure, tuple(rows), sums, over)


def _middle(drawn: Costs) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
