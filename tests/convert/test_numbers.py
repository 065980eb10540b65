"""The state of an int8 file: kept in float or 16 bit, read as it is written, and looked up in the file itself."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from convert.calibrate import Array, ranges, tied
from convert.numbers import FLOAT, MOVES, Node, Numbers, Wiring, check_states
from convert.step import StepModule
from convert.targets import TARGETS
from convert.targets.base import Target
from device.backends.ort_step import engine
from edge.errors import CheckFailed, DataError
from edge.spec import parse_project
from tests.convert.test_road import PUMP
from tests.support import tiny
from tests.support.roads import Road
from train.build import build_predictor
from train.data.scale import Scaler
from train.models import FAMILIES

STATIC = "static-int8"


def life(channels: int, steps: int = 40) -> Array:
    found: Array = np.random.default_rng(0).normal(size=(steps, channels)).astype(np.float32)
    return found


@cache
def target(name: str, family: str = "gru", **options: int) -> Target:
    """A target of an untrained model; by default two layers, so that one state is also the next layer's operand."""
    options = options or {"gru": {"hidden": 8, "layers": 2}}.get(family, {})
    project = parse_project({**PUMP, "model": {"family": family, **options}})
    step = StepModule(build_predictor(project, Scaler(len(project.channels))).eval())
    made: Target = TARGETS[name](step, [life(len(project.channels))])
    return made


@pytest.fixture(scope="module", params=list(TARGETS))
def gru(request: pytest.FixtureRequest) -> Target:
    """Both formats of a small GRU."""
    return target(request.param)


def operands(wiring: Wiring, before: str, after: str) -> list[Numbers]:
    """What the integers are like that are made of a state."""
    made = [n.outputs[0] for n in wiring.nodes if n.kind == "quantize" and n.inputs[0] in (before, after)]
    return [wiring.numbers[tensor] for tensor in made]


def test_a_bounded_state_is_read_with_one_scale_of_its_bound(gru: Target) -> None:
    wiring = gru.wiring(gru.emit(STATIC).content)
    for _, before, after in wiring.states:
        found = operands(wiring, before, after)
        assert len(found) >= 2, "each product reads the state through a pair of its own"
        levels = {"int8": 128, "int16": 32767}
        assert all(n.scale[0] == pytest.approx(1 / levels[n.dtype], rel=1e-6) for n in found)
        assert {n.zero for n in found} == {(0,)}


def test_the_state_of_every_family_crosses_and_is_carried_in_float(road: Road) -> None:
    files = [e for e in road.bundle.manifest.executables if e.recipe == STATIC]
    if not files:
        pytest.skip(f"declines {STATIC}")
    for executable in files:
        wiring = TARGETS[executable.target](StepModule(road.run.predictor)).wiring(road.bundle.model(executable))
        assert {wiring.types[t] for _, before, after in wiring.states for t in (before, after)} == {"float32"}
        products = [n for n in wiring.nodes if n.kind in ("gemm", "fully_connected")]
        assert products and any("int" in n.dtype for n in wiring.numbers.values())
        assert {node.kind for node in wiring.nodes} & MOVES >= {"quantize", "dequantize"}


def answers(of: Target, recipe: str, rows: Array) -> Array:
    """What a file says [T, O] to rows [T, W], step by step."""
    made = of.emit(recipe)
    run = tiny.runner(tiny.Exported(of.suffix, recipe, made.content, made.inputs, made.outputs))
    state, out = [t.numpy() for t in of.step.initial], []
    for row in rows:
        y, *state = run(dict(zip(made.inputs, (*of.step.parts(row[None]), *state), strict=True)))
        out.append(np.array(y)[0])
    return np.stack(out)


def test_a_static_file_is_right_beyond_what_calibration_saw(gru: Target) -> None:
    x = 5 * life(len(gru.step.predictor.project.channels))
    whole, small = (answers(gru, recipe, x) for recipe in ("float32", STATIC))
    assert np.abs(whole - small).max() < 0.02 * np.ptp(whole)


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("family", [name for name in FAMILIES if "dt" in FAMILIES[name].takes])
def test_a_static_file_is_right_behind_a_gap_that_no_calibration_saw(name: str, family: str) -> None:
    torch.manual_seed(0)
    made = target.__wrapped__(name, family, hidden=16)
    with torch.no_grad():
        for parameter in made.step.predictor.family.parameters():
            parameter.mul_(1.5)
        made.step.predictor.family.get_parameter("head.bias").fill_(0.5)  # in the middle of what can be predicted
    x = life(len(made.step.predictor.project.channels))
    dt = np.ones((len(x), 1), np.float32)
    dt[0] = 0
    made = TARGETS[name](made.step, [np.concatenate([x, dt, np.ones_like(x)], 1)])
    dt[len(x) // 2] = 60
    rows = np.concatenate([x, dt, np.ones_like(x)], 1)
    whole, small = (answers(made, recipe, rows) for recipe in ("float32", STATIC))
    assert np.abs(whole - small).max() < 0.02 * np.ptp(whole)


def test_a_product_of_several_rows_makes_a_matrix_in_a_static_tflite_file() -> None:
    from ai_edge_litert.interpreter import Interpreter

    made = target("tflite", "nlinear", window=12)
    content = made.emit(STATIC).content
    details = Interpreter(model_content=content).get_tensor_details()
    shapes = {str(one["index"]): tuple(map(int, one["shape"])) for one in details}
    products = [shapes[n.outputs[0]] for n in made.wiring(content).nodes if n.kind == "fully_connected"]
    channels = len(made.step.predictor.project.channels)
    assert (channels, 8) in products and {len(shape) for shape in products} == {2}


def test_operands_of_a_dynamic_tflite_file_are_read_alike_by_every_kernel() -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    made = target("tflite", "s4d", hidden=8)
    content = made.emit("dynamic-int8").content
    said = []
    for kernels in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        run = Interpreter(model_content=content, experimental_op_resolver_type=kernels).get_signature_runner()
        state, out = [t.numpy() for t in made.step.example[1:]], []
        for row in life(len(made.step.predictor.project.channels)):
            found = run(**dict(zip(made.names[0], (row[None], *state), strict=True)))
            y, *state = (found[name] for name in made.names[1])
            out.append(y[0])
        said.append(np.stack(out))
    assert np.abs(said[0] - said[1]).max() < 1e-4 * np.ptp(said[0])


def test_calibration_needs_lives(gru: Target) -> None:
    with pytest.raises(DataError, match="no life to calibrate on"):
        TARGETS[gru.suffix](gru.step).emit(STATIC)


def test_an_untied_onnx_file_is_caught() -> None:
    made = target("onnx")
    model = onnx.load_from_string(made.emit(STATIC).content)
    reader = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "h0")
    scale = next(one for one in model.graph.initializer if one.name == reader.input[1])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(1.5), scale.name))
    with pytest.raises(CheckFailed, match="scales of state `h0` are not tied: int16"):
        check_states(made.wiring(model.SerializeToString()), "onnx/bent")


def test_an_untied_tflite_file_is_caught() -> None:
    made = target("tflite")
    content = made.emit(STATIC).content
    wiring = made.wiring(content)
    (_, before, _) = wiring.states[0]
    read = next(n.outputs[0] for n in wiring.nodes if n.kind == "quantize" and n.inputs[0] == before)
    bent = {**wiring.numbers, read: Numbers("int16", (wiring.numbers[read].scale[0] * 1.5,), (0,))}
    with pytest.raises(CheckFailed, match="scales of state `h0` are not tied: int16"):
        check_states(Wiring(wiring.nodes, bent, wiring.types, wiring.states), "tflite/bent")


def test_what_onnx_runtimes_quantizer_does_by_default_is_caught() -> None:
    from convert.quiet import quiet
    from convert.targets.to_onnx import _Once, _quantizer

    made = target("onnx")
    step = made.step
    feed = dict(zip(step.inputs, (t.numpy() for t in step.example), strict=True))
    with tempfile.TemporaryDirectory() as folder, quiet("the test's quantization"):
        source, result = Path(folder, "a.onnx"), Path(folder, "b.onnx")
        source.write_bytes(made.emit("float32").content)
        _quantizer().quantize_static(str(source), str(result), _Once(feed))
        content = result.read_bytes()
    with pytest.raises(CheckFailed, match="state `h0` is carried in int8"):
        check_states(made.wiring(content), "onnx/default")


@pytest.mark.parametrize(("bits", "why"), [(8, "goes in as int8"), (16, "goes in as int16")])
def test_integers_at_the_border_are_caught(bits: int, why: str) -> None:
    from ai_edge_quantizer import quantizer, recipe_manager

    from convert.quiet import quiet

    made = target("tflite")
    whole = recipe_manager.RecipeManager()
    whole.add_static_config(regex=".*", operation_name="*", activation_num_bits=bits, weight_num_bits=8)
    one = quantizer.Quantizer(made.emit("float32").content)
    one.load_quantization_recipe(whole.get_quantization_recipe())
    feed = {name: t.numpy() for name, t in zip(made.names[0], made.step.example, strict=True)}
    with quiet("the test's quantization"):
        told = one.calibrate({"serving_default": [feed]}, num_threads=1)
        content = bytes(one.quantize(told, enable_progress_report=False).quantized_model)
    with pytest.raises(CheckFailed, match=f"state `h0` {why}"):
        check_states(made.wiring(content), "tflite/whole")


def test_a_state_carried_in_16_bit_is_fine_and_its_scales_are_held_to_each_other() -> None:
    def carried(first: float, second: float) -> Wiring:
        nodes = (
            Node("quantize", ("h",), ("a",)),
            Node("dequantize", ("a",), ("b",)),
            Node("mul", ("b", "gate"), ("c",)),
            Node("quantize", ("c",), ("d",)),
            Node("dequantize", ("d",), ("h_next",)),
        )
        numbers = {"a": Numbers("int16", (first,), (0,)), "d": Numbers("int16", (second,), (0,))}
        return Wiring(nodes, numbers, {"h": "float32", "h_next": "float32"}, (("h", "h", "h_next"),))

    check_states(carried(1 / 32768, 1 / 32768), "x")
    with pytest.raises(CheckFailed, match="not tied"):
        check_states(carried(1 / 32768, 1 / 30000), "x")


def test_a_buffers_scale_is_tied_through_its_shift() -> None:
    nodes = (
        Node("quantize", ("past",), ("a",)),
        Node("quantize", ("x",), ("b",)),
        Node("concat", ("a", "b"), ("c",)),
        Node("slice", ("c",), ("d",)),
        Node("dequantize", ("d",), ("past_next",)),
    )
    states = (("past", "past", "past_next"),)
    same, other = Numbers("int16", (0.5,), (0,)), Numbers("int16", (0.25,), (0,))
    types = {"past": "float32", "past_next": "float32"}
    check_states(Wiring(nodes, dict.fromkeys("abcd", same), types, states), "x")
    for bent in "abcd":
        numbers = {**dict.fromkeys("abcd", same), bent: other}
        with pytest.raises(CheckFailed, match="not tied"):
            check_states(Wiring(nodes, numbers, types, states), "x")


def test_ranges_are_of_streams_that_carry_their_state() -> None:
    def adds(feed: Any) -> tuple[list[Array], dict[str, Array]]:
        x, total = feed
        return [total + x], {"x": x, "total": total}

    lives = [np.full((4, 1), 1.0, np.float32), np.full((3, 1), -2.0, np.float32)]
    found = ranges(adds, [np.zeros((1, 1), np.float32)], lives)
    assert found == {"x": (-2.0, 1.0), "total": (-4.0, 3.0)}, "carried within a life, begun anew behind it"


def test_tensors_of_one_state_share_a_range_and_a_declared_bound_replaces_it() -> None:
    found = {"h": (-0.2, 0.3), "h_next": (-0.5, 0.1), "x": (-9.0, 1.0)}
    of = {"h": "h", "h_next": "h"}
    assert tied(found, of, {}) == {"h": (-0.5, 0.3), "h_next": (-0.5, 0.3), "x": (-9.0, 1.0)}
    assert tied(found, of, {"h": 1.0})["h_next"] == (-1.0, 1.0)


def test_a_dynamic_onnx_file_is_computed_exactly_on_any_processor() -> None:
    made = target.__wrapped__("onnx", hidden=32)  # its weights are spoilt
    with torch.no_grad():
        for parameter in made.step.parameters():
            parameter.fill_(0.5)  # all weights at the end of their range: sums are as large as they can be
    content = made.emit("dynamic-int8").content
    rng = np.random.default_rng(0)
    feed = {name: rng.uniform(0, 1, tuple(t.shape)).astype(np.float32)
            for name, t in zip(made.step.inputs, made.step.example, strict=True)}  # fmt: skip
    exact = ReferenceEvaluator(onnx.load_from_string(content)).run(None, feed)
    found = engine().InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, feed)
    for want, got in zip(exact, found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("recipe", ["dynamic-int8", STATIC])
@pytest.mark.parametrize("name", list(TARGETS))
def test_a_large_convolution_is_int8_as_well(name: str, recipe: str) -> None:
    """As large as its 13 824 weights, a kernel is not folded by the exporter itself."""
    wide = target(name, "cnn", channels=24)
    assert len(wide.emit(recipe).content) < 0.5 * len(wide.emit(FLOAT).content)
