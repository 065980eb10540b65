"""The picture of a run: what its task has to show, in one style."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.spec import AlarmSpec, Project
from train.data.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from matplotlib.figure import SubFigure

    from train.evaluate import Figure, Judged
    from train.tasks.base import Array, Task

INK, MUTED, GRID = "#1f2430", "#6b7280", "#e5e7eb"
MODEL, OTHERS = "#0f766e", ("#d97706", "#9ca3af", "#7c3aed")
TOP = 0.99
"""Quantile of the truth at which the panel of lives ends: what lies beyond says no more."""

LOWEST = 1e-6
"""Top of an axis on which everything is zero."""


THEME = {INK: "--ink", MUTED: "--muted", GRID: "--grid", MODEL: "--model", OTHERS[0]: "--first"}
"""Colour -> the style sheet's name for it in an inline picture, which is light or dark as its page is."""


def picture(
    project: Project, task: Task, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
) -> bytes:
    """A PNG of what the task draws. `predictions` [T, O] belong to `histories`; `judged` begins with the model."""
    return png(lambda drawing: task.draw(drawing, histories, predictions, judged), project.name)


def png(draw: Callable[[Drawing], None], title: str, height: float = 4.4) -> bytes:
    """What `draw` draws, as a file for every viewer."""
    file = io.BytesIO()
    with _styled(height) as drawing:
        draw(drawing)
        drawing.savefig(file, format="png", metadata={"Title": title}, facecolor="white")
    return file.getvalue()


def svg(draw: Callable[[Drawing], None], title: str, height: float = 4.4) -> str:
    """What `draw` draws, as an element for a page whose style sheet knows the names in `THEME`."""
    file = io.StringIO()
    with _styled(height, {"svg.fonttype": "none", "svg.hashsalt": title}) as drawing:
        draw(drawing)
        drawing.savefig(file, format="svg", metadata={"Date": None, "Title": title}, transparent=True)
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, name in THEME.items():
        text = text.replace(colour, f"var({name})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


@contextmanager
def _styled(height: float, more: dict[str, Any] | None = None) -> Iterator[Drawing]:
    """An empty drawing, 11 inches wide, in the house's style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    style: Any = {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "axes.edgecolor": GRID,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **(more or {}),
    }
    with mpl.rc_context(style):
        yield Drawing(figsize=(11, height), dpi=160, layout="constrained")


def two_panels(drawing: Drawing) -> tuple[Axes, Axes]:
    """A wider panel on the left and one on the right."""
    left, right = drawing.subplots(1, 2, width_ratios=(1.25, 1))
    drawing.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
    return left, right


def lives(
    axes: Axes,
    pairs: Sequence[tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]],
    model: str,
    title: str,
    ideal: bool = True,
) -> None:
    """Every life as a thin line: what was predicted over what was truly left, a pair (left [T], predicted [T]) each.

    With `ideal` a dashed line says what would be right where both are the same quantity.
    """
    truth, predicted = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
    top, highest = max(float(np.quantile(truth, TOP)), 1.0), max(float(predicted.max()), LOWEST)
    for t, p in pairs:
        axes.plot(t, p, color=MODEL, alpha=max(0.06, min(0.5, 12 / len(pairs))), linewidth=0.9)
    if ideal:
        right = np.linspace(0, top, 200)
        axes.plot(right, np.minimum(right, highest), color=INK, linewidth=1.4, linestyle=(0, (4, 3)), label="right")
    edges = np.linspace(0, top, 26)
    bins = np.digitize(truth, edges)
    at = [i for i in range(1, len(edges)) if (bins == i).sum() > 2]
    middle = [(edges[i - 1] + edges[i]) / 2 for i in at]
    # A few short lives fill no bin; their lines alone are then the picture.
    low, half, high = np.array([np.percentile(predicted[bins == i], [10, 50, 90]) for i in at]).reshape(-1, 3).T
    axes.fill_between(middle, low, high, color=MODEL, alpha=0.18, linewidth=0, label="80 % of the readings")
    axes.plot(middle, half, color=MODEL, linewidth=2.2, label=f"{model}, median")
    axes.set(xlim=(top, 0), ylim=(0, highest * 1.06))
    titled(axes, title)
    axes.grid(color=GRID, linewidth=0.7)
    axes.legend(frameon=False, loc="lower left" if ideal else "upper left")


def by_history(axes: Axes, judged: dict[str, Judged]) -> None:
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
    titled(axes, "What it costs to have seen less")
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    key_below(axes)


def titled(axes: Axes, text: str) -> None:
    """A panel's title: one sentence, at its left."""
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", pad=10)


def key_below(axes: Axes, columns: int = 4) -> None:
    """The names of what a panel compares, in `columns` below it, where no figure of theirs can be."""
    axes.legend(
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.15),
        ncols=columns,
        columnspacing=1.2,
        handlelength=1.4,
    )


def levels(axes: Axes, alarm: AlarmSpec) -> None:
    """The levels of an alarm that is raised above one, as lines across a panel."""
    if alarm.raise_above is not None:
        axes.axhline(alarm.raise_above, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "alarm", (0, alarm.raise_above), xycoords=("axes fraction", "data"), xytext=(3, 3),
            textcoords="offset points", ha="left", color=INK, fontsize=9,
        )  # fmt: skip
    if alarm.clear_below is not None:
        axes.axhline(alarm.clear_below, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=1)


def precision_over_recall(axes: Axes, figures: dict[str, Figure]) -> None:
    """Precision over recall of each model, from the figure of its average precision."""
    from train.tasks.measure import precision_recall

    colours = dict(zip(figures, (MODEL, *OTHERS), strict=False))
    for i, (name, figure) in enumerate(figures.items()):
        precision, recall, _ = precision_recall(figure.sums.sum(0))
        width = 2.2 if i == 0 else 1.3
        # From recall 0 on, so that a model with a single level is a line, too.
        precision, recall = np.append(precision[:1], precision), np.append(0.0, recall)
        axes.plot(recall, precision, color=colours.get(name, MUTED), linewidth=width, zorder=3 - (i > 0),
                  label=f"{name} {figure.value:.2f}")  # fmt: skip
    axes.set(xlim=(0, 1.01), ylim=(0, 1.04), xlabel="share of the last readings found (recall)")
    axes.set_ylabel("share of those found that are right (precision)")
    titled(axes, "What finding more costs; area in the legend")
    axes.grid(color=GRID, linewidth=0.7)
    axes.legend(frameon=False, loc="lower left")


RECORDS = 5
"""Records shown at most."""


def records(
    drawing: SubFigure,
    shown: Sequence[tuple[str, NDArray[np.float32], NDArray[np.bool_]]],
    alarm: AlarmSpec,
    what: str,
) -> None:
    """A score of a few records over time, (name, values [T], faulty [T]) each, with what is known of faults."""
    panels = drawing.subplots(min(len(shown), RECORDS), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values, faulty) in zip(panels, shown, strict=False):
        at = np.arange(len(values))
        axes.fill_between(at, 0, 1, where=faulty, transform=axes.get_xaxis_transform(), color=OTHERS[0], alpha=0.16,
                          linewidth=0)  # fmt: skip
        axes.plot(at, values, color=MODEL, linewidth=1.3)
        levels(axes, alarm)
        axes.set_ylim(0, max(2.0, float(values.max())) * 1.08)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=12)
        axes.grid(color=GRID, linewidth=0.7)
    panels[-1].set_xlabel("reading")
    titled(panels[0], f"{what}; shaded where a fault is known")


def rates(drawing: SubFigure, judged: dict[str, Judged], keys: Sequence[str]) -> None:
    """Shares, with intervals: a group of bars a measure, a bar a model."""
    axes = drawing.subplots()
    colours = dict(zip(judged, (MODEL, *OTHERS), strict=False))
    places = np.arange(len(keys), dtype=float)
    height = 0.8 / len(judged)
    for i, (name, of) in enumerate(judged.items()):
        figures = [of.figures[key] for key in keys]
        values = np.nan_to_num(np.array([f.value for f in figures]))
        reach: Any = np.abs(np.nan_to_num(np.array([f.interval for f in figures])).T - values)
        axes.barh(places + i * height, values, height * 0.9, xerr=reach, color=colours.get(name, MUTED), label=name,
                  error_kw={"ecolor": INK, "elinewidth": 1.0})  # fmt: skip
    named = next(iter(judged.values())).figures
    axes.set_yticks(
        places + 0.4 - height / 2, [named[key].measure.name.replace(" readings", "\nreadings") for key in keys]
    )
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share, with 95 % interval over machines")
    titled(axes, "What each gets wrong")
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    key_below(axes, 2)
