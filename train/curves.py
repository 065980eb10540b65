"""The picture of a training: loss and validation error epoch by epoch, and the epochs that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from train.picture import GRID, INK, LOWEST, MODEL, MUTED, OTHERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LOG = 20.0
"""A curve that spans more than this ratio is drawn on a logarithmic axis."""


def draw_curves(drawing: Drawing, courses: Sequence[dict[str, Any]], error: str) -> None:
    """Two panels over all courses of a report in a row; `error` names the axis of errors."""
    left, right = drawing.subplots(1, 2)
    ends = [0, *accumulate(len(course["losses"]) for course in courses)]
    _curve(left, courses, ends, "losses", OTHERS[0], "Training loss")
    _curve(right, courses, ends, "errors", MODEL, "Validation error")
    left.set_ylabel("mean loss of an epoch")
    right.set_ylabel(error)
    for course, start in zip(courses, ends, strict=False):
        if course["best_epoch"]:
            at, best = start + course["best_epoch"], course["errors"][course["best_epoch"] - 1]
            right.plot([at], [best], "o", color=INK, markersize=6, zorder=4)
            right.annotate(
                f"{best:.3g} in epoch {course['best_epoch']}" if len(courses) == 1 else f"{best:.3g}",
                (at, best),
                xytext=(0, -15),
                textcoords="offset points",
                ha="right" if at > 0.7 * ends[-1] else "center",
                color=INK,
                fontsize=9,
            )
            left.axvline(at, color=INK, linewidth=0.8, linestyle=(0, (1, 3)))


def _curve(
    axes: Axes, courses: Sequence[dict[str, Any]], ends: Sequence[int], key: str, colour: str, title: str
) -> None:
    for course, start in zip(courses, ends, strict=False):
        axes.plot(range(start + 1, start + 1 + len(course[key])), course[key], color=colour, linewidth=1.6)
        if start:
            axes.axvline(start + 0.5, color=MUTED, linewidth=0.8)
            axes.annotate(
                course["name"],
                (start + 0.5, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3),
                textcoords="offset points",
                rotation=90,
                va="top",
                fontsize=8,
                color=MUTED,
            )
    every = [value for course in courses for value in course[key]]
    if min(every) > 0 and max(every) > LOG * min(every):
        axes.set_yscale("log")
        axes.margins(y=0.12)
    else:
        axes.set_ylim(min(0.0, 1.12 * min(every)), max(1.12 * max(every), LOWEST))
    axes.set_xlim(0, ends[-1] + 1)
    axes.set_xlabel("epoch")
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)
