"""Feed a recorded stream to a backend, as golden replay, drift and certification all need it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice

from device.backends.base import Backend


def rows(flat: Sequence[float], width: int) -> Iterator[array[float]]:
    """The readings [width] of a flat stream [T * width]."""
    for at in range(0, len(flat), width):
        yield array("f", flat[at : at + width])


def outputs(backend: Backend, readings: Iterable[array[float]], steps: int, keep: int) -> array[float]:
    """Take `steps` readings from a new state, beginning again where `readings` end; the last `keep` outputs, flat.

    An output that is not finite appears as NaN, which no agreement forgives.
    """
    width = len(backend.bundle.manifest.outputs)
    nothing = array("f", [float("nan")] * width)
    state = backend.new_state()
    kept: array[float] = array("f")
    for i, reading in enumerate(islice(cycle(readings), steps)):
        y = backend.step(reading, state)
        if i >= steps - keep:
            kept.extend(nothing if y is None else y)
    return kept
