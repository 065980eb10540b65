"""The contract of a referee, and the comparison: two files, the same readings, each with its own state fed back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import ClassVar

from convert.targets.base import Emitted
from device.backends.base import Backend
from device.choose import backend_for
from device.stream import rows
from edge.bundle import Bundle
from edge.errors import BundleError
from edge.manifest import Executable
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
    bundle, key = ours.bundle, ours.executable.key
    recipe = RECIPES[ours.executable.recipe]
    outputs, states = bundle.manifest.outputs, bundle.manifest.states
    worst = dict.fromkeys([*(o.name for o in outputs), *(s.name for s in states)], 0.0)
    spans = {s.name: (0.0, 0.0) for s in states}
    steps = 0
    for stream in bundle.manifest.golden:
        readings = cycle(list(rows(bundle.tensor(stream, "x"), len(bundle.manifest.channels))))
        here, there = ours.new_state(), theirs.new_state()
        for reading in islice(readings, stream.steps):
            nothing = array("f", [float("nan")] * len(outputs))
            one, two = ours.step(reading, here) or nothing, theirs.step(reading, there) or nothing
            for output, a, b in zip(outputs, one, two, strict=True):
                worst[output.name] = _larger(worst[output.name], abs(a - b))
            for state, p, q in zip(states, ours.dump_state(here), theirs.dump_state(there), strict=True):
                worst[state.name] = _larger(worst[state.name], _distance(p, q))
                low, high = spans[state.name]
                spans[state.name] = min(low, *q), max(high, *q)
        steps += stream.steps
    share = max(recipe.tolerance, recipe.drift)
    for output in outputs:
        yield Verdict(key, output.name, steps, worst[output.name], output.span, share * output.span)
    for state in states:
        low, high = spans[state.name]
        allowed = share * (high - low) if ours.executable.recipe == "float32" else None
        yield Verdict(key, state.name, steps, worst[state.name], high - low, allowed)


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _larger(one: float, other: float) -> float:
    return one if one >= other else other  # a NaN as `other` wins, and stays as `one`: no comparison with it holds
