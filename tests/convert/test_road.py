"""Every family x every target x every recipe, from a simulated fleet to files that a device runs."""

import json
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from convert.pack import convert
from convert.step import StepModule
from convert.targets import TARGETS
from device.choose import runnable
from device.golden import replay
from edge.bundle import GOLDEN, Bundle, floats, write_bundle
from edge.certificate import render
from edge.cli import group
from edge.errors import CheckFailed, ProjectError
from edge.recipes import RECIPES, Recipe
from edge.spec import parse_project
from tests.support.roads import Road
from train.build import build_predictor
from train.data.scale import Scaler
from train.infer import predict
from train.models import FAMILIES

PUMP = {
    "project": {"name": "pump"},
    "data": {"path": "h.csv"},
    "signals": {f"sensor_{i}": {} for i in range(14)},
    "task": {"kind": "rul"},
}

TWENTY = {
    *("Add", "Concat", "Div", "Exp", "Gemm", "LayerNormalization", "MatMul", "Mul", "Neg", "ReduceSum"),
    *("Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Unsqueeze"),
}
"""Operators that code generation must know; a family that needs another one makes every later target dearer."""


def test_every_target_and_recipe_is_certified_or_declined_with_a_reason(road: Road) -> None:
    rows = road.bundle.manifest.certificate.rows
    assert {(r.target, r.recipe) for r in rows} == {(t, r) for t in TARGETS for r in RECIPES}
    for row in rows:
        assert row.ok and (row.declined or (row.max_error is not None and row.drift is not None and row.bytes > 0))


def test_every_file_agrees_with_the_parallel_forward_on_every_held_out_life(road: Road) -> None:
    manifest = road.bundle.manifest
    truth = predict(road.run.predictor, road.run.heldout)
    for kind, executable in runnable(road.bundle):
        backend = kind(road.bundle, executable)
        allowed = RECIPES[executable.recipe].tolerance * manifest.outputs[0].span
        for history, want in zip(road.run.heldout, truth, strict=True):
            state = backend.new_state()
            got = [backend.step(array("f", row), state) for row in road.run.predictor.rows(history)]
            np.testing.assert_allclose(np.array(got), want, rtol=0, atol=allowed, err_msg=executable.key)


def test_golden_vectors_replay_from_the_file_alone(road: Road) -> None:
    opened = Bundle.open(road.bundle.path)
    replays = [replay(kind(opened, executable)) for kind, executable in runnable(opened)]
    assert {r.executable for r in replays} == {e.key for e in opened.manifest.executables}
    assert not [r for r in replays if not r.ok]


def test_int8_is_not_the_float_file_again(road: Road) -> None:
    for target in TARGETS:
        rows = {r.recipe: r for r in road.bundle.manifest.certificate.rows if r.target == target}
        for recipe in (name for name in RECIPES.keys() - {"float32"} if not rows[name].declined):
            assert (rows[recipe].max_error or 0) > 10 * (rows["float32"].max_error or 0), recipe


def test_int8_takes_less_than_half_where_weights_are_most_of_the_file() -> None:
    project = parse_project({**PUMP, "model": {"family": "gru", "hidden": 64}})
    step = StepModule(build_predictor(project, Scaler(len(project.channels))).eval())
    life = np.random.default_rng(0).normal(size=(20, len(project.channels))).astype(np.float32)
    for name in TARGETS:
        target = TARGETS[name](step, [life])
        size = {recipe: len(target.emit(recipe).content) for recipe in RECIPES}
        for recipe in RECIPES.keys() - {"float32"}:
            assert size[recipe] <= 0.45 * size["float32"], f"{name}/{recipe}"


def test_score_starts_a_machine_anew_behind_its_failure(road: Road, tmp_path: Path) -> None:
    header, *rows = road.histories[0].read_text().splitlines()
    failed = header.split(",").index("failed")
    life = [row.split(",") for row in rows[:30]]
    life[9][failed] = "1"
    (tmp_path / "two.csv").write_text("\n".join([header, *map(",".join, life)]))
    (tmp_path / "second.csv").write_text("\n".join([header, *map(",".join, life[10:])]))
    both, second = (score(road, tmp_path / name) for name in ("two.csv", "second.csv"))
    assert [row["rul"] for row in both[10:]] == [row["rul"] for row in second]
    assert [row["warm"] for row in both[10:]] == [row["warm"] for row in second]


def test_score_puts_a_machine_in_order_and_needs_no_failure_column(road: Road, tmp_path: Path) -> None:
    header, *rows = road.histories[0].read_text().splitlines()
    bare = [",".join(row.split(",")[:-1]) for row in (header, *rows)]
    assert header.endswith(",failed")
    (tmp_path / "bare.csv").write_text("\n".join([bare[0], *bare[20:40], *bare[1:20]]))
    (tmp_path / "whole.csv").write_text("\n".join([header, *rows[:39]]))
    assert score(road, tmp_path / "bare.csv") == score(road, tmp_path / "whole.csv")


def score(road: Road, path: Path) -> list[dict[str, Any]]:
    """What `edge score --json` says of a file."""
    found = CliRunner().invoke(group, ["score", str(road.bundle.path), str(path), "--json"])
    assert found.exit_code == 0, found.output
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_the_step_graph_uses_few_operators_and_names_its_state(road: Road) -> None:
    opened = road.bundle
    executable = opened.manifest.executable("onnx", "float32")
    assert executable is not None
    graph = onnx.load_from_string(opened.model(executable)).graph
    assert {node.op_type for node in graph.node} <= TWENTY
    states, extras = opened.manifest.states, opened.manifest.extras
    assert [i.name for i in graph.input] == [*opened.manifest.reading, *(s.name for s in states)]
    assert [o.name for o in graph.output] == ["y", *(e.name for e in extras), *(f"{s.name}_next" for s in states)]


def test_nothing_of_the_workstation_travels(road: Road) -> None:
    content = road.bundle.path.read_bytes()
    assert str(road.project.parent).encode() not in content
    assert b"site-packages" not in content and b".py" not in content


def test_the_state_table_holds_the_learned_start(road: Road) -> None:
    states = StepModule(road.run.predictor).states()
    for row, tensor in zip(states, road.run.predictor.init_state(1), strict=True):
        assert row.shape == tuple(tensor.shape)
        assert row.initial() == pytest.approx(tensor.flatten().tolist())


def test_a_file_outside_its_tolerance_stops_the_conversion(
    one_road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Recipe(tolerance=1e-9, drift=1.0, replay=1.0, metric=1.0)
    monkeypatch.setitem(RECIPES, "dynamic-int8", strict)
    with pytest.raises(
        CheckFailed, match=r"(?s)dynamic-int8.*FAILED: differs by.*out with --recipe float32 --recipe static"
    ):
        convert(one_road.run, tmp_path / "never.edge", targets=["onnx"])
    assert not list(tmp_path.iterdir())


def test_where_every_file_is_declined_nothing_is_written(
    one_road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAMILIES["gru"], "declines", {"onnx/float32": "for a reason"})
    with pytest.raises(CheckFailed, match="no file could be made: onnx/float32: for a reason; ask for others"):
        convert(one_road.run, tmp_path / "never.edge", targets=["onnx"], recipes=["float32"])
    assert not list(tmp_path.iterdir())


def test_an_unknown_target_or_recipe_says_what_is_known(one_road: Road, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"unknown target `onxx`; did you mean `onnx`"):
        convert(one_road.run, tmp_path / "x.edge", targets=["onxx"])
    with pytest.raises(ProjectError, match=r"unknown recipe `int8`.*dynamic-int8"):
        convert(one_road.run, tmp_path / "x.edge", recipes=["int8"])


def test_a_file_that_computes_something_else_fails_verification(one_road: Road, tmp_path: Path) -> None:
    opened = one_road.bundle
    members = {f.path: opened.read(f.path) for f in opened.manifest.files}
    golden = floats(members[GOLDEN])
    piece = opened.manifest.golden[0].tensors["onnx/float32"]
    golden[piece.offset // 4 + 1] += opened.manifest.outputs[0].span / 100
    members[GOLDEN] = golden.tobytes()
    path = write_bundle(tmp_path / "bent.edge", opened.manifest, members).path
    found = CliRunner().invoke(group, ["verify", str(path), "--json"])
    assert isinstance(found.exception, CheckFailed)
    assert {r["executable"]: r["ok"] for r in json.loads(found.stdout)}["onnx/float32"] is False


def test_info_shows_channels_state_and_certificate(road: Road) -> None:
    text = CliRunner().invoke(group, ["info", str(road.bundle.path)]).output
    assert render(road.bundle.manifest.certificate) in text
    assert all(channel.name in text for channel in road.bundle.manifest.channels)


def test_score_writes_a_prediction_for_every_reading(road: Road, tmp_path: Path) -> None:
    history, out = road.histories[0], tmp_path / "scores.csv"
    found = CliRunner().invoke(group, ["score", str(road.bundle.path), str(history), "-o", str(out)])
    assert found.exit_code == 0, found.output
    rows = out.read_text().splitlines()
    assert rows[0] == "ts,machine,seq,rul,alarm,warm,gap_s,model"
    assert len(rows) == len(history.read_text().splitlines())


def test_score_agrees_with_the_parallel_forward_on_the_same_file(road: Road) -> None:
    history = road.run.heldout[0]
    path = next(p for p in road.histories if p.stem == history.machine)
    got = [row["rul"] for row in score(road, path)][: len(history)]
    want = predict(road.run.predictor, [history])[0][:, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * road.bundle.manifest.outputs[0].span)
