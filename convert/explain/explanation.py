"""Which sensors, and which stretch of time, moved one prediction of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convert.explain.graph import StepGraph, Wires
from convert.explain.integrate import PIECES, Integral, integrate
from convert.explain.seen import Seen, look, records_of
from convert.explain.shares import order, shares, window
from convert.healthy import baseline, held
from device.choose import open_backend
from edge.bundle import Bundle
from edge.errors import BundleError, CheckFailed, ProjectError
from edge.manifest import Channel
from edge.recipes import RECIPES
from edge.registry import suggest
from edge.times import written
from train.fit import one_thread

USUAL = 200
"""Readings that are explained where a model's memory has no bound."""

LEAST = 0.01
"""A difference below this share of the output's range is none."""

MISSED = 0.01
"""Share of the difference that may stay unexplained without a word."""

ROOM = 1 << 27
"""Numbers that a batch of gradients may take: 1 GB."""

ATTENTION = "attention"
"""What the name of an output of attention weights begins with."""


@dataclass(frozen=True)
class Sensor:
    """What a sensor did to the prediction: `contribution` in the output's unit, with its sign; `share` of all that
    moved it; `mean` in the decisive stretch, where a healthy machine shows `healthy`.
    """

    name: str
    unit: str
    contribution: float
    share: float
    mean: float
    healthy: float


@dataclass(frozen=True)
class Stretch:
    """The shortest stretch that holds most of the attribution: numbers of its first and last reading, their times, and
    the `share` it holds.
    """

    first: int
    last: int
    begin: str
    end: str
    share: float


@dataclass(frozen=True)
class Explanation:
    """All of it. Readings count from 1 among the machine's; `times` [N] and the rows behind are those of the N readings
    that were taken apart: `predicted` [N], `contributions` [N] of each sensor, `values` and `healthy_values` [N] too.

    `baseline` is the prediction with healthy readings in their place. `before` readings ahead of them were left as they
    were. `attention` holds weights by output, each with a row a head, oldest reading first.
    """

    model: str
    machine: str
    output: str
    unit: str
    reading: int
    readings: int
    at: str
    prediction: float
    warm: bool
    baseline: float
    unexplained: float
    sensors: list[Sensor]
    stretch: Stretch
    held: list[str]
    before: int
    gradients: int
    notes: list[str]
    times: list[str]
    predicted: list[float]
    contributions: dict[str, list[float]]
    values: dict[str, list[float]]
    healthy_values: dict[str, list[float]]
    attention: dict[str, list[list[float]]]


def explain(
    bundle: Bundle,
    history: Sequence[str],
    machine: str | None = None,
    at: str | None = None,
    output: str | None = None,
    readings: int | None = None,
    reader: str | None = None,
) -> Explanation:
    """Take one prediction of `bundle` for a machine in `history` (files or globs) apart; `edge explain --help` says
    what the others mean. Raises ProjectError for an unknown name, DataError where the history is no use, BundleError
    where the bundle has no ONNX file in float32, and CheckFailed where its gradients are not those of its predictions.
    """
    manifest = bundle.manifest
    column = _column(bundle, output)
    wires = wires_of(bundle)
    records = records_of(manifest, history, reader, machine)
    name = manifest.outputs[column].name
    most = readings or manifest.memory or USUAL
    seen = look(bundle, open_backend(bundle), records, at, name, most)
    channels = len(manifest.channels)
    x = seen.rows[:, :channels]
    healthy = baseline(manifest, x)
    span = manifest.outputs[column].span
    found = attribute(wires, seen.rows, healthy, seen.state, column, LEAST * span)
    allowed = RECIPES["float32"].drift * span
    if not abs(found.end - seen.predicted[-1]) <= allowed:
        raise CheckFailed(
            f"`{bundle.path}`: the graph that gradients come from predicts {found.end:g} where the device predicts "
            f"{seen.predicted[-1]:g}; convert the model again, and report this if it stays"
        )
    return _told(bundle, seen, column, found, healthy, _attention(wires, seen))


def wires_of(bundle: Bundle) -> Wires:
    """The step graph of a bundle's ONNX file in float32. Raises BundleError where it has none."""
    executable = bundle.manifest.executable("onnx", "float32")
    if executable is None:
        held = ", ".join(e.key for e in bundle.manifest.executables)
        raise BundleError(
            f"`{bundle.path}` holds no onnx/float32, which gradients are taken from (it holds {held}); convert the "
            "model again with that file"
        )
    graph = StepGraph(bundle.model(executable), f"`{bundle.path}`: {executable.key}")
    return Wires(graph, len(bundle.manifest.states))


def attribute(
    wires: Wires,
    rows: NDArray[np.float32],
    healthy: NDArray[np.float32],
    state: Sequence[Tensor],
    column: int,
    least: float,
) -> Integral:
    """Integrated gradients [N, C] of output `column` behind the last of `rows` [N, W], against `healthy` [N, C] in the
    place of their first C numbers; what else a row holds, and the state before them, stay as they are.
    """
    channels = healthy.shape[1]
    x, rest = torch.from_numpy(rows).double().tensor_split([channels], dim=1)

    def last(points: Tensor) -> Tensor:
        return wires.unrolled(torch.cat([points, rest], -1), state)[-1, column]

    first = torch.from_numpy(rows[0].copy())
    shapes = zip(torch.split(first, wires.widths), wires.graph.shapes, strict=False)
    one = wires.graph.floats(*(part.reshape(shape) for part, shape in shapes), *state)
    at_once = int(np.clip(ROOM // (one * len(rows)), 1, 4 * PIECES))
    batch = torch.func.vmap(last)
    with one_thread():
        return integrate(batch, x, torch.from_numpy(healthy).double(), least, at_once)


def _column(bundle: Bundle, output: str | None) -> int:
    names = [one.name for one in bundle.manifest.outputs]
    if output is None:
        return 0
    if output not in names:
        raise ProjectError(f"unknown output `{output}`{suggest(output, names)} (a picture goes to -o)")
    return names.index(output)


def _attention(wires: Wires, seen: Seen) -> dict[str, list[list[float]]]:
    """Attention weights behind the last reading, by output, a row a head."""
    names = [name for name in wires.extras if name.startswith(ATTENTION)]
    if not names:
        return {}
    state = seen.state
    with torch.no_grad():
        for row in torch.from_numpy(seen.rows).unbind(0):
            _, extras, state = wires.step(row, state)
    return {name: extras[name].reshape(-1, extras[name].shape[-1]).tolist() for name in names}


def _told(
    bundle: Bundle,
    seen: Seen,
    column: int,
    found: Integral,
    healthy: NDArray[np.float32],
    attention: dict[str, list[list[float]]],
) -> Explanation:
    """Figures as they are shown."""
    manifest = bundle.manifest
    output, data = manifest.outputs[column], manifest.project.data
    values, x = found.values.numpy(), seen.rows[:, : len(manifest.channels)]
    kept = held(manifest)
    ranked = [i for i in order(values) if i not in kept]
    weights = np.abs(values).sum(axis=1)
    begin, end = window(weights)
    first = seen.number - len(seen.ts) + 1
    share = float(weights[begin:end].sum() / weights.sum()) if weights.any() else 0.0
    times = [written(ts, data) for ts in seen.ts]
    of = shares(values)
    return Explanation(
        model=manifest.model,
        machine=seen.machine,
        output=output.name,
        unit=output.unit,
        reading=seen.number,
        readings=seen.of,
        at=times[-1],
        prediction=seen.predicted[-1],
        warm=seen.warm,
        baseline=found.begin,
        unexplained=found.unexplained,
        sensors=[
            Sensor(
                manifest.channels[i].name,
                manifest.channels[i].unit,
                float(values[:, i].sum()),
                float(of[i]),
                float(x[begin:end, i].mean()),
                float(healthy[begin:end, i].mean()),
            )
            for i in ranked
        ],
        stretch=Stretch(first + begin, first + end - 1, times[begin], times[end - 1], share),
        held=[manifest.channels[i].name for i in kept],
        before=seen.before,
        gradients=found.gradients,
        notes=_notes(bundle, seen, column, found),
        times=times,
        predicted=seen.predicted,
        contributions=_by_name(manifest.channels, values, ranked),
        values=_by_name(manifest.channels, x, ranked),
        healthy_values=_by_name(manifest.channels, healthy, ranked),
        attention=attention,
    )


def _by_name(channels: Sequence[Channel], values: NDArray[np.float32], places: Sequence[int]) -> dict[str, list[float]]:
    return {channels[i].name: values[:, i].tolist() for i in places}


def _notes(bundle: Bundle, seen: Seen, column: int, found: Integral) -> list[str]:
    """What a person must know to read the figures right."""
    manifest = bundle.manifest
    output, told = manifest.outputs[column], []
    moved = abs(found.end - found.begin)
    if not seen.warm:
        least = manifest.project.timing.warm_up_readings
        told.append(f"this prediction does not count yet: the machine is warm after {least} readings")
    if moved < LEAST * output.span:
        told.append("the prediction is that of a healthy machine: there is nothing to explain")
    if found.flat:
        told.append(
            "the prediction sits where it is cut off: no small change of any reading would move it, and what lies "
            "beyond is not seen"
        )
    if abs(found.unexplained) > MISSED * max(moved, LEAST * output.span):
        told.append(f"{abs(found.unexplained) / max(moved, 1e-30):.0%} of the difference stays unexplained")
    if seen.before:
        of = "ones this model remembers" if manifest.memory and len(seen.ts) >= manifest.memory else "last ones"
        told.append(
            f"of {seen.before + len(seen.ts)} readings the {len(seen.ts)} {of} were taken apart; those before were "
            "left as they were"
        )
    if not manifest.healthy:
        told.append(
            "this bundle does not know what is healthy: predictions are explained against the training mean; convert "
            "the model again to mend that"
        )
    return told
