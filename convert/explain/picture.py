"""The picture of an explanation: the prediction's way, sensors by time, and the sensors that counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convert.explain.explanation import Explanation
from edge.table import measured_in
from train.picture import GRID, INK, MODEL, MUTED, OTHERS, png, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from matplotlib.image import AxesImage

ROWS = 10
"""Sensors in the heat map, at most."""

HEALTHY = (0, (4, 3))
"""The dashes of whatever a healthy machine shows."""

CURVES = 3
"""Sensors whose readings are drawn."""


def explanation_picture(found: Explanation) -> bytes:
    """A PNG: what was predicted, which sensor moved it when and by how much, and what the first sensors showed."""
    sensors = min(ROWS, len(found.sensors))
    curves = min(CURVES, len(found.sensors))
    height = 3.0 + 0.34 * sensors + 1.15 * curves + 1.5 * bool(found.attention)
    return png(lambda drawing: _draw(drawing, found, sensors, curves), f"edge explain {found.machine}", height)


def _draw(drawing: Drawing, found: Explanation, sensors: int, curves: int) -> None:
    heights = [1.9, 0.8 + 0.34 * sensors, *[1.1] * curves, *[1.4] * bool(found.attention)]
    grid = drawing.add_gridspec(len(heights), 2, width_ratios=(4.2, 1), height_ratios=heights)
    first = found.reading - len(found.times) + 1
    readings = np.arange(first, found.reading + 1)
    top = drawing.add_subplot(grid[0, 0])
    _prediction(top, found, readings)
    heat, bars = drawing.add_subplot(grid[1, 0], sharex=top), drawing.add_subplot(grid[1, 1])
    image = _heat(heat, found, readings, sensors)
    _key(drawing, drawing.add_subplot(grid[0, 1]), image, found)
    _bars(bars, found, sensors)
    panels = [top, heat]
    for i in range(curves):
        axes = drawing.add_subplot(grid[2 + i, 0], sharex=top)
        _curve(axes, found, readings, i)
        panels.append(axes)
    for axes in panels:
        for edge in (found.stretch.first - 0.5, found.stretch.last + 0.5):
            axes.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.tick_params(labelbottom=axes is panels[-1])
    top.set_xlim(first - 0.5, found.reading + 0.5)
    panels[-1].set_xlabel(f"reading of machine {found.machine}: {found.times[0]} to {found.times[-1]}")
    if found.attention:
        _attention(drawing.add_subplot(grid[-1, 0]), found)


def _prediction(axes: Axes, found: Explanation, readings: Any) -> None:
    unit = f" {found.unit}" if found.unit else ""
    axes.plot(readings, found.predicted, color=MODEL, linewidth=2.0)
    axes.plot(readings[-1], found.predicted[-1], "o", color=MODEL, markersize=6, clip_on=False)
    axes.axhline(found.baseline, color=INK, linewidth=1.1, linestyle=HEALTHY)
    axes.set_ylabel(measured_in(found.output, found.unit))
    axes.grid(color=GRID, linewidth=0.7)
    titled(
        axes,
        f"{found.output} is {found.prediction:.4g}{unit}, with healthy readings {found.baseline:.4g}{unit}\n"
        f"between the dotted lines: {found.stretch.share:.0%} of what moved it",
    )


def _heat(axes: Axes, found: Explanation, readings: Any, sensors: int) -> AxesImage:
    """Sensors by time, the first on top; teal raised the output, orange lowered it."""
    from matplotlib.colors import LinearSegmentedColormap

    shown = found.sensors[:sensors]
    values = np.array([found.contributions[s.name] for s in shown])
    # One spike must not make all else pale.
    reach = float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("signed", [OTHERS[0], "#ffffff", MODEL])
    left, right = readings[0] - 0.5, readings[-1] + 0.5
    image = axes.imshow(
        values, aspect="auto", cmap=colours, vmin=-reach, vmax=reach, interpolation="nearest",
        extent=(left, right, len(shown) - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(range(len(shown)), [s.name for s in shown])
    axes.tick_params(axis="y", length=0)
    return image


def _key(drawing: Drawing, axes: Axes, image: AxesImage, found: Explanation) -> None:
    """What lines and colours mean, beside the first panel."""
    axes.set_axis_off()
    axes.plot([], [], color=MODEL, linewidth=2.0, label="seen")
    axes.plot([], [], color=INK, linewidth=1.1, linestyle=HEALTHY, label="healthy")
    axes.legend(frameon=False, loc="upper left", borderaxespad=0.0)
    bar = drawing.colorbar(image, cax=axes.inset_axes((0.02, 0.12, 0.9, 0.09)), orientation="horizontal")
    bar.ax.set_title(measured_in("a reading's part", found.unit), loc="left", fontsize=9, color=MUTED)
    bar.ax.tick_params(labelsize=8)


def _bars(axes: Axes, found: Explanation, sensors: int) -> None:
    """Each sensor's part over all readings, in the rows of the heat map."""
    shown = found.sensors[:sensors]
    totals = [s.contribution for s in shown]
    axes.barh(range(len(shown)), totals, height=0.6, color=[MODEL if t > 0 else OTHERS[0] for t in totals])
    axes.axvline(0, color=INK, linewidth=0.8)
    for i, s in enumerate(shown):
        axes.annotate(
            f"{s.contribution:+.3g}", (max(s.contribution, 0), i), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9, color=INK,
        )  # fmt: skip
    reach = max(map(abs, totals), default=0.0) or 1.0
    low, high = min([0.0, *totals]), max([0.0, *totals])
    axes.set(xlim=(low - 0.05 * reach, high + 0.5 * reach), ylim=(len(shown) - 0.5, -0.5), yticks=[])
    axes.set_xlabel(measured_in("in all", found.unit))


def _curve(axes: Axes, found: Explanation, readings: Any, place: int) -> None:
    sensor = found.sensors[place]
    axes.plot(readings, found.values[sensor.name], color=MODEL, linewidth=1.2)
    axes.plot(readings, found.healthy_values[sensor.name], color=INK, linewidth=1.0, linestyle=HEALTHY)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(
        "\n".join([sensor.name, *[f"[{sensor.unit}]"] * bool(sensor.unit)]), rotation=0, ha="right", va="center"
    )
    axes.grid(color=GRID, linewidth=0.7)


def _attention(axes: Axes, found: Explanation) -> None:
    """The weights behind the last reading, over how many readings ago; a line a head."""
    for name, heads in found.attention.items():
        for i, weights in enumerate(heads):
            ago = np.arange(1 - len(weights), 1)
            axes.plot(ago, weights, linewidth=1.3, label=name if len(heads) == 1 else f"{name}, head {i + 1}")
    axes.set(xlabel="readings before the last", ylabel="weight", ylim=(0, None))
    axes.grid(color=GRID, linewidth=0.7)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    titled(axes, "What the model attended to")
