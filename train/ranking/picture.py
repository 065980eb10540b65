"""The picture of a ranking: who errs how much, and what a smaller error costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.table import measured_in
from train.picture import GRID, INK, MODEL, MUTED, OTHERS, png, svg, titled, two_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

DOT, MOST = 30.0, 320.0
"""Area of the smallest and the largest file's dot, in square points."""

FAR = 2.2
"""Times the best error beyond which a bar is cut off: how bad a bad baseline is says nothing."""


def as_png(report: dict[str, Any]) -> bytes:
    """The picture as a file for every viewer."""
    return png(lambda drawing: draw(drawing, report), f"edge rank {report['project']}", _height(report))


def as_svg(report: dict[str, Any]) -> str:
    """The picture as an element of a page."""
    return svg(lambda drawing: draw(drawing, report), f"ranking of {report['project']}", _height(report))


def _height(report: dict[str, Any]) -> float:
    return max(4.4, 1.4 + 0.34 * sum(not row["why"] for row in report["rows"]))


def draw(drawing: Drawing, report: dict[str, Any]) -> None:
    """Errors with intervals on the left, of families and baselines; error over µs on the right, of families."""
    left, right = two_panels(drawing)
    rows = [row for row in report["rows"] if not row["why"]]
    _errors(left, report, rows)
    _costs(right, report, [row for row in rows if row["median_us"] is not None])


def _errors(axes: Axes, report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    shown = report["questions"][:2]
    least = min((row["errors"][q]["value"] for row in rows for q in shown), default=1.0)
    for i, question in enumerate(shown):
        for at, row in enumerate(reversed(rows)):
            error = row["errors"][question]
            colour = MODEL if row["family"] else OTHERS[0]
            y = at + (0.16 if i == 0 else -0.16) * (len(shown) > 1)
            if error["value"] > FAR * least:
                axes.annotate(f"{error['value']:.3g} →", (FAR * least, y), ha="right", va="center", color=colour,
                              fontsize=8)  # fmt: skip
                continue
            axes.plot([error["low"], error["high"]], [y, y], color=colour, linewidth=1.4, alpha=1 if i == 0 else 0.5)
            face = colour if i == 0 else "none"
            axes.plot([error["value"]], [y], "o", color=colour, markerfacecolor=face, markersize=5.5)
    names = [("* " if row["pareto"] else "") + row["name"] for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.set(ylim=(-0.7, len(rows) - 0.3), xlabel=measured_in(report["headline"], report["unit"]))
    axes.set_xlim(right=FAR * least * 1.02)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    what = shown[0] if len(shown) == 1 else f"full: {shown[0]}, hollow: {shown[1]}"
    titled(axes, f"Cross-validated error, 95 % interval\n{what}")


def _costs(axes: Axes, report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    question = report["questions"][0]
    titled(axes, "What a smaller error costs")
    axes.set_xlabel("µs a step, median; area: bytes of the int8 file")
    axes.set_ylabel(measured_in(report["headline"], report["unit"]))
    axes.grid(color=GRID, linewidth=0.7)
    if not rows:
        axes.annotate("no family has an int8 file", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
        return
    largest = max(row["bytes"] for row in rows)
    for row in rows:
        error = row["errors"][question]
        colour = MODEL if row["pareto"] else MUTED
        area = DOT + (MOST - DOT) * row["bytes"] / largest
        axes.scatter([row["median_us"]], [error["value"]], s=area, color=colour, alpha=0.75, linewidth=0, zorder=3)
        axes.annotate(row["name"], (row["median_us"], error["value"]), xytext=(0, 9), textcoords="offset points",
                      ha="center", color=INK if row["pareto"] else MUTED, fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    from matplotlib.ticker import LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(0.18)
