"""The picture of the demo: predicted life against the truth, a panel a machine, with the moment of the alarm."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edge import atomic
from edge.demo.verdict import Verdict, truth
from edge.demo.watch import Heard
from edge.spec import Project

SIZE = (16.0, 9.0)
"""Inches; 1600 x 900 pixels at 100 a inch."""

COLUMNS = 4
INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
PREDICTED, TRUE, ALARM = "#1668a8", "#9aa5b1", "#c92a2a"


def draw(
    path: Path, machines: Sequence[Heard], verdicts: Sequence[Verdict], project: Project, cap: float, how: str
) -> None:
    """Write the picture of `machines` with their `verdicts` to `path` (PNG); `how` is the line under the title."""
    rows = math.ceil(len(machines) / COLUMNS)
    figure = Figure(figsize=SIZE, facecolor="white", dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten().tolist()
    longest = max(v.life for v in verdicts)
    for place, axis in enumerate(axes):
        if place < len(machines):
            _panel(axis, machines[place], verdicts[place], project, cap)
            axis.set_xlim(longest * 1.02, -longest * 0.015)
            axis.set_ylim(0, cap * 1.12)
            last_row = place + COLUMNS >= len(machines)
            axis.tick_params(labelbottom=last_row)
            if last_row:
                axis.set_xlabel("hours before the failure", color=FAINT, fontsize=11)
            if place % COLUMNS == 0:
                axis.set_ylabel("useful life left [h]", color=FAINT, fontsize=11)
        else:
            axis.set_visible(False)
    _explain(axes[0], machines[0], project, cap)
    title = f"{_count(len(machines)).capitalize()} pumps the model had never seen, and when it warned"
    figure.text(0.045, 0.952, title, fontsize=21, fontweight="bold", color=INK)
    figure.text(0.045, 0.918, how, fontsize=12.5, color=FAINT)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.85, bottom=0.075, wspace=0.08, hspace=0.22)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    atomic.write(path, drawn.getvalue())


def _panel(axis: Axes, heard: Heard, verdict: Verdict, project: Project, cap: float) -> None:
    left = truth(heard, project.timing.period_s)
    warm = [i for i, on in enumerate(heard.warm) if on]
    level = project.alarm.raise_below or 0.0
    axis.axhspan(0, level, color=ALARM, alpha=0.07, linewidth=0)
    axis.plot(left, [min(t, cap) for t in left], color=TRUE, linewidth=2.2, linestyle=(0, (4, 2)), zorder=2)
    axis.plot([left[i] for i in warm], [heard.rul[i] for i in warm], color=PREDICTED, linewidth=2.2, zorder=3)
    for i in heard.raised:
        stood = i == heard.raised[-1] and verdict.lead is not None
        axis.plot(
            [left[i]], [heard.rul[i]], "o", markersize=10, color=ALARM if stood else "white", markeredgecolor=ALARM,
            markeredgewidth=2, zorder=5,
        )  # fmt: skip
        if stood:
            axis.vlines(left[i], 0, heard.rul[i], color=ALARM, linewidth=1.2, zorder=4)
            axis.annotate(
                f"alarm {left[i]:.0f} h before", (left[i], 0), (-7, 8), textcoords="offset points",
                ha="right", fontsize=11, fontweight="bold", color=ALARM, zorder=6,
            )  # fmt: skip
    if verdict.lead is None:
        axis.text(0.97, 0.9, "no alarm", transform=axis.transAxes, ha="right", color=ALARM, fontweight="bold")
    axis.set_title(f"{heard.machine}", loc="left", fontsize=13, fontweight="bold", color=INK, pad=6)
    axis.set_title(f"off by {verdict.error:.0f} h (rms)", loc="right", fontsize=11, color=FAINT, pad=6)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=FAINT, labelsize=10.5, length=0)
    for side, spine in axis.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)


def _explain(axis: Axes, heard: Heard, project: Project, cap: float) -> None:
    """Names beside the lines of the first panel, instead of a legend somewhere else."""
    start = (heard.ts[-1] - heard.ts[0]) / project.timing.period_s
    axis.text(start, cap * 1.03, "truth", color=FAINT, fontsize=11, va="bottom")
    axis.text(start, (project.alarm.raise_below or 0) + 1, "alarm level", color=ALARM, fontsize=11, va="bottom")
    warm = heard.warm.index(True) if True in heard.warm else 0
    axis.text(start, max(heard.rul[warm] - cap * 0.2, cap * 0.4), "predicted", color=PREDICTED, fontsize=11, va="top")


def _count(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[number] if number < len(words) else str(number)
