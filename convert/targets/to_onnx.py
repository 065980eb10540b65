"""ONNX: the common reference form of the step graph, by torch's own exporter and ONNX Runtime's quantizer."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript.optimizer import optimize

from convert.calibrate import Array, Range
from convert.numbers import FLOAT, Node, Numbers, Wiring
from convert.quiet import quiet
from convert.targets.base import Declined, Target
from device.backends.ort_step import engine

PRODUCTS = ("Gemm", "MatMul")
LEVELS = 32767
"""Steps of int16 from zero to the end of a range."""
FOLDED = 1 << 24
"""Numbers of the largest constant computed at export. The exporter's own limit is 8192: a larger weight that a step
reshapes would stay behind its Reshape, where the quantizer sees no constant."""


class OnnxTarget(Target):
    """`float32` as exported; int8 weights per output column in the others.

    `dynamic-int8`: operands are quantized by what they hold, at each step. `static-int8`: operands are quantized to 16
    bits with calibrated scales, by a pair of nodes of their own, so that the state itself stays float; products end in
    float. In 8 bits there is no room for what calibration did not see: a valve's faults were off by 89 % of the range.
    """

    suffix = "onnx"

    @cached_property
    def _float(self) -> bytes:
        with quiet("the ONNX export"):
            program = torch.onnx.export(
                self.step,
                self.step.example,
                dynamo=True,
                external_data=False,
                input_names=list(self.step.inputs),
                output_names=list(self.step.outputs),
                verbose=False,
            )
            assert program is not None
            model = optimize(program.model_proto, input_size_limit=FOLDED, output_size_limit=FOLDED)
            _strip(model)
            onnx.checker.check_model(model, full_check=True)
            return bytes(model.SerializeToString(deterministic=True))

    @property
    def makers(self) -> Mapping[str, Callable[[], bytes]]:
        """See the class."""
        return {
            FLOAT: lambda: self._float,
            "dynamic-int8": lambda: _dynamic(self._float),
            "static-int8": self._static,
        }

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The step graph's own."""
        return self.step.inputs, self.step.outputs

    def wiring(self, content: bytes) -> Wiring:
        """As Target."""
        graph = onnx.load_from_string(content).graph
        constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        nodes = [Node(n.op_type.lower(), tuple(n.input), tuple(n.output)) for n in graph.node]
        nodes = [Node(n.kind.removesuffix("linear"), n.inputs, n.outputs) for n in nodes]
        numbers = {}
        for node in nodes:
            if node.kind in ("quantize", "dequantize"):
                integers = node.outputs[0] if node.kind == "quantize" else node.inputs[0]
                scale, zero = (np.atleast_1d(constants[name]) for name in node.inputs[1:3])
                numbers[integers] = Numbers(str(zero.dtype), tuple(scale.tolist()), tuple(zero.tolist()))
        name_of = onnx.TensorProto.DataType.Name
        kinds = {p.name: name_of(p.type.tensor_type.elem_type) for p in (*graph.input, *graph.output)}
        types = {name: FLOAT if kind == "FLOAT" else kind.lower() for name, kind in kinds.items()}
        states = zip(self.step.before, self.step.before, self.step.after, strict=True)
        return Wiring(tuple(nodes), numbers, types, tuple(states))

    def _static(self) -> bytes:
        model = onnx.load_from_string(self._float)
        operands = _operands(model)
        if not operands:
            raise Declined("the step graph holds no matrix product with constant weights")
        with quiet("the calibration for ONNX"):
            found = self._ranges(model, list(dict.fromkeys(operands.values())))
        overrides = {operand: [_about_zero(found[source])] for operand, source in operands.items()}
        with quiet("the static int8 quantization for ONNX"):
            return self._quantized(model, overrides)

    def _ranges(self, model: Any, watched: Sequence[str]) -> dict[str, Range]:
        """The ranges of the tensors `watched`, by running the float graph."""
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        inside = [name for name in watched if name not in (*self.step.inputs, *self.step.outputs)]
        shown.graph.output.extend(helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in inside)
        options = engine().SessionOptions()
        options.intra_op_num_threads = 1
        session = engine().InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
        made = [*self.step.outputs, *inside]

        def observe(feed: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
            given = dict(zip(self.step.inputs, feed, strict=True))
            values = {**given, **dict(zip(made, session.run(made, given), strict=True))}
            return [values[name] for name in self.step.after], {name: values[name] for name in watched}

        return self.observed(observe)

    def _quantized(self, model: Any, overrides: Mapping[str, Any]) -> bytes:
        """`model` with its operands quantized as told. The quantizer still asks for a reading, but need not look."""
        quantizer = _quantizer()
        example = dict(zip(self.step.inputs, (t.numpy() for t in self.step.example), strict=True))
        with tempfile.TemporaryDirectory() as folder:
            source, result = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
            _with_operands(model, overrides)
            onnx.save(model, str(source))
            quantizer.quantize_static(
                str(source),
                str(result),
                _Once(example),
                per_channel=True,
                activation_type=quantizer.QuantType.QInt16,
                op_types_to_quantize=list(PRODUCTS),
                nodes_to_quantize=[n.name for n in model.graph.node if n.input and n.input[0] in overrides],
                extra_options={
                    "OpTypesToExcludeOutputQuantization": list(PRODUCTS),
                    "TensorQuantOverrides": dict(overrides),
                },
            )
            return _plain(onnx.load(str(result)))


def _quantizer() -> Any:
    """ONNX Runtime's quantizer, behind the one way to ONNX Runtime."""
    engine()
    return import_module("onnxruntime.quantization")


class _Once:
    """What the quantizer takes for a calibration: one reading."""

    def __init__(self, feed: dict[str, Array]) -> None:
        self.feeds = [feed]

    def get_next(self) -> dict[str, Array] | None:
        return self.feeds.pop() if self.feeds else None


def _about_zero(span: Range) -> dict[str, Any]:
    """The scale of an operand, the same on both sides of zero."""
    most = max(-span[0], span[1]) or 1.0
    return {"scale": np.array(most / LEVELS, np.float32), "zero_point": np.array(0, np.int16)}


def _operands(model: Any) -> dict[str, str]:
    """For each product with constant weights: a name of its own for its operand -> the tensor it reads."""
    constants = {one.name for one in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type in PRODUCTS and n.input[1] in constants]
    return {f"operand_{i}": node.input[0] for i, node in enumerate(products)}


def _with_operands(model: Any, overrides: Mapping[str, Any]) -> None:
    """Give each product an operand of its own: quantizing a tensor that others read too would make those read integers,
    the float state among them.
    """
    constants = {one.name for one in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type in PRODUCTS and n.input[1] in constants]
    for i, (name, node) in enumerate(zip(overrides, products, strict=True)):
        copy = helper.make_node("Identity", [node.input[0]], [name])
        node.input[0], node.name = name, f"product_{i}"
        model.graph.node.insert(list(model.graph.node).index(node), copy)


def _plain(model: Any) -> bytes:
    """The quantized model without the copies of operands, which said their part."""
    copies = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity"}
    kept = [n for n in model.graph.node if n.op_type != "Identity"]
    for node in kept:
        for i, name in enumerate(node.input):
            node.input[i] = copies.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _dynamic(content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder, quiet("the int8 quantization for ONNX"):
        source, result = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(_turned(content))
        quantizer = _quantizer()
        quantizer.quantize_dynamic(str(source), str(result), per_channel=True, weight_type=quantizer.QuantType.QInt8)
        model = onnx.load(str(result))
        _unsigned(model)
        _strip(model)
        return bytes(model.SerializeToString(deterministic=True))


def _unsigned(model: Any) -> None:
    """The same weights as unsigned bytes: 128 more, and so is their zero point.

    Operands are unsigned. Beside signed weights ONNX Runtime adds up pairs of products in 16 bits, and overflows, on an
    x86 processor without VNNI; unsigned ones it widens first, on every processor.
    """
    signed = {name for n in model.graph.node if n.op_type == "MatMulInteger" for name in (n.input[1], n.input[3])}
    for one in model.graph.initializer:
        if one.name in signed and one.data_type == onnx.TensorProto.INT8:
            more = numpy_helper.to_array(one).astype(np.int16) + 128
            one.CopyFrom(numpy_helper.from_array(more.astype(np.uint8), one.name))


def _turned(content: bytes) -> bytes:
    """The graph with weights that several products share the way round that they are multiplied.

    The quantizer turns the weight of each Gemm that wants it transposed, once a Gemm: a shared one comes back as it was
    and is then multiplied wrongly.
    """
    model = onnx.load_from_string(content)
    uses = Counter(node.input[1] for node in model.graph.node if node.op_type == "Gemm")
    for weight in (one for one in model.graph.initializer if uses[one.name] > 1):
        readers = [node for node in model.graph.node if weight.name in node.input]
        wanted = [a for node in readers for a in node.attribute if a.name == "transB" and a.i]
        if len(wanted) == len(readers):
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), weight.name))
            for attribute in wanted:
                attribute.i = 0
    return bytes(model.SerializeToString())


def _strip(model: Any) -> None:
    """Take out what describes how the graph was traced: paths of this machine, and bytes the device has no use for.

    The quantizer's shape inference also fails on the exporter's `value_info`, so it goes too.
    """
    graph = model.graph
    del model.metadata_props[:], model.functions[:], graph.metadata_props[:], graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
