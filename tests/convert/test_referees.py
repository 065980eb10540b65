"""Another converter makes the same model of the same step graph, and says so where a file of ours is another one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from convert.referees import REFEREES
from convert.referees.base import Referee
from convert.referees.by_tensorflow import OPERATORS
from edge.bundle import Bundle, write_bundle
from edge.cli import group
from edge.errors import BundleError, CheckFailed, MissingExtra, ProjectError
from tests.convert.test_road import TWENTY
from tests.support.roads import Road

pytestmark = pytest.mark.skipif(not find_spec("tensorflow"), reason="no TensorFlow; `.ci/tensorflow` installs it")


def judged(path: Path, referee: str = "tensorflow") -> Result:
    return CliRunner().invoke(group, ["verify", str(path), "--referee", referee, "--json"])


@pytest.fixture(params=list(REFEREES))
def referee(request: pytest.FixtureRequest) -> Referee:
    """Each registered one."""
    made: Referee = REFEREES[request.param]()
    return made


def test_the_referee_agrees_with_every_file_of_every_family(road: Road) -> None:
    found = judged(road.bundle.path)
    assert found.exit_code == 0, found.output
    verdicts = json.loads(found.stdout)
    files = [e.key for e in road.bundle.manifest.executables if e.target == "tflite"]
    tensors = ["rul", *(state.name for state in road.bundle.manifest.states)]
    assert [(v["executable"], v["tensor"]) for v in verdicts] == [(f, t) for f in files for t in tensors]
    assert all(v["ok"] and v["range"] > 0 for v in verdicts)
    assert any(v["worst"] > 0 for v in verdicts), "two converters that never differ are one"


def bent(bundle: Bundle, path: Path) -> Path:
    """A copy of `bundle` whose float TFLite file has weights that are a little larger."""
    members = {f.path: bundle.read(f.path) for f in bundle.manifest.files}
    model = schema.ModelT.InitFromPackedBuf(members["tflite/float32.tflite"], 0)
    largest = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
    largest.data = (np.frombuffer(bytes(largest.data), np.float32) * 1.02).astype(np.float32).view(np.uint8)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    members["tflite/float32.tflite"] = bytes(builder.Output())
    return write_bundle(path, bundle.manifest, members).path


def test_a_file_with_other_weights_is_found_out(one_road: Road, tmp_path: Path) -> None:
    found = judged(bent(one_road.bundle, tmp_path / "bent.edge"))
    assert isinstance(found.exception, CheckFailed) and "of tflite/float32 differs by" in str(found.exception)
    assert not all(v["ok"] for v in json.loads(found.stdout) if v["executable"] == "tflite/float32")


def test_the_table_knows_the_operators_of_every_family() -> None:
    assert OPERATORS.keys() >= TWENTY


def test_an_operator_nobody_knows_is_named_with_its_tensor(referee: Referee) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "g", [x], [y])
    with pytest.raises(CheckFailed, match="knows no operator Erf, which makes `y`"):
        referee.emit(helper.make_model(graph).SerializeToString())


CASES = [
    ("Gemm", [(1, 4), (3, 4), (3,)], {"transB": 1, "alpha": 0.5, "beta": 2.0}, []),
    ("Gemm", [(1, 4), (4, 3)], {}, []),
    ("Slice", [(1, 4, 9)], {}, [[-3, 1], [2**62, 3], [2, 1], [2, 1]]),
    ("Split", [(1, 6)], {"axis": -1}, [[2, 4]]),
    ("Split", [(1, 6)], {"axis": -1, "num_outputs": 3}, []),
    ("Squeeze", [(1, 1, 4)], {}, [[1]]),
    ("Unsqueeze", [(1, 4)], {}, [[-1, 1]]),
    ("ReduceSum", [(1, 4, 3)], {"keepdims": 0}, [[-2]]),
    ("ReduceMean", [(1, 4, 3)], {}, [[-1]]),
    ("LayerNormalization", [(1, 4), (4,), (4,)], {"axis": -1, "epsilon": 0.01}, []),
    ("Softmax", [(1, 4, 3)], {"axis": 1}, []),
    ("Concat", [(1, 2), (1, 3)], {"axis": -1}, []),
    ("Transpose", [(1, 4, 3)], {"perm": [0, 2, 1]}, []),
    ("Reshape", [(1, 4, 3)], {}, [[1, -1]]),
    ("Softplus", [(1, 4)], {}, []),
    ("Div", [(1, 4), (1, 1)], {}, []),
]
"""Operator, shapes of its inputs, attributes, and constant inputs behind them."""


@pytest.mark.parametrize(("operator", "shapes", "attributes", "constants"), CASES, ids=[c[0] for c in CASES])
def test_an_operator_means_in_the_table_what_the_standard_says(
    operator: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], constants: list[list[int]]
) -> None:
    import tensorflow as tf
    from onnx.reference import ReferenceEvaluator

    from convert.referees.by_tensorflow import _run

    rng = np.random.default_rng(0)
    given = {f"i{i}": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}
    fixed = [helper.make_tensor(f"c{i}", TensorProto.INT64, [len(v)], v) for i, v in enumerate(constants)]
    count = len(constants[0]) if operator == "Split" and constants else int(str(attributes.get("num_outputs", 1)))
    outputs = [f"o{i}" for i in range(count)]
    node = helper.make_node(operator, [*given, *(c.name for c in fixed)], outputs, **attributes)
    places = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in given.items()]
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph([node], "g", places, made, fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    values = _run(tf, onnx.load_from_string(model.SerializeToString()), {n: tf.constant(v) for n, v in given.items()})
    for name, want in zip(outputs, ReferenceEvaluator(model).run(None, given), strict=True):
        np.testing.assert_allclose(values[name].numpy(), want, rtol=1e-5, atol=1e-6)


def test_an_unknown_referee_or_a_bundle_without_a_step_graph_says_what_to_do(one_road: Road, tmp_path: Path) -> None:
    found = judged(one_road.bundle.path, "tensorflaw").exception
    assert isinstance(found, ProjectError) and "did you mean `tensorflow`" in str(found)
    members = {
        f.path: one_road.bundle.read(f.path) for f in one_road.bundle.manifest.files if not f.path.startswith("onnx")
    }
    kept = tuple(e for e in one_road.bundle.manifest.executables if e.target != "onnx")
    half = write_bundle(tmp_path / "half.edge", replace(one_road.bundle.manifest, executables=kept), members)
    found = judged(half.path).exception
    assert isinstance(found, BundleError) and "holds no onnx/float32" in str(found)


@pytest.mark.parametrize("lacking", [["tensorflow"], ["tensorflow", "onnx", "torch"]])
def test_without_tensorflow_its_extra_is_named_which_brings_all_else(
    lacking: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in lacking:
        monkeypatch.setitem(sys.modules, name, None)
    found = judged(Path("any.edge")).exception
    assert isinstance(found, MissingExtra) and "pip install 'edgestep[tensorflow]'" in str(found)


def test_converting_without_its_libraries_names_the_extra_that_brings_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    found = CliRunner().invoke(group, ["convert", "runs/x"]).exception
    assert isinstance(found, MissingExtra) and "pip install 'edgestep[convert]'" in str(found)
