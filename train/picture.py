"""The picture of a run: does it see the end coming, and how much history does it need."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.spec import Project
from train.data.history import History, machines
from train.evaluate import Judged, truth_of
from train.tasks.base import Array, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2430", "#6b7280", "#e5e7eb"
MODEL, OTHERS = "#0f766e", ("#d97706", "#9ca3af", "#7c3aed")
TOP = 0.99
"""Quantile of the truth at which the left panel ends: what lies beyond says no more."""

LOWEST = 1e-6
"""Top of an axis on which everything is zero."""


def picture(
    project: Project, task: Task, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
) -> bytes:
    """A PNG of both panels. `predictions` [T, O] belong to `histories`; `judged` begins with the model."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
    }
    style |= {"axes.edgecolor": GRID, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(11, 4.4), dpi=160, layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
        _lives(left, task, histories, predictions, next(iter(judged)))
        _by_history(right, judged)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Title": project.name})
    return file.getvalue()


def _lives(axes: Axes, task: Task, histories: Sequence[History], predictions: Sequence[Array], model: str) -> None:
    """Every held-out life as a thin line: what was predicted over what was true."""
    unit = task.outputs[0][1]
    known = [(truth_of(task, h)[:, 0], p[:, 0]) for h, p in zip(histories, predictions, strict=True) if task.judged(h)]
    truth, predicted = (np.concatenate([pair[i] for pair in known]) for i in (0, 1))
    top, highest = max(float(np.quantile(truth, TOP)), 1.0), max(float(predicted.max()), LOWEST)
    for t, p in known:
        axes.plot(t, p, color=MODEL, alpha=max(0.06, min(0.5, 12 / len(known))), linewidth=0.9)
    ideal = np.linspace(0, top, 200)
    axes.plot(ideal, np.minimum(ideal, highest), color=INK, linewidth=1.4, linestyle=(0, (4, 3)), label="right")
    edges = np.linspace(0, top, 26)
    bins = np.digitize(truth, edges)
    at = [i for i in range(1, len(edges)) if (bins == i).sum() > 2]
    middle = [(edges[i - 1] + edges[i]) / 2 for i in at]
    # A few short lives fill no bin; their lines alone are then the picture.
    low, half, high = np.array([np.percentile(predicted[bins == i], [10, 50, 90]) for i in at]).reshape(-1, 3).T
    axes.fill_between(middle, low, high, color=MODEL, alpha=0.18, linewidth=0, label="80 % of the readings")
    axes.plot(middle, half, color=MODEL, linewidth=2.2, label=f"{model}, median")
    axes.set(xlim=(top, 0), ylim=(0, highest * 1.06), xlabel=f"true {unit} left", ylabel=f"predicted {unit} left")
    judged = [h for h in histories if task.judged(h)]
    _title(axes, f"{len(machines(judged))} machines it never saw, on their way to failure")
    axes.grid(color=GRID, linewidth=0.7)
    axes.legend(frameon=False, loc="lower left")


def _by_history(axes: Axes, judged: dict[str, Judged]) -> None:
    """The headline error by readings seen, with intervals, the model beside the baselines."""
    colours = dict(zip(judged, (MODEL, *OTHERS), strict=False))
    first = next(iter(judged.values()))
    places = np.arange(len(first.by_history), dtype=float)
    for i, (name, of) in enumerate(judged.items()):
        figures = list(of.by_history.values())
        values = [f.value for f in figures]
        reach: Any = np.abs(np.array([f.interval for f in figures]).T - values)
        strong = i == 0
        axes.errorbar(
            places + 0.08 * i,
            values,
            yerr=reach,
            color=colours.get(name, MUTED),
            marker="o",
            markersize=6 if strong else 4.5,
            linewidth=2.2 if strong else 1.3,
            elinewidth=1.2,
            zorder=3 if strong else 2,
            label=name,
        )
        if strong:
            for x, y in zip(places, values, strict=True):
                axes.annotate(
                    f"{y:.1f}",
                    (x, y),
                    xytext=(-7, -12),
                    textcoords="offset points",
                    ha="right",
                    color=MODEL,
                    fontweight="bold",
                )
    axes.set_xticks(places, [f"last {s}" if s != "all" else "all" for s in first.by_history])
    axes.set(xlim=(-0.5, len(places) - 0.4), xlabel="readings the model was allowed to see")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{first.headline.measure.name} ({first.headline.measure.unit})")
    _title(axes, "What it costs to have seen less")
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.legend(frameon=False)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", pad=10)
