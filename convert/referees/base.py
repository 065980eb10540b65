"""The contract of a referee, and the comparison: two files, the same readings, each with its own state fed back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from convert.targets.base import Emitted
from device.backends.base import Backend, State
from device.choose import backend_for
from edge.bundle import Bundle
from edge.errors import BundleError
from edge.manifest import Executable, Output
from edge.manifest import State as StateRow
from edge.recipes import RECIPES

REFERENCE = "onnx", "float32"
"""The file a referee begins with: the common form of the step graph."""


@dataclass(frozen=True)
class Verdict:
    """The largest difference of one tensor, output or state, between a file of the bundle and the referee's.

    `range` is the output's from the manifest, or what the state covered; `allowed` is None where the tensor is only
    reported: an int8 file's state may go its own way as long as the outputs agree.
    """

    executable: str
    tensor: str
    steps: int
    worst: float
    range: float
    allowed: float | None

    @property
    def ok(self) -> bool:
        """Within what is allowed; a NaN is not."""
        return self.allowed is None or self.worst <= self.allowed


class Referee(ABC):
    """An independent converter for one target."""

    target: ClassVar[str]

    @abstractmethod
    def emit(self, graph: bytes) -> Emitted:
        """A float32 file of `target` made from the ONNX step graph. Raises CheckFailed where it cannot."""


def compare(
    bundle: Bundle, referee: Referee, advance: Callable[[int, str], None] = lambda n, remark: None
) -> list[Verdict]:
    """Every file of the referee's target in `bundle` against the referee's own, over all golden streams.

    `advance` hears of the referee's file and of each comparison, `rounds(bundle, referee)` in all. Raises BundleError
    where the bundle holds no step graph to begin with or no file to compare.
    """
    graph = bundle.manifest.executable(*REFERENCE)
    judged = _judged(bundle, referee)
    if graph is None or not judged:
        lacks = "/".join(REFERENCE) if graph is None else f"file for {referee.target}"
        raise BundleError(f"`{bundle.path}` holds no {lacks}, so there is nothing to compare; convert without --target")
    emitted = referee.emit(bundle.model(graph))
    advance(1, "the referee's file")
    other = Executable("referee", referee.target, "float32", emitted.inputs, emitted.outputs)
    manifest = replace(bundle.manifest, executables=(other,))
    theirs = backend_for(Bundle(bundle.path, manifest, {other.path: emitted.content}), other)
    found: list[Verdict] = []
    for executable in judged:
        found += _verdicts(backend_for(bundle, executable), theirs)
        advance(1, executable.key)
    return found


def rounds(bundle: Bundle, referee: Referee) -> int:
    """How often `compare` calls `advance`."""
    return 1 + len(_judged(bundle, referee))


def _judged(bundle: Bundle, referee: Referee) -> list[Executable]:
    return [e for e in bundle.manifest.executables if e.target == referee.target]


def _verdicts(ours: Backend, theirs: Backend) -> Iterator[Verdict]:
    bundle, recipe = ours.bundle, RECIPES[ours.executable.recipe]
    tables: list[Output | StateRow] = [*bundle.manifest.outputs, *bundle.manifest.states]
    sizes = [*(1 for _ in bundle.manifest.outputs), *(state.size for state in bundle.manifest.states)]
    worst, low, high = (np.zeros(sum(sizes)) for _ in range(3))
    steps = 0
    for stream in bundle.manifest.golden:
        readings = cycle(bundle.readings(stream))
        here, there = ours.new_state(), theirs.new_state()
        for reading in islice(readings, stream.steps):
            one, two = _taken(ours, reading, here), _taken(theirs, reading, there)
            worst = np.maximum(worst, abs(one - two))  # keeps a NaN
            low, high = np.minimum(low, two), np.maximum(high, two)
        steps += stream.steps
    share = max(recipe.tolerance, recipe.drift)
    ends = np.cumsum(sizes)
    for table, start, end in zip(tables, ends - sizes, ends, strict=True):
        output = isinstance(table, Output)
        span = table.span if isinstance(table, Output) else float(high[start:end].max() - low[start:end].min())
        held = output or ours.executable.recipe == "float32"
        far = float(worst[start:end].max())
        yield Verdict(ours.executable.key, table.name, steps, far, span, share * span if held else None)


def _taken(backend: Backend, reading: array[float], state: State) -> NDArray[np.float64]:
    """One step; the outputs (NaN where not finite) and the next state, one behind the other."""
    y = backend.step(reading, state) or array("f", [float("nan")] * len(backend.bundle.manifest.outputs))
    return np.concatenate([y, *backend.dump_state(state)]).astype(np.float64)
