"""A look into TFLite files: flatbuffers of the schema that LiteRT ships."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from convert.numbers import PRODUCTS, Node, Numbers, Wiring

IDENTIFIER = b"TFL3"


def wiring(content: bytes, states: Sequence[str], before: Sequence[str], after: Sequence[str]) -> Wiring:
    """The file as a graph of tensor indices; `before` and `after` are its signature's names for the `states`.

    The types are those of what a caller gets: the signature's tensors and the graph's own list must be the same.
    """
    model = _read(content)
    graph, sides = model.subgraphs[0], model.signatureDefs[0]
    places = {_text(one.name): str(one.tensorIndex) for one in (*sides.inputs, *sides.outputs)}
    numbers = {str(i): found for i, one in enumerate(graph.tensors) if (found := _numbers(one)) is not None}
    listed = {str(i) for i in (*graph.inputs, *graph.outputs)}
    named = (*before, *after)
    types = {places[n]: _type(graph.tensors[int(places[n])]) if places[n] in listed else "nothing" for n in named}
    held = tuple((s, places[b], places[a]) for s, b, a in zip(states, before, after, strict=True))
    return Wiring(tuple(node for node, _ in _nodes(model)), numbers, types, held)


def around_products(content: bytes) -> dict[str, int]:
    """Name -> index of all tensors that matrix products with constant weights read or write, weights aside."""
    model = _read(content)
    tensors = model.subgraphs[0].tensors
    near = [
        i
        for node, operator in _nodes(model)
        if node.kind in PRODUCTS and _constant(model, operator.inputs[1])
        for i in (*operator.inputs, *operator.outputs)
    ]
    return {_text(tensors[i].name): int(i) for i in near if i >= 0 and not _constant(model, i)}


def signature(content: bytes) -> dict[str, str]:
    """The names of inputs and outputs that callers use -> the names their tensors have inside."""
    model = _read(content)
    tensors, sides = model.subgraphs[0].tensors, model.signatureDefs[0]
    return {_text(one.name): _text(tensors[one.tensorIndex].name) for one in (*sides.inputs, *sides.outputs)}


def mended(content: bytes) -> bytes:
    """A static file of AEQ 0.10 with two faults taken out, and with products that the old runtime computes whole.

    A state that comes out and is also an operand is listed among the graph's outputs in its quantized form, which is no
    longer what the signature names: the list is written anew. The scales of biases, which follow from those of operand
    and weights, are most of what a small file is: they go where there are several. A single one is read, and a file
    without it is refused by runtimes where the product's scale is not far below its result's.
    """
    model = _read(content)
    graph = model.subgraphs[0]
    graph.outputs = [one.tensorIndex for one in model.signatureDefs[0].outputs]
    for node, operator in _nodes(model):
        if node.kind in PRODUCTS and len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            bias = graph.tensors[operator.inputs[2]]
            if (
                bias.quantization is not None
                and bias.quantization.scale is not None
                and len(bias.quantization.scale) > 1
            ):
                bias.quantization = None
    graph.operators = [one for operator in graph.operators for one in _as_matrix(model, operator)]
    return _written(model)


def offset(content: bytes) -> bytes:
    """A dynamic file whose operands are quantized between their own minimum and maximum by every kernel.

    XNNPACK does so whatever a file says. Plain kernels, the old runtime's among them, do so where they are asked;
    otherwise they take the same range on both sides of zero, which is up to twice as coarse and another result.
    """
    model = _read(content)
    for operator in model.subgraphs[0].operators:
        if hasattr(operator.builtinOptions, "asymmetricQuantizeInputs"):
            operator.builtinOptions.asymmetricQuantizeInputs = True
    return _written(model)


def _as_matrix(model: Any, operator: Any) -> Iterator[Any]:
    """The operator, or for a product of rows in several dimensions: one that makes a matrix, and its reshaping.

    tflite-runtime 2.14 takes the first two dimensions of such a result for all of it where weights have a scale for
    each row: of [1, 7, 8] it computes 7 numbers and leaves 49 as they were. The converter keeps the dimensions of a
    product even where the model flattens them.
    """
    graph, options = model.subgraphs[0], operator.builtinOptions
    result = operator.outputs[0]
    shape = [int(n) for n in graph.tensors[result].shape]
    if isinstance(options, schema.FullyConnectedOptionsT) and options.keepNumDims and len(shape) > 2:
        matrix = copy(graph.tensors[result])
        matrix.shape, matrix.shapeSignature = [math.prod(shape[:-1]), shape[-1]], None
        matrix.name += b"_matrix"
        options.keepNumDims, operator.outputs = False, [len(graph.tensors)]
        graph.tensors.append(matrix)
        reshaping = schema.OperatorT()
        reshaping.opcodeIndex = _code(model, schema.BuiltinOperator.RESHAPE)
        reshaping.inputs, reshaping.outputs = operator.outputs, [result]
        reshaping.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        reshaping.builtinOptions = schema.ReshapeOptionsT()
        reshaping.builtinOptions.newShape = shape
        yield from (operator, reshaping)
    else:
        yield operator


def _code(model: Any, kind: int) -> int:
    """The place of a kind of operator in the file's table, where it is put if it is not there."""
    for place, code in enumerate(model.operatorCodes):
        if kind in (code.builtinCode, code.deprecatedBuiltinCode):
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _written(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _read(content: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(content, 0)


def _nodes(model: Any) -> Iterator[tuple[Node, Any]]:
    kinds = {code: name.lower() for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, outputs = (tuple(map(str, side)) for side in (operator.inputs, operator.outputs))
        yield Node(kind, inputs, outputs), operator


def _constant(model: Any, index: int) -> bool:
    return model.buffers[model.subgraphs[0].tensors[index].buffer].data is not None


def _numbers(tensor: Any) -> Numbers | None:
    kept = tensor.quantization
    if kept is None or kept.scale is None or not len(kept.scale):
        return None
    return Numbers(_type(tensor), tuple(map(float, kept.scale)), tuple(map(int, kept.zeroPoint)))


def _type(tensor: Any) -> str:
    names = {code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
    return str(names[tensor.type]).lower()


def _text(name: Any) -> str:
    text: str = name.decode()
    return text
