"""ONNX operators as torch functions, in one table: what a step graph may consist of, so that it can be differentiated.

Semantics are those of the operator's page at https://onnx.ai/onnx/operators/, from opset 13 on. Nothing is written in
place, so that torch.func can run a graph for many readings at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import Tensor

Inputs = Sequence[Tensor | None]
"""What an operator takes, None where an optional input is left out."""

Attributes = Mapping[str, Any]

Operator = Callable[[Inputs, Attributes], tuple[Tensor, ...]]


def _plain(function: Callable[..., Tensor]) -> Operator:
    """An operator that takes tensors alone."""
    return lambda given, _: (function(*given),)


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """An operator that takes any number of tensors, two by two."""
    return lambda given, _: (functools.reduce(function, _all(given)),)


def _along(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    """A reduction: axes are an input (opset 18 on) or an attribute; none are all, unless that is to do nothing."""

    def run(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
        x = _first(given)
        axes = _ints(given[1]) if len(given) > 1 and given[1] is not None else list(attributes.get("axes", ()))
        if not axes and attributes.get("noop_with_empty_axes"):
            return (x,)
        dims = [axis % x.dim() for axis in axes] or list(range(x.dim()))
        return (function(x, dims, bool(attributes.get("keepdims", 1))),)

    return run


def _div(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _mean(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    return (functools.reduce(torch.add, _all(given)) / len(given),)


def _pow(a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b).to(a.dtype)


def _gemm(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    a, b, c = (*given, None)[:3]
    assert a is not None and b is not None
    a = a.mT if attributes.get("transA") else a
    b = b.mT if attributes.get("transB") else b
    y = attributes.get("alpha", 1.0) * (a @ b)
    return (y if c is None else y + attributes.get("beta", 1.0) * c,)


def _clip(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    x, low, high = (*given, None, None)[:3]
    assert x is not None
    x = x if low is None else torch.maximum(x, low)
    return (x if high is None else torch.minimum(x, high),)


def _cast(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    kind = helper.tensor_dtype_to_np_dtype(attributes["to"])
    return (_first(given).to(torch.from_numpy(np.zeros(1, kind)).dtype),)


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Operator:
    return lambda given, attributes: (function(_first(given), attributes.get("axis", -1)),)


def _layer_norm(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, scale, bias = (*given, None)[:3]
    assert x is not None
    axis = attributes.get("axis", -1) % x.dim()
    dims = list(range(axis, x.dim()))
    centred = x - x.mean(dims, keepdim=True)
    y = centred * torch.rsqrt(centred.square().mean(dims, keepdim=True) + attributes.get("epsilon", 1e-5))
    y = y if scale is None else y * scale
    return (y if bias is None else y + bias,)


def _gelu(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    how = attributes.get("approximate", b"none")
    return (F.gelu(_first(given), approximate=how.decode() if isinstance(how, bytes) else how),)


def _conv(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, weight, bias = (*given, None)[:3]
    assert x is not None and weight is not None
    count = weight.dim() - 2
    pads = list(attributes.get("pads", [0] * 2 * count))
    # torch counts from the last dimension: its beginning, its end, then the one before.
    around = [pads[side * count + i] for i in reversed(range(count)) for side in (0, 1)]
    stride, dilation = (tuple(attributes.get(key, [1] * count)) for key in ("strides", "dilations"))
    convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[count - 1]
    return (convolve(F.pad(x, around), weight, bias, stride, 0, dilation, attributes.get("group", 1)),)


def _reshape(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, shape = _first(given), _ints(given[1])
    if not attributes.get("allowzero"):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return (x.reshape(shape),)


def _flatten(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, axis = _first(given), attributes.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return (x.reshape(int(np.prod(x.shape[:axis])), -1),)


def _squeeze(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x = _first(given)
    axes = _ints(given[1]) if len(given) > 1 else list(attributes.get("axes", ()))
    dims = [axis % x.dim() for axis in axes] or [i for i, n in enumerate(x.shape) if n == 1]
    return (x.reshape([n for i, n in enumerate(x.shape) if i not in dims]),)


def _unsqueeze(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x = _first(given)
    axes = _ints(given[1]) if len(given) > 1 else list(attributes["axes"])
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return (x,)


def _transpose(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x = _first(given)
    return (x.permute(attributes.get("perm", list(range(x.dim()))[::-1])),)


def _split(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, axis = _first(given), attributes.get("axis", 0)
    if len(given) > 1 and given[1] is not None:
        return torch.split(x, _ints(given[1]), axis)
    each = -(-x.shape[axis] // attributes["num_outputs"])
    return torch.split(x, each, axis)


def _slice(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    x, starts, ends = _first(given), _ints(given[1]), _ints(given[2])
    axes = _ints(given[3]) if len(given) > 3 and given[3] is not None else list(range(len(starts)))
    steps = _ints(given[4]) if len(given) > 4 and given[4] is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        taken = range(*slice(start, end, step).indices(x.shape[axis]))
        if step == 1:
            x = x.narrow(axis, taken.start, len(taken))
        else:
            x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.long))
    return (x,)


def _gather(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, at, axis = _first(given), given[1], attributes.get("axis", 0)
    assert at is not None
    axis %= x.dim()
    places = torch.where(at < 0, at + x.shape[axis], at)
    taken = x.index_select(axis, places.reshape(-1))
    return (taken.reshape([*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]]),)


def _expand(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    x = _first(given)
    return (x.expand(np.broadcast_shapes(tuple(x.shape), tuple(_ints(given[1])))),)


def _tile(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    return (_first(given).repeat(_ints(given[1])),)


def _pad(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    x, pads = _first(given), _ints(given[1])
    mode = attributes.get("mode", b"constant")
    if mode not in (b"constant", "constant"):
        raise NotImplementedError(f"mode {mode!r}")
    value = given[2].item() if len(given) > 2 and given[2] is not None else 0.0
    axes = _ints(given[3]) if len(given) > 3 and given[3] is not None else list(range(x.dim()))
    ends = {axis % x.dim(): (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    around = [n for axis in reversed(range(x.dim())) for n in ends.get(axis, (0, 0))]
    return (F.pad(x, around, value=value),)


def _concat(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    return (torch.cat(_all(given), attributes["axis"]),)


def _constant(_: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    if "value" in attributes:
        return (tensor(numpy_helper.to_array(attributes["value"])),)
    (name, value), *_more = attributes.items()  # value_float, value_ints and so on
    return (torch.tensor(value, dtype=torch.float32 if "float" in name else torch.int64),)


def _filled(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    value = tensor(numpy_helper.to_array(attributes["value"])) if "value" in attributes else torch.zeros(1)
    return (value.reshape([]).expand(_ints(given[0])),)


def _shape(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    shape = list(_first(given).shape)
    return (torch.tensor(shape[attributes.get("start", 0) : attributes.get("end", len(shape))], dtype=torch.int64),)


def _range(given: Inputs, _: Attributes) -> tuple[Tensor, ...]:
    start, end, step = (one.item() for one in _all(given))
    return (torch.arange(start, end, step, dtype=_first(given).dtype),)


def _cumsum(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    if attributes.get("exclusive") or attributes.get("reverse"):
        raise NotImplementedError("exclusive or reverse")
    return (torch.cumsum(_first(given), _ints(given[1])[0]),)


def _einsum(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    equation = attributes["equation"]
    return (torch.einsum(equation.decode() if isinstance(equation, bytes) else equation, *_all(given)),)


def _trilu(given: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    k = _ints(given[1])[0] if len(given) > 1 and given[1] is not None else 0
    return ((torch.triu if attributes.get("upper", 1) else torch.tril)(_first(given), k),)


OPERATORS: dict[str, Operator] = {
    # of one or several tensors, element by element
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "Cast": _cast,
    "Ceil": _plain(torch.ceil),
    "Clip": _clip,
    "Cos": _plain(torch.cos),
    "Div": _plain(_div),
    "Elu": lambda given, attributes: (F.elu(_first(given), attributes.get("alpha", 1.0)),),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Floor": _plain(torch.floor),
    "Gelu": _gelu,
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": lambda given, attributes: (
        torch.clamp(attributes.get("alpha", 0.2) * _first(given) + attributes.get("beta", 0.5), 0.0, 1.0),
    ),
    "HardSwish": _plain(F.hardswish),
    "Identity": _plain(lambda x: x),
    "LeakyRelu": lambda given, attributes: (F.leaky_relu(_first(given), attributes.get("alpha", 0.01)),),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": _mean,
    "Min": _folded(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "Pow": _plain(_pow),
    "Reciprocal": _plain(torch.reciprocal),
    "Relu": _plain(torch.relu),
    "Round": _plain(torch.round),
    "Sigmoid": _plain(torch.sigmoid),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Softplus": _plain(F.softplus),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Swish": lambda given, attributes: (_first(given) * torch.sigmoid(attributes.get("alpha", 1.0) * _first(given)),),
    "Tanh": _plain(torch.tanh),
    "Where": _plain(torch.where),
    "Xor": _plain(torch.logical_xor),
    # products
    "Conv": _conv,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    # over some axes
    "CumSum": _cumsum,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax(torch.log_softmax),
    "ReduceL2": _along(lambda x, dims, keep: x.square().sum(dims, keepdim=keep).sqrt()),
    "ReduceMax": _along(lambda x, dims, keep: torch.amax(x, dims, keep)),
    "ReduceMean": _along(lambda x, dims, keep: x.mean(dims, keepdim=keep)),
    "ReduceMin": _along(lambda x, dims, keep: torch.amin(x, dims, keep)),
    "ReduceSum": _along(lambda x, dims, keep: x.sum(dims, keepdim=keep)),
    "ReduceSumSquare": _along(lambda x, dims, keep: x.square().sum(dims, keepdim=keep)),
    "Softmax": _softmax(torch.softmax),
    # of shapes and places
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
"""Operator -> (inputs, attributes) -> outputs. A new operator is one line here."""


def tensor(array: Any) -> Tensor:
    """A numpy array as a tensor of its own."""
    return torch.from_numpy(np.array(array))


def _first(given: Inputs) -> Tensor:
    assert given and given[0] is not None
    return given[0]


def _all(given: Inputs) -> list[Tensor]:
    return [one for one in given if one is not None]


def _ints(value: Tensor | None) -> list[int]:
    """Shapes, axes and places, which are known before anything is computed."""
    assert value is not None
    return [int(n) for n in value.reshape(-1).tolist()]
