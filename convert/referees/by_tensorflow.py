"""TensorFlow's own converter as a referee for TFLite: from the ONNX step graph, operator by operator, to its file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper, numpy_helper

from convert.quiet import quiet
from convert.referees.base import Referee
from convert.targets.base import Emitted
from edge.errors import CheckFailed


class TensorFlowReferee(Referee):
    """The step graph as a TensorFlow function, converted by tf.lite.TFLiteConverter: nothing shared with our way but
    the ONNX file.
    """

    target = "tflite"

    def emit(self, graph: bytes) -> Emitted:
        """As Referee. Raises CheckFailed for an operator the table does not know."""
        model = onnx.load_from_string(graph)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet("the import of TensorFlow"):
            import tensorflow as tf
        unknown = next((node for node in model.graph.node if node.op_type not in OPERATORS), None)
        if unknown is not None:
            raise CheckFailed(
                f"the referee knows no operator {unknown.op_type}, which makes `{unknown.output[0]}`; "
                "add it to the table of convert/referees/by_tensorflow.py"
            )
        inputs = [tf.TensorSpec(_shape(place), tf.float32, name=place.name) for place in model.graph.input]
        outputs = [place.name for place in model.graph.output]

        def step(*given: Any) -> dict[str, Any]:
            names = [spec.name for spec in inputs]
            values = _run(tf, model, dict(zip(names, given, strict=True)))
            return {name: tf.identity(values[name]) for name in outputs}

        with quiet("the conversion by TensorFlow"):
            module = tf.Module()
            module.step = tf.function(step, input_signature=inputs)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([module.step.get_concrete_function()], module)
            content = bytes(converter.convert())
        return Emitted(content, tuple(spec.name for spec in inputs), tuple(outputs))


@dataclass(frozen=True)
class Call:
    """One node about to be computed: TensorFlow, what goes in (numpy arrays where constant), and its attributes."""

    tf: Any
    inputs: list[Any]
    attributes: Mapping[str, Any]

    def get(self, name: str, default: Any) -> Any:
        """An attribute, or the standard's default."""
        return self.attributes.get(name, default)

    def numbers(self, place: int) -> list[int]:
        """A constant input as a list of whole numbers; empty where there is none."""
        return [] if place >= len(self.inputs) or self.inputs[place] is None else self.inputs[place].tolist()


def _gemm(c: Call) -> Any:
    a, b, *bias = c.inputs
    product = c.tf.matmul(a, b, transpose_a=bool(c.get("transA", 0)), transpose_b=bool(c.get("transB", 0)))
    product = product * c.get("alpha", 1.0)
    return product + c.get("beta", 1.0) * bias[0] if bias else product


def _slice(c: Call) -> Any:
    starts, ends = c.numbers(1), c.numbers(2)
    axes, steps = c.numbers(3) or list(range(len(starts))), c.numbers(4) or [1] * len(starts)
    cut = [slice(None)] * len(c.inputs[0].shape)
    for axis, start, end, by in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, min(end, c.inputs[0].shape[axis]), by)
    return c.inputs[0][tuple(cut)]


def _split(c: Call) -> Any:
    axis = c.get("axis", 0)
    return c.tf.split(c.inputs[0], c.numbers(1) or c.attributes["num_outputs"], axis)


def _squeeze(c: Call) -> Any:
    return c.tf.squeeze(c.inputs[0], c.numbers(1) or None)


def _unsqueeze(c: Call) -> Any:
    out = c.inputs[0]
    rank = len(out.shape) + len(c.numbers(1))
    for axis in sorted(axis % rank for axis in c.numbers(1)):
        out = c.tf.expand_dims(out, axis)
    return out


def _reduced(name: str) -> Callable[[Call], Any]:
    def reduce(c: Call) -> Any:
        return getattr(c.tf, name)(c.inputs[0], c.numbers(1) or None, keepdims=bool(c.get("keepdims", 1)))

    return reduce


def _layer_norm(c: Call) -> Any:
    x, scale, *bias = c.inputs
    axes = list(range(c.get("axis", -1) % len(x.shape), len(x.shape)))
    mean, variance = c.tf.nn.moments(x, axes, keepdims=True)
    out = (x - mean) * c.tf.math.rsqrt(variance + c.get("epsilon", 1e-5)) * scale
    return out + bias[0] if bias else out


def _clip(c: Call) -> Any:
    low, high = (*c.inputs[1:], None, None)[:2]
    out = c.inputs[0] if low is None else c.tf.maximum(c.inputs[0], low)
    return out if high is None else c.tf.minimum(out, high)


def _plain(path: str) -> Callable[[Call], Any]:
    """A function of TensorFlow that takes the node's inputs as they are."""

    def call(c: Call) -> Any:
        function = c.tf
        for part in path.split("."):
            function = getattr(function, part)
        return function(*c.inputs)

    return call


OPERATORS: dict[str, Callable[[Call], Any]] = {
    "Abs": _plain("abs"),
    "Add": _plain("add"),
    "Clip": _clip,
    "Concat": lambda c: c.tf.concat(c.inputs, c.attributes["axis"]),
    "Div": _plain("divide"),
    "Exp": _plain("exp"),
    "Gemm": _gemm,
    "Identity": _plain("identity"),
    "LayerNormalization": _layer_norm,
    "Log": _plain("math.log"),
    "MatMul": _plain("matmul"),
    "Max": _plain("maximum"),
    "Min": _plain("minimum"),
    "Mul": _plain("multiply"),
    "Neg": _plain("negative"),
    "Pow": _plain("pow"),
    "ReduceMax": _reduced("reduce_max"),
    "ReduceMean": _reduced("reduce_mean"),
    "ReduceSum": _reduced("reduce_sum"),
    "Relu": _plain("nn.relu"),
    "Reshape": lambda c: c.tf.reshape(c.inputs[0], c.numbers(1)),
    "Sigmoid": _plain("sigmoid"),
    "Slice": _slice,
    "Softmax": lambda c: c.tf.nn.softmax(c.inputs[0], c.get("axis", -1)),
    "Softplus": _plain("nn.softplus"),
    "Split": _split,
    "Sqrt": _plain("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _plain("subtract"),
    "Tanh": _plain("tanh"),
    "Transpose": lambda c: c.tf.transpose(c.inputs[0], c.get("perm", None)),
    "Unsqueeze": _unsqueeze,
}
"""ONNX operator -> what it is in TensorFlow, as the ONNX standard has it for opset 18 and later."""


def _run(tf: Any, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every tensor of the graph, by name."""
    values: dict[str, Any] = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    values |= given
    for node in model.graph.node:
        inputs = [values[name] if name else None for name in node.input]
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        made = OPERATORS[node.op_type](Call(tf, inputs, attributes))
        several = made if isinstance(made, (list, tuple)) else [made]
        values |= dict(zip(node.output, several, strict=True))
    return values


def _shape(place: Any) -> list[int]:
    return [int(n.dim_value) for n in place.type.tensor_type.shape.dim]
