"""The picture of intervals: the band along a few lives, and whether it holds what it promises at every level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.intervals import Interval, around
from train.conformal import cut
from train.data.history import History
from train.picture import GRID, INK, MODEL, key_below, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.tasks.base import Array, Task

SHOWN = 3
"""Lives shown at most: a short one, a usual one, a long one."""


def draw_intervals(
    drawing: Drawing,
    task: Task,
    interval: Interval,
    found: dict[str, Any],
    histories: Sequence[History],
    predictions: Sequence[Array],
) -> None:
    """`found` is what `judged` says of `interval` on `histories`, of which the model says `predictions` [T, O]."""
    both: Any = drawing.subfigures(1, 2, width_ratios=(1.25, 1))
    left, right = both
    column = [name for name, _ in task.outputs].index(interval.output)
    told = [(h, p[:, column], t[:, column]) for h, p in zip(histories, predictions, strict=True)
            if (t := task.truth(h)) is not None]  # fmt: skip
    told.sort(key=lambda one: len(one[0]))
    some = sorted({round((i + 0.5) * (len(told) - 1) / SHOWN) for i in range(SHOWN)})
    _bands(left, interval, [told[i] for i in some], found["unit"])
    _coverage(right, found)


def _bands(drawing: Any, interval: Interval, told: Sequence[tuple[History, Array, Array]], unit: str) -> None:
    panels = np.atleast_1d(drawing.subplots(len(told), 1, squeeze=True))
    ends = around(interval)
    for axes, (history, predicted, truth) in zip(panels, told, strict=True):
        pairs = np.array([ends(float(p), i + 1) for i, p in enumerate(predicted)])
        at = np.arange(1, len(pairs) + 1)
        axes.fill_between(at, pairs[:, 0], pairs[:, 1], color=MODEL, alpha=0.18, linewidth=0, label="interval")
        axes.plot(at, predicted, color=MODEL, linewidth=1.3, label="predicted")
        axes.plot(at, cut(truth.astype(np.float64), interval), color=INK, linewidth=1.2, linestyle=(0, (4, 3)),
                  label="true")  # fmt: skip
        axes.set_ylabel(history.machine, rotation=0, ha="right", va="center", labelpad=12)
        axes.grid(color=GRID, linewidth=0.7)
    panels[-1].set_xlabel("reading")
    titled(panels[0], f"{interval.output}{f' in {unit}' if unit else ''}, machines it never saw")
    panels[0].legend(frameon=False, loc="lower left", ncols=3, fontsize=8)


def _coverage(drawing: Any, found: dict[str, Any]) -> None:
    axes = drawing.subplots()
    names = [
        f"{level['from']:.3g} – {level['to']:.3g}\nwidth {level['width']['value']:.3g}" for level in found["levels"]
    ]
    places = np.arange(len(names), dtype=float)
    figures = [level["coverage"] for level in found["levels"]]
    values = np.array([figure["value"] for figure in figures])
    reach = np.abs(np.array([[figure["low"], figure["high"]] for figure in figures]).T - values)
    axes.errorbar(values, places, xerr=reach, color=MODEL, marker="o", linestyle="none", elinewidth=1.2,
                  label="held, with 95 % interval")  # fmt: skip
    axes.axvline(found["share"], color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="asked for")
    axes.set_yticks(places, names)
    axes.set(xlim=(min(0.5, float(values.min()) - 0.05), 1.02), xlabel="share of the truth inside", ylim=(-0.6, None))
    axes.set_ylabel(f"predicted {found['output']}")
    titled(axes, "Does it hold what it promises?")
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    key_below(axes, 2)
