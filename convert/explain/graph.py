"""The step graph of an ONNX file as a function of torch tensors: whatever made the file, it can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import torch
from onnx import helper, inliner, numpy_helper
from torch import Tensor

from convert.explain.operators import OPERATORS, Attributes, Operator, tensor
from edge.errors import BundleError


@dataclass(frozen=True)
class _Node:
    run: Operator
    attributes: Attributes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    what: str


class StepGraph:
    """`inputs` and `outputs` are the names of the graph's tensors in its order, `shapes` those of the inputs.

    Called with tensors in the order of `inputs` it returns those of `outputs`. It is pure: no state, nothing in place.
    All that is float32 in the file is computed in double precision: two readings that differ by less than float32 can
    tell apart have a gradient between them, too.
    """

    def __init__(self, content: bytes, where: str) -> None:
        """`content` is an ONNX file, `where` names it in messages. Raises BundleError for an operator that is not in
        OPERATORS, and for a file that is none.
        """
        try:
            model = onnx.load_from_string(content)
            if model.functions:
                model = inliner.inline_local_functions(model)
        except Exception as error:
            if type(error).__module__.startswith("google.protobuf"):
                raise BundleError(f"{where} is no ONNX file ({error}); convert the model again") from error
            raise
        graph = model.graph
        self.where = where
        self._constants = {one.name: wide(tensor(numpy_helper.to_array(one))) for one in graph.initializer}
        given = [one for one in graph.input if one.name not in self._constants]
        self.inputs = tuple(one.name for one in given)
        self.shapes = tuple(tuple(d.dim_value for d in one.type.tensor_type.shape.dim) for one in given)
        self.outputs = tuple(one.name for one in graph.output)
        self._nodes = [self._node(node) for node in graph.node]

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Raises BundleError where a node asks for what its operator cannot do here."""
        values = self._run(given)
        return tuple(values[name] for name in self.outputs)

    def floats(self, *given: Tensor) -> int:
        """How many numbers one call computes: what memory each reading of a history takes."""
        with torch.no_grad():
            return sum(one.numel() for one in self._run(given).values())

    def _run(self, given: Sequence[Tensor]) -> dict[str, Tensor]:
        """Every tensor of the graph, by name."""
        values = dict(zip(self.inputs, map(wide, given), strict=True)) | self._constants
        for node in self._nodes:
            try:
                found = node.run([values[name] if name else None for name in node.inputs], node.attributes)
            except (NotImplementedError, RuntimeError) as error:
                raise BundleError(
                    f"{self.where}: {node.what} cannot be differentiated here ({str(error).partition(chr(10))[0]}); "
                    "predictions are not touched by that, only their explanation"
                ) from error
            values.update(zip(node.outputs, map(wide, found), strict=False))
        return values

    def _node(self, node: onnx.NodeProto) -> _Node:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        name = f"node `{node.name or node.output[0]}` ({kind})"
        if kind not in OPERATORS:
            raise BundleError(
                f"{self.where}: {name} is an operator that cannot be explained; known: {', '.join(OPERATORS)}"
            )
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        return _Node(OPERATORS[kind], attributes, tuple(node.input), tuple(node.output), name)


def wide(value: Tensor) -> Tensor:
    """Float32 in double precision, all else as it is."""
    return value.double() if value.dtype == torch.float32 else value


@dataclass(frozen=True)
class Wires:
    """What the tensors of a step graph are: x first, then what comes with a reading and is no sensor (`held`: a gap, a
    mask), then `states`; y first, then `extras`, then the states.
    """

    graph: StepGraph
    states: int

    def __post_init__(self) -> None:
        first = len(self.graph.inputs) - self.states
        if first < 1 or len(self.graph.outputs) < 1 + self.states:
            raise BundleError(
                f"{self.graph.where} does not take x and give y beside its {self.states} states; convert again"
            )

    @property
    def widths(self) -> list[int]:
        """Numbers in x, and in each input that is held."""
        shapes = self.graph.shapes[: len(self.graph.shapes) - self.states]
        return [int(torch.Size(shape).numel()) for shape in shapes]

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the outputs that are neither y nor a state."""
        return self.graph.outputs[1 : len(self.graph.outputs) - self.states]

    def step(self, row: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """`row` [W] holds x and what is held, one behind the other -> (y [O], extras by name, following state)."""
        shapes = self.graph.shapes[: len(self.widths)]
        parts = [part.reshape(shape) for part, shape in zip(torch.split(row, self.widths, -1), shapes, strict=True)]
        y, *rest = self.graph(*parts, *state)
        extras = dict(zip(self.extras, rest, strict=False))
        return y.reshape(-1), extras, rest[len(self.extras) :]

    def unrolled(self, rows: Tensor, state: Sequence[Tensor]) -> Tensor:
        """`rows` [N, W] in time order from `state` on -> the output behind every one of them [N, O]."""
        found, following = [], list(state)
        for row in rows.unbind(0):
            y, _, following = self.step(row, following)
            found.append(y)
        return torch.stack(found)
