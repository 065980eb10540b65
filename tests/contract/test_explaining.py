"""Every family's predictions can be taken apart: its step graph, as torch sees it, is the one a device runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convert.explain.explanation import attribute
from convert.explain.graph import StepGraph, Wires
from convert.step import StepModule
from convert.targets import TARGETS
from device.backends.ort_step import engine
from edge.spec import parse_project
from train.build import build_predictor
from train.data.scale import Scaler
from train.models import FAMILIES

CHANNELS, STEPS = 4, 24


@dataclass(frozen=True)
class Exported:
    """A family of random weights as a device gets it."""

    wires: Wires
    session: Any
    state: tuple[Tensor, ...]
    rows: Tensor


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def exported(request: pytest.FixtureRequest) -> Exported:
    """Each family, small, its weights large enough for every path to carry signal, with readings [T, W]."""
    torch.manual_seed(5)
    table = {
        "project": {"name": "pump"},
        "data": {"path": "h.csv"},
        "signals": {f"sensor_{i}": {} for i in range(CHANNELS)},
        "task": {"kind": "failure"},
        "model": {"family": request.param, FAMILIES[request.param].width: 7},
    }
    predictor = build_predictor(parse_project(table), Scaler(CHANNELS)).eval()
    with torch.no_grad():
        for parameter in predictor.family.parameters():
            parameter.mul_(1.5)
    predictor.family.fold()
    step = StepModule(predictor)
    life = np.zeros((STEPS, CHANNELS), np.float32)
    content = TARGETS["onnx"](step, [life]).emit("float32").content
    wires = Wires(StepGraph(content, "here"), len(step.states()))
    session = engine().InferenceSession(content, providers=["CPUExecutionProvider"])
    state = step.example[len(step.example) - len(step.states()) :]
    # A gap and a mask, where the family takes them, are of ones and zeros.
    held = torch.randint(0, 2, (STEPS, sum(wires.widths) - CHANNELS)).float()
    return Exported(wires, session, state, torch.cat([torch.randn(STEPS, CHANNELS), held], -1))


def test_the_graph_computes_what_onnx_runtime_computes(exported: Exported) -> None:
    graph = exported.wires.graph
    mine, theirs = list(exported.state), [one.numpy() for one in exported.state]
    for row in exported.rows:
        parts = torch.split(row, exported.wires.widths)
        given = [part.reshape(shape) for part, shape in zip(parts, graph.shapes, strict=False)]
        with torch.no_grad():
            got = graph(*given, *mine)
        want = exported.session.run(
            list(graph.outputs),
            dict(zip(graph.inputs, [*(one.numpy() for one in given), *theirs], strict=True)),
        )
        for name, a, b in zip(graph.outputs, got, want, strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-5, err_msg=name)
        mine, theirs = list(got[-len(mine) :]), want[-len(theirs) :]


def test_attributions_add_up_to_the_difference(exported: Exported) -> None:
    calm = np.full_like(exported.rows.numpy(), 0.5)
    other = [state + 0.1 for state in exported.state]
    found = attribute(exported.wires, (exported.rows.numpy(), exported.state), (calm, other), 0, 0.01)
    assert found.values.shape == (STEPS, CHANNELS) and np.isfinite(found.values).all()
    assert found.values.any() and not found.integral.flat
    moved = found.integral.end - found.integral.begin
    assert abs(found.integral.unexplained) <= 0.01 * max(abs(moved), 0.01)
    assert found.values.sum() + found.earlier + found.integral.unexplained == pytest.approx(moved, abs=1e-9)


def test_a_sensor_that_is_healthy_all_the_time_moved_nothing(exported: Exported) -> None:
    calm = exported.rows.numpy().copy()
    calm[:, 1] += 1.0
    found = attribute(exported.wires, (exported.rows.numpy(), exported.state), (calm, exported.state), 0, 0.01)
    assert found.earlier == 0 and found.values[:, 1].any() and not found.values[:, [0, 2, 3]].any()
