"""The certificate: every exported file, run step by step as the device runs it, against the parallel torch forward."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.streams import Array, Stream
from device.backends.base import Backend
from device.stream import outputs, rows
from edge.agree import Agreement, agree
from edge.manifest import Executable, Output, Row
from edge.recipes import RECIPES
from train.data.history import History
from train.tasks.base import Task


@dataclass(frozen=True)
class Reference:
    """The trained model's own answers on held-out lives: `x` and `y` per life, and the task's error of them."""

    task: Task
    histories: Sequence[History]
    x: Sequence[Array]
    y: Sequence[Array]

    @property
    def error(self) -> float:
        """The task's headline error of the torch model."""
        return self.task.error(self.histories, self.y)


def certify(
    backend: Backend,
    executable: Executable,
    size: int,
    reference: Reference,
    streams: Sequence[Stream],
    table: Sequence[Output],
) -> tuple[Row, dict[str, Array]]:
    """The certificate's row for one file of `size` bytes, and its outputs on the golden `streams` by name.

    Each output of `table` is held to tolerances that are fractions of its own span, the task's error to one of what
    its measure calls the whole. The row is not ok, and says why, where an output is not finite, differs, drifts, or
    worsens the task's error beyond the recipe's tolerances. Its shares are those of the worst output, errors the first
    one's.
    """
    recipe = RECIPES[executable.recipe]
    lives = [_run(backend, x, len(x), len(x)) for x in reference.x]
    found, share = _columns(lives, reference.y, table, recipe.tolerance)
    recorded = {stream.name: _run(backend, stream.x, stream.steps, len(stream.torch)) for stream in streams}
    drift = streams[-1]
    drifted, drift_share = _columns([recorded[drift.name]], [drift.torch], table, recipe.drift)
    error = reference.task.error(reference.histories, lives)
    change = error - reference.error
    looked = _looked(backend, streams[:-1], recipe.tolerance)
    why = found.why or (f"drift: {drifted.why}" if drifted.why else "") or looked.why
    whole = reference.task.measures[0].whole
    allowed = recipe.metric * (table[0].span if whole is None else whole)
    if not why and not change <= allowed:
        why = f"{reference.task.headline} is {change:.3g} worse, allowed {allowed:.3g}"
    row = Row(
        target=executable.target,
        recipe=executable.recipe,
        ok=not why,
        bytes=size,
        max_error=_number(found.worst),
        max_error_share=_number(share),
        drift=_number(drifted.worst),
        drift_share=_number(drift_share),
        metric=_number(error),
        change=_number(change),
        why=why,
    )
    return row, recorded


def _run(backend: Backend, x: Array, steps: int, keep: int) -> Array:
    readings = list(rows(array("f", x.tobytes()), x.shape[1]))
    flat = outputs(backend, readings, steps, keep)
    return np.array(flat, dtype=np.float32).reshape(keep, -1)


def _looked(backend: Backend, streams: Sequence[Stream], tolerance: float) -> Agreement:
    """Each extra output against the torch step's, within a share of the largest value it takes."""
    said, ends = backend.bundle.manifest.extras, np.cumsum([e.size for e in backend.bundle.manifest.extras])
    for stream in streams if said else ():
        state, got = backend.new_state(), []
        for reading in rows(array("f", stream.x.tobytes()), stream.x.shape[1]):
            one = backend.look(reading, state) or [array("f", [np.nan] * e.size) for e in said]
            got.append(np.concatenate(one))
            backend.step(reading, state)
        for extra, end in zip(said, ends, strict=True):
            a, b = (np.asarray(t)[:, end - extra.size : end] for t in (got, stream.extras))
            found = agree(a.ravel().tolist(), b.ravel().tolist(), tolerance * max(float(abs(b).max()), 1.0))
            if not found.ok:
                return Agreement(False, found.worst, f"`{extra.name}` {found.why}")
    return Agreement(True, 0.0)


def _columns(
    got: Sequence[Array], want: Sequence[Array], table: Sequence[Output], tolerance: float
) -> tuple[Agreement, float]:
    """The first output that disagrees, else the first output, and the worst difference as a share of its span."""
    a, b = (np.concatenate(arrays) for arrays in (got, want))
    pairs = [agree(a[:, i].tolist(), b[:, i].tolist(), tolerance * output.span) for i, output in enumerate(table)]
    share = max(found.worst / output.span for found, output in zip(pairs, table, strict=True))
    for found, output in zip(pairs, table, strict=True):
        if not found.ok:
            why = found.why if len(table) == 1 else f"`{output.name}` {found.why}"
            return Agreement(False, found.worst, why), share
    return pairs[0], share


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
