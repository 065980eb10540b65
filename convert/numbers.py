"""What a produced file does to the state: read from the file itself, whatever a quantizer promised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.errors import CheckFailed

FLOAT = "float32"

MOVES = frozenset(
    {
        *("quantize", "dequantize", "cast", "identity", "reshape", "flatten", "squeeze", "unsqueeze", "expand_dims"),
        *("concat", "concatenation", "slice", "strided_slice", "split", "split_v", "transpose"),
    }
)
"""Operators that pass numbers on, or only write them down differently."""

PRODUCTS = frozenset(
    {
        *("gemm", "matmul", "matmulinteger", "conv", "convinteger"),
        *("fully_connected", "batch_matmul", "conv_2d", "depthwise_conv_2d"),
    }
)
"""Operators behind which a number is another one: what was in their operand does not come out again."""


@dataclass(frozen=True)
class Numbers:
    """How a tensor is kept: its type, and for integers the scales and zero points (value = scale · (n - zero))."""

    dtype: str
    scale: tuple[float, ...]
    zero: tuple[int, ...]

    def __str__(self) -> str:
        scales = f"{self.scale[0]:.6g}" if len(self.scale) == 1 else f"{len(self.scale)} scales"
        return f"{self.dtype} ({scales}, zero {self.zero[0]})"


@dataclass(frozen=True)
class Node:
    """One operator: its lower-case name, what it reads and what it makes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Wiring:
    """A file as a graph. `numbers`: how its integer tensors are kept; `types`: of the graph's inputs and outputs.

    `states`: (name, tensor going in, tensor coming out).
    """

    nodes: tuple[Node, ...]
    numbers: dict[str, Numbers]
    types: dict[str, str]
    states: tuple[tuple[str, str, str], ...]


def check_states(wiring: Wiring, what: str) -> None:
    """The state of a file must cross in float32, must not be carried in 8 bits, and must be written as it is read.

    Carried is what comes out without passing a matrix product. Written as read: all integers that hold the state, as it
    goes in or as it comes out, share scale and zero point if they share their type. Raises CheckFailed.
    """
    for name, before, after in wiring.states:
        for side, tensor in (("goes in", before), ("comes out", after)):
            if wiring.types[tensor] != FLOAT:
                raise CheckFailed(f"{what}: state `{name}` {side} as {wiring.types[tensor]}, not as {FLOAT}")
        through = _walk(wiring.nodes, {before}, _not_a_product) & _walk(
            wiring.nodes, {after}, _not_a_product, back=True
        )
        coarse = [
            wiring.numbers[t] for t in sorted(through) if t in wiring.numbers and "int8" in wiring.numbers[t].dtype
        ]
        if coarse:
            raise CheckFailed(
                f"{what}: state `{name}` is carried in {coarse[0]}; that costs whole cycles, keep it in 16 bit or float"
            )
        held = _walk(wiring.nodes, {before, after}, _a_move) | _walk(wiring.nodes, {after}, _a_move, back=True)
        kept = sorted({str(wiring.numbers[t]): wiring.numbers[t] for t in held if t in wiring.numbers}.items())
        for (one, first), (other, second) in pairwise(kept):
            if first.dtype == second.dtype:
                raise CheckFailed(f"{what}: the scales of state `{name}` are not tied: {one} and {other}")


def _a_move(node: Node) -> bool:
    return node.kind in MOVES


def _not_a_product(node: Node) -> bool:
    return node.kind not in PRODUCTS


def _walk(nodes: Sequence[Node], start: Iterable[str], passes: Callable[[Node], bool], back: bool = False) -> set[str]:
    """All tensors to be reached from `start` through nodes that `passes` lets through, downstream or `back`."""
    found, waiting = set(start), list(start)
    while waiting:
        tensor = waiting.pop()
        for node in nodes:
            here, there = (node.outputs, node.inputs) if back else (node.inputs, node.outputs)
            if tensor in here and passes(node):
                fresh = set(there) - found
                found |= fresh
                waiting += fresh
    return found
