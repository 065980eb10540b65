"""The picture of a profile: time, memory and size of every file of a bundle, as one machine measured them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from train.picture import GRID, INK, MODEL, MUTED, OTHERS, png, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ROOM = 1.22
"""Length of an axis, as a share of its longest bar, so that a figure fits behind it."""

WIDE = 4.0
"""Times between the least and the largest figure from which on an axis of times is logarithmic."""


def profile_picture(report: dict[str, Any]) -> bytes:
    """A PNG of what `edge profile --json` says; the machine that measured may be another one."""
    rows = sorted(report["rows"], key=lambda row: (row["median_us"], row["executable"]), reverse=True)
    return png(lambda drawing: _draw(drawing, report, rows), "edge profile", height=1.9 + 0.5 * len(rows))


def _draw(drawing: Drawing, report: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Three panels that share their rows: time, memory of a process, size of the file."""
    times, memory, size = drawing.subplots(1, 3, sharey=True, width_ratios=(2.4, 1, 1))
    colours = [OTHERS[0] if row["recipe"] == "float32" else MODEL for row in rows]
    _times(times, rows, colours)
    _bars(memory, [row["resident_mb"] for row in rows], colours, "{:.0f}")
    _bars(size, [row["bytes"] / 1024 for row in rows], colours, "{:.1f}")
    memory.set_xlabel("MiB of a fresh process")
    size.set_xlabel("KiB of the file")
    titled(times, "Time of a step")
    titled(memory, "Memory")
    titled(size, "Size")
    names = [f"{row['executable']}\n{row['backend']}" for row in rows]
    times.set_yticks(range(len(rows)), names)
    times.tick_params(axis="y", labelcolor=INK, length=0)
    machine = report["machine"]
    steps = min(row["steps"] for row in rows)
    where = f"{machine['processor']}, {machine['architecture']}, Python {machine['python']}"
    drawing.suptitle(
        f"{where}; {steps} steps each, interleaved",
        x=0.01,
        ha="left",
        fontsize=9,
        color=MUTED,
    )


def _times(axes: Axes, rows: Sequence[dict[str, Any]], colours: Sequence[str]) -> None:
    """Median with the span of the middle 80 % of the steps (thick) and up to the slowest hundredth (thin)."""
    from matplotlib.ticker import LogLocator, NullLocator

    for at, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        axes.plot([row["p10_us"], row["p99_us"]], [at, at], color=colour, linewidth=1.2)
        axes.plot(
            [row["p10_us"], row["p90_us"]], [at, at], color=colour, linewidth=6, alpha=0.35, solid_capstyle="butt"
        )
        axes.plot([row["median_us"]], [at], "o", color=colour, markersize=7)
        axes.annotate(
            f"{row['median_us']:.3g}",
            (row["median_us"], at),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=INK,
            fontsize=9,
        )
    least, most = min(row["p10_us"] for row in rows), max(row["p99_us"] for row in rows)
    if least > 0 and most > WIDE * least:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(least / ROOM, most * ROOM)
    else:
        axes.set_xlim(0, most * ROOM)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.set_xlabel("µs a step: median, middle 80 %, slowest 1 % behind the thin line")
    axes.grid(axis="x", color=GRID, linewidth=0.7)


def _bars(axes: Axes, values: Sequence[float | None], colours: Sequence[str], form: str) -> None:
    """A bar a row with its figure behind it; nothing where nothing was measured."""
    for at, (value, colour) in enumerate(zip(values, colours, strict=True)):
        if value is None:
            axes.annotate("not measured here", (0, at), va="center", color=MUTED, fontsize=8)
            continue
        axes.barh(at, value, height=0.45, color=colour, alpha=0.85)
        axes.annotate(
            form.format(value), (value, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_xlim(0, ROOM * max([v for v in values if v is not None] or [1.0]))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
