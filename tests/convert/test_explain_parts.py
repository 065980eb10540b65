"""The parts of an explanation: operators, integrated gradients, and what is read out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from convert.explain.graph import StepGraph
from convert.explain.integrate import MOST, integrate
from convert.explain.operators import OPERATORS
from convert.explain.shares import order, shares, window
from convert.explain.table import apart
from device.backends.ort_step import engine
from edge.errors import BundleError


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


A = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
B = np.linspace(3, 1, 12, dtype=np.float32).reshape(3, 4)
P = np.abs(A) + np.float32(0.3)
T = A > 0
CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7 - 1

Given = list[Any]
"""Inputs of an operator, None where an optional one is left out."""

ALONE = "Abs Ceil Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Neg Relu Round Sigmoid Sign Sin"
SHAPED = "Softplus Tanh Flatten Transpose Trilu Shape LogSoftmax Softmax ReduceL2 ReduceMax ReduceMean ReduceMin"
BOTH = "Add Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mul Sub"


def usual(names: str, *inputs: NDArray[Any]) -> list[tuple[str, Given, dict[str, Any]]]:
    """Operators that need no attribute, with the same inputs."""
    return [(name, list(inputs), {}) for name in names.split()]


CASES: list[tuple[str, Given, dict[str, Any]]] = [
    *usual(f"{ALONE} {SHAPED} ReduceSum", A),
    *usual("Log Reciprocal Sqrt", P),
    *usual(BOTH, A, B),
    *usual("And Or Xor", T, ~T),
    ("Cast", [T], {"to": TensorProto.FLOAT}),
    ("Clip", [A, np.float32(-0.5), np.float32(1)], {}),
    ("Clip", [A, None, np.float32(1)], {}),
    ("Concat", [A, B], {"axis": -1}),
    ("Constant", [], {"value": numpy_helper.from_array(A)}),
    ("Constant", [], {"value_floats": [1.0, 2.0]}),
    ("ConstantOfShape", [ints(2, 3)], {"value": numpy_helper.from_array(np.array([4.0], np.float32))}),
    ("Conv", [CUBE, CUBE[:, :, :2], A[0, :2]], {"dilations": [2], "pads": [3, 1], "strides": [2]}),
    ("Conv", [CUBE, CUBE.reshape(6, 1, 4)], {"group": 3, "pads": [3, 0]}),
    ("CumSum", [A, np.array(1)], {}),
    ("Div", [ints(7, -7), ints(2, 2)], {}),
    ("Einsum", [A, B], {"equation": "ij,kj->ik"}),
    ("Expand", [A[:, :1], ints(2, 1, 4)], {}),
    ("Gather", [CUBE, ints(-1, 0)], {"axis": 1}),
    ("Gather", [A, np.array(1)], {}),
    ("Gelu", [A], {"approximate": "tanh"}),
    ("Gemm", [A, B, A[:, :3]], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [A, B], {"transA": 1}),
    ("LayerNormalization", [A, A[0], B[0]], {}),
    ("LayerNormalization", [CUBE, CUBE[0]], {"axis": 1, "epsilon": 0.1}),
    ("MatMul", [CUBE, B.T.copy()], {}),
    ("Not", [T], {}),
    ("Pad", [A, ints(1, 0, 2, 3), np.float32(9)], {}),
    ("Pad", [CUBE, ints(1, 2), None, ints(-1)], {}),
    ("Pow", [P, np.float32(1.5)], {}),
    ("Pow", [A, np.array(2, np.int64)], {}),
    ("Range", [np.array(1), np.array(9), np.array(3)], {}),
    ("ReduceMax", [CUBE, ints(0, -1)], {"keepdims": 0}),
    ("ReduceSum", [CUBE, ints(1)], {}),
    ("ReduceSum", [CUBE], {"noop_with_empty_axes": 1}),
    ("ReduceSumSquare", [CUBE, ints(1)], {"keepdims": 0}),
    ("Reshape", [CUBE, ints(0, -1)], {}),
    ("Shape", [CUBE], {"start": 1}),
    ("Slice", [CUBE, ints(1, -3), ints(2**62, -1), ints(1, 2)], {}),
    ("Slice", [A, ints(-1), ints(-(2**62)), ints(1), ints(-2)], {}),
    ("Softmax", [CUBE], {"axis": 1}),
    ("Split", [A, ints(1, 3)], {"axis": 1}),
    ("Split", [A], {"axis": 1, "num_outputs": 2}),
    ("Squeeze", [A[:, None], ints(-2)], {}),
    ("Squeeze", [A[:, None]], {}),
    ("Sum", [A, B, P], {}),
    ("Swish", [A], {"alpha": 0.7}),
    ("Tile", [A, ints(2, 1)], {}),
    ("Transpose", [CUBE], {"perm": [1, 0, 2]}),
    ("Trilu", [A, np.array(1)], {"upper": 0}),
    ("Unsqueeze", [A, ints(0, -1)], {}),
    ("Where", [T, A, B], {}),
]

NEWER = {"Swish": 24}
"""Operators younger than the opset of all others."""


def test_every_operator_of_the_table_is_tried() -> None:
    assert {kind for kind, _, _ in CASES} == set(OPERATORS)


@pytest.mark.parametrize(("kind", "inputs", "attributes"), CASES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_operator_agrees_with_onnx_runtime(kind: str, inputs: Given, attributes: dict[str, Any]) -> None:
    content = single(kind, inputs, attributes)
    got = StepGraph(content, "here")()
    for mine, theirs in zip(got, reference(content, kind), strict=True):
        assert mine.numpy().dtype == (np.float64 if theirs.dtype == np.float32 else theirs.dtype)
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-5, atol=1e-6)


def single(kind: str, inputs: Given, attributes: dict[str, Any]) -> bytes:
    """A graph of one node whose inputs are all constant."""
    held = {f"in{i}": np.asarray(value) for i, value in enumerate(inputs) if value is not None}
    names = [f"in{i}" if value is not None else "" for i, value in enumerate(inputs)]
    outputs = ["out0", "out1"] if kind == "Split" else ["out0"]
    node = helper.make_node(kind, names, outputs, **attributes)
    found = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph([node], "one", [], found, [numpy_helper.from_array(v, n) for n, v in held.items()])
    opset = helper.make_opsetid("", NEWER.get(kind, 20))
    content: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()
    return content


def reference(content: bytes, kind: str) -> list[NDArray[Any]]:
    """What ONNX itself says: by its runtime, and by its own definition where that is too old for the operator."""
    if kind in NEWER:
        from onnx.reference import ReferenceEvaluator

        return list(ReferenceEvaluator(content).run(None, {}))
    found: list[NDArray[Any]] = engine().InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {})
    return found


def test_what_an_operator_cannot_do_names_the_node() -> None:
    content = single("Pad", [A, ints(1, 0, 1, 0)], {"mode": "reflect"})
    with pytest.raises(BundleError, match=r"here: node `out0` \(Pad\).*reflect"):
        StepGraph(content, "here")()


def test_what_is_no_onnx_file_is_refused() -> None:
    with pytest.raises(BundleError, match="no ONNX file"):
        StepGraph(b"\xff" * 20, "here")


numbers = st.floats(-10, 10, width=32)


@given(arrays(np.float32, (4, 3), elements=numbers), arrays(np.float32, (4, 3), elements=numbers))
def test_a_linear_function_is_attributed_exactly(x: NDArray[np.float32], base: NDArray[np.float32]) -> None:
    weights = torch.linspace(-1, 1, 12).reshape(4, 3)
    found = integrate(lambda p: (p * weights).sum((1, 2)), torch.from_numpy(x), torch.from_numpy(base), 0.1)
    np.testing.assert_allclose(found.values, (x - base) * weights.numpy(), atol=1e-5)


@given(arrays(np.float64, 3, elements=st.floats(-5, 5)), st.floats(0.1, 3.0))
def test_attributions_add_up_also_where_the_function_is_cut_off(x: NDArray[np.float64], top: float) -> None:
    def capped(points: Tensor) -> Tensor:
        return torch.relu(points.sum(-1)).clamp(max=top) + torch.tanh(3 * points[:, 0])

    found = integrate(capped, torch.from_numpy(x), torch.zeros(3, dtype=torch.float64), 0.01)
    assert abs(found.unexplained) <= 0.01 * max(abs(found.end - found.begin), 0.01)


def test_steps_are_spent_where_the_output_moves() -> None:
    def sudden(points: Tensor) -> Tensor:
        return torch.sigmoid(4000 * (points[:, 0] - 0.637))

    found = integrate(sudden, torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 0.01)
    assert abs(found.unexplained) < 0.01 and found.gradients < 200 and found.flat


def test_a_function_that_jumps_ends_and_says_what_is_missing() -> None:
    found = integrate(lambda p: (p[:, 0] > 0.3).float() * 5.0 + 0 * p.sum(-1), torch.ones(2), torch.zeros(2), 0.1)
    assert found.unexplained == 5.0 and found.gradients <= 2 * MOST


@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-5, 5)))
def test_sensors_come_in_the_order_of_their_sums(values: NDArray[np.float64]) -> None:
    ranked = order(values)
    totals = np.abs(values.sum(axis=0))[ranked]
    assert sorted(ranked) == list(range(values.shape[1]))
    assert (np.diff(totals) <= 0).all()
    assert shares(values.sum(axis=0)).sum() == pytest.approx(1.0 if totals.any() else 0.0)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 5)), st.floats(0.05, 1.0))
def test_no_shorter_stretch_holds_as_much(weights: NDArray[np.float64], share: float) -> None:
    begin, end = window(weights, share)
    assert 0 <= begin < end <= len(weights)
    needed = share * weights.sum()
    assert weights[begin:end].sum() >= needed * (1 - 1e-9)
    shorter = end - begin - 1
    if weights.sum() > 0 and shorter:
        sums = [weights[i : i + shorter].sum() for i in range(len(weights) - shorter + 1)]
        assert max(sums) < needed * (1 + 1e-9)


def test_of_equal_stretches_the_latest_counts() -> None:
    assert window(np.array([1.0, 0.0, 1.0]), 0.5) == (2, 3)
    assert window(np.zeros(4)) == (0, 4)


def test_two_numbers_are_written_so_that_their_distance_shows() -> None:
    assert apart(2388.135, 2388.0721) == ("2388.135", "2388.072")
    assert apart(61.04, 40.0) == ("61", "40")
    assert apart(5.0, 5.0) == ("5.00", "5.00")
