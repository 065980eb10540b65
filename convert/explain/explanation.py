"""Which sensors, and which stretch of time, moved one prediction of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convert.explain.graph import StepGraph, Wires
from convert.explain.integrate import PIECES, Integral, integrate
from convert.explain.seen import Seen, look, primed, records_of
from convert.explain.shares import order, shares, window
from convert.healthy import baseline, held
from device.choose import open_backend
from edge.bundle import Bundle
from edge.decide import AlarmState, decide
from edge.errors import BundleError, CheckFailed, ProjectError
from edge.manifest import Channel, Manifest
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

ROUNDED = 2.0**-20
"""Share of a prediction, however far outside what was trained on, that single precision may round in a few sums."""

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

    `baseline` is the prediction with healthy readings from the first one on. `before` readings ahead of those taken
    apart moved it by `earlier`, all together. `attention` holds weights by output, a row a head, oldest reading first.
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
    earlier: float
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
    backend = open_backend(bundle)
    seen = look(bundle, backend, records, at, name, most)
    calm, calm_earlier = (_calm(manifest, rows) for rows in (seen.rows, seen.earlier))
    state = primed(backend, seen.earlier)
    span = manifest.outputs[column].span
    parts = attribute(wires, (seen.rows, state), (calm, primed(backend, calm_earlier)), column, LEAST * span)
    found = parts.integral
    allowed = RECIPES["float32"].drift * span + ROUNDED * abs(seen.predicted[-1])
    if not abs(found.end - seen.predicted[-1]) <= allowed:
        raise CheckFailed(
            f"`{bundle.path}`: the graph that gradients come from predicts {found.end:g} where the device predicts "
            f"{seen.predicted[-1]:g}; convert the model again, and report this if it stays"
        )
    return _told(bundle, seen, column, parts, calm, _attention(wires, seen, state))


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


@dataclass(frozen=True)
class Parts:
    """`values` [N, C] of the readings, `earlier` of the state that the first of them met, and the integral of both."""

    values: NDArray[np.float64]
    earlier: float
    integral: Integral


Stand = tuple[NDArray[np.float32], Sequence[Tensor]]
"""Readings [N, W], and the state that the first of them meets."""


def attribute(wires: Wires, real: Stand, healthy: Stand, column: int, least: float) -> Parts:
    """Integrated gradients of output `column` behind the last of the readings, for the channels and for the state
    before, from `healthy` to `real`. What a reading holds behind its channels is that of `real`, and is no part of it.
    """
    channels = wires.widths[0]
    (rows, state), (calm, calm_state) = real, healthy
    x, rest = torch.from_numpy(rows).double().tensor_split([channels], dim=1)
    end, begin = [x, *state], [torch.from_numpy(calm[:, :channels]), *calm_state]
    sizes = [one.numel() for one in end]

    def last(point: Tensor) -> Tensor:
        parts = torch.split(point, sizes)
        points, *before = [part.reshape(one.shape) for part, one in zip(parts, end, strict=True)]
        return wires.unrolled(torch.cat([points, rest], -1), before)[-1, column]

    given = torch.split(torch.from_numpy(rows[0]), wires.widths)
    shaped = [part.reshape(shape) for part, shape in zip(given, wires.graph.shapes, strict=False)]
    one = wires.graph.floats(*shaped, *state)
    at_once = int(np.clip(ROOM // (one * len(rows)), 1, 4 * PIECES))
    ends = [torch.cat([one.double().flatten() for one in side]) for side in (end, begin)]
    with one_thread():
        found = integrate(torch.func.vmap(last), ends[0], ends[1], least, at_once)
    values, earlier = found.values.tensor_split([sizes[0]])
    return Parts(values.reshape(x.shape).numpy(), float(earlier.sum()), found)


def _calm(manifest: Manifest, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows` [N, W] as a healthy machine would have sent them."""
    calm = rows.copy()
    channels = len(manifest.channels)
    if len(rows):
        calm[:, :channels] = baseline(manifest, rows[:, :channels])
    return calm


def _column(bundle: Bundle, output: str | None) -> int:
    names = [one.name for one in bundle.manifest.outputs]
    if output is None:
        return 0
    if output not in names:
        raise ProjectError(f"unknown output `{output}`{suggest(output, names)} (a picture goes to -o)")
    return names.index(output)


def _attention(wires: Wires, seen: Seen, state: Sequence[Tensor]) -> dict[str, list[list[float]]]:
    """Attention weights behind the last reading, by output, a row a head."""
    names = [name for name in wires.extras if name.startswith(ATTENTION)]
    if not names:
        return {}
    with torch.no_grad():
        for row in torch.from_numpy(seen.rows).unbind(0):
            _, extras, state = wires.step(row, state)
    return {name: extras[name].reshape(-1, extras[name].shape[-1]).tolist() for name in names}


def _told(
    bundle: Bundle,
    seen: Seen,
    column: int,
    parts: Parts,
    healthy: NDArray[np.float32],
    attention: dict[str, list[list[float]]],
) -> Explanation:
    """Figures as they are shown."""
    manifest = bundle.manifest
    output, data = manifest.outputs[column], manifest.project.data
    found, values, x = parts.integral, parts.values, seen.rows[:, : len(manifest.channels)]
    kept = held(manifest)
    ranked = [i for i in order(values) if i not in kept]
    weights = np.abs(values).sum(axis=1)
    begin, end = window(weights)
    first = seen.number - len(seen.ts) + 1
    share = float(weights[begin:end].sum() / weights.sum()) if weights.any() else 0.0
    times = [written(ts, data) for ts in seen.ts]
    of = shares(np.append(values.sum(axis=0), parts.earlier))
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
        before=len(seen.earlier),
        earlier=parts.earlier,
        gradients=found.gradients,
        notes=_notes(bundle, seen, column, found),
        times=times,
        predicted=seen.predicted,
        contributions=_by_name(manifest.channels, values, ranked),
        values=_by_name(manifest.channels, x, ranked),
        healthy_values=_by_name(manifest.channels, healthy, ranked),
        attention=attention,
    )


def _by_name(
    channels: Sequence[Channel], values: NDArray[np.floating[Any]], places: Sequence[int]
) -> dict[str, list[float]]:
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
    alarm = manifest.project.alarm
    if column == 0 and decide(AlarmState(), found.begin, replace(alarm, hold_readings=1)):
        told.append(
            "healthy readings that stand still raise the alarm of this model themselves: it expects them to move, so "
            "read this as a comparison with that, not with a healthy machine"
        )
    if found.flat:
        told.append(
            "the prediction sits where it is cut off: no small change of any reading would move it, and what lies "
            "beyond is not seen"
        )
    if abs(found.unexplained) > MISSED * max(moved, LEAST * output.span):
        told.append(f"{abs(found.unexplained) / max(moved, 1e-30):.0%} of the difference stays unexplained")
    if not manifest.healthy:
        told.append(
            "this bundle does not know what is healthy: predictions are explained against the training mean; convert "
            "the model again to mend that"
        )
    return told
