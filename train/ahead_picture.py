"""Pictures of forecasts: some of them beside what came, and errors by how far ahead they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from train.picture import GRID, INK, MODEL, MUTED, OTHERS, key_below, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from train.evaluate import Judged

DRAWN, REACH = 8, 12
"""Forecasts drawn at most, and how many furthest horizons the stretch that is shown has room for."""


def paths(
    axes: Axes,
    came: NDArray[np.float32],
    predicted: NDArray[np.float32],
    horizons: Sequence[int],
    first: int,
) -> None:
    """What came of one channel [T], with forecasts [T, H] from several of its readings; the end of the record, from
    reading `first` on.
    """
    begin = max(min(first, len(came) - 2), len(came) - REACH * max(horizons[-1], 8))
    at = np.arange(begin, len(came))
    axes.plot(at, came[begin:], color=INK, linewidth=1.1, label="what came")
    froms = np.unique(np.linspace(begin, len(came) - 1, DRAWN + 1).astype(int))[:-1]
    for i in froms.tolist():
        ahead = i + np.array([0, *horizons])
        axes.plot(ahead, [came[i], *predicted[i]], color=MODEL, linewidth=1.6, marker="." if len(horizons) < 9 else "",
                  label="forecast" if i == froms[0] else None)  # fmt: skip
    titled(axes, "Forecasts from several readings, and what came")
    axes.grid(color=GRID, linewidth=0.7)
    key_below(axes, 2)


def by_horizon(axes: Axes, judged: dict[str, Judged], keys: Mapping[int, str], unit: str) -> None:
    """A measure by horizon (horizon -> its key), with intervals, the model beside the baselines."""
    colours = dict(zip(judged, (MODEL, *OTHERS), strict=False))
    for i, (name, of) in enumerate(judged.items()):
        figures = [of.figures[key] for key in keys.values()]
        values = np.array([f.value for f in figures])
        reach: Any = np.abs(np.array([f.interval for f in figures]).T - values)
        axes.errorbar(list(keys), values, yerr=reach, color=colours.get(name, MUTED), marker="o",
                      linewidth=2.2 if i == 0 else 1.3, elinewidth=1.2, zorder=3 - (i > 0), label=name)  # fmt: skip
    axes.set(xlabel=f"{unit} ahead", ylabel="MSE in z-scores")
    axes.set_ylim(bottom=0)
    titled(axes, "What it costs to look further ahead")
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    key_below(axes)
