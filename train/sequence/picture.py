"""The picture of a sequence benchmark: how it was learnt, and how far back an output feels its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from train.picture import GRID, MODEL, MUTED, OTHERS, key_below, png, titled, two_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LEAST = 1e-12
"""Share of the largest gradient below which nothing is drawn."""


def picture(report: dict[str, Any]) -> bytes:
    """A PNG of what the report says."""
    return png(lambda drawing: _draw(drawing, report), report["command"], height=4.8)


def _draw(drawing: Drawing, report: dict[str, Any]) -> None:
    left, right = two_panels(drawing)
    _course(left, report)
    _lags(right, report)
    drawing.suptitle(report["command"], x=0.01, ha="left", fontsize=9, color=MUTED)


def _course(axes: Axes, report: dict[str, Any]) -> None:
    """The validation figure over steps, beside the test figure, the paper's and the naive one."""
    looks = np.array(report["looks"]).reshape(-1, 4)
    axes.plot(looks[:, 0], looks[:, 3], color=MODEL, linewidth=1.8, label="validation")
    axes.plot([report["steps"]], [report["figure"]], "o", color=MODEL, label=f"test {report['figure']:.3g}", zorder=3)
    axes.axhline(report["naive"], color=OTHERS[1], linewidth=1.3, label=f"knows nothing {report['naive']:.3g}")
    if report["published"]:
        value = report["published"]["value"]
        axes.axhline(value, color=OTHERS[0], linewidth=1.3, linestyle=(0, (4, 3)), label=f"paper {value:.3g}")
    drawn = np.array([*looks[:, 3], report["figure"], report["naive"]])
    if (drawn > 0).all() and drawn.max() > 20 * drawn.min():
        axes.set_yscale("log")
    axes.set_xlabel("steps")
    axes.set_ylabel(f"{report['metric']} ({report['unit']})" if report["unit"] else report["metric"])
    titled(axes, f"{report['family']}, {report['parameters']} weights")
    axes.grid(color=GRID, linewidth=0.7)
    key_below(axes, 4)


def _lags(axes: Axes, report: dict[str, Any]) -> None:
    """The gradient by lag as a share of the largest, before and after; nothing where it is zero."""
    for (name, norms), colour in zip(report["gradient_by_lag"].items(), (OTHERS[1], MODEL), strict=True):
        values = np.array(norms) / (max(norms) or 1.0)
        values[values < LEAST] = np.nan
        axes.plot(np.arange(len(values)), values, color=colour, linewidth=1.6, label=f"{name} fitting")
    axes.set_yscale("log")
    axes.set_xlim(0, len(report["gradient_by_lag"]["before"]) - 1)
    axes.set_xlabel("lag k in readings")
    axes.set_ylabel("norm of $\\partial y_T/\\partial x_{T-k}$, share of the largest")
    titled(axes, "How far back an output feels its inputs")
    axes.grid(color=GRID, linewidth=0.7)
    key_below(axes, 2)
