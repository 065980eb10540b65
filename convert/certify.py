"""The certificate: every exported file, run step by step as the device runs it, against the parallel torch forward."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.streams import Array, Stream
from device.backends.base import Backend
from device.stream import outputs, rows
from edge.agree import agree
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
    backend: Backend, executable: Executable, size: int, reference: Reference, streams: Sequence[Stream], output: Output
) -> tuple[Row, dict[str, Array]]:
    """The certificate's row for one file of `size` bytes, and its outputs on the golden `streams` by name.

    `output` is the first row of the output table; all tolerances are fractions of its span. The row is not ok, and says
    why, where an output is not finite, differs, drifts, or worsens the task's error beyond the recipe's tolerances.
    """
    recipe = RECIPES[executable.recipe]
    lives = [_run(backend, x, len(x), len(x)) for x in reference.x]
    found = agree(_flat(lives), _flat(reference.y), recipe.tolerance * output.span)
    recorded = {stream.name: _run(backend, stream.x, stream.steps, len(stream.torch)) for stream in streams}
    drift = streams[-1]
    drifted = agree(_flat([recorded[drift.name]]), _flat([drift.torch]), recipe.drift * output.span)
    error = reference.task.error(reference.histories, lives)
    change = error - reference.error
    why = found.why or (f"drift: {drifted.why}" if drifted.why else "")
    if not why and not change <= recipe.metric * output.span:
        why = f"{reference.task.headline} is {change:.3g} worse, allowed {recipe.metric * output.span:.3g}"
    row = Row(
        target=executable.target,
        recipe=executable.recipe,
        ok=not why,
        bytes=size,
        max_error=_number(found.worst),
        max_error_share=_number(found.worst / output.span),
        drift=_number(drifted.worst),
        drift_share=_number(drifted.worst / output.span),
        metric=_number(error),
        change=_number(change),
        why=why,
    )
    return row, recorded


def _run(backend: Backend, x: Array, steps: int, keep: int) -> Array:
    readings = list(rows(array("f", x.tobytes()), x.shape[1]))
    flat = outputs(backend, readings, steps, keep)
    return np.array(flat, dtype=np.float32).reshape(keep, -1)


def _flat(arrays: Sequence[Array]) -> list[float]:
    values: list[float] = np.concatenate([a.ravel() for a in arrays]).tolist()
    return values


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
