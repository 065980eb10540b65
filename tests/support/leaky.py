"""A bundle written by hand whose every attribution is known: a leaky sum of what two sensors are off by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import Bundle, write_bundle
from edge.manifest import (
    SCHEMA,
    Certificate,
    Channel,
    Executable,
    Extra,
    Healthy,
    Manifest,
    Output,
    State,
    table_of,
)
from edge.spec import parse_project

CHANNELS = ("vibration", "temperature", "load")
WEIGHTS = (-2.0, -0.5, 0.0)
"""What a unit of each channel moves the output by."""
OFFSET = (1.0, 40.0, 0.0)
DECAY = 0.5
TOP = 100.0
KEPT = 4

PROJECT: dict[str, Any] = {
    "project": {"name": "leaky"},
    "data": {"path": "history.csv", "failure": "failed"},
    "signals": {"vibration": {"unit": "mm/s", "min": 0.0, "max": 50.0}, "temperature": {"unit": "degC"}},
    "regime": {"columns": ["load"], "count": 2},
    "task": {"kind": "rul", "cap": TOP},
    "timing": {"max_gap_s": 100.0, "on_gap": "reset", "warm_up_readings": 3},
}

INPUTS = ("x", "sum", "sums")
OUTPUTS = ("y", "attention", "sum_next", "sums_next")
HEALTHY = (Healthy((1.0, 40.0, 60.0)), Healthy((2.0, 50.0, 100.0)))


def graph(bottom: float = 0.0, strange: bool = False) -> bytes:
    """`y = clip(TOP + s)` with `s = DECAY * s + (x - OFFSET) @ WEIGHTS`; the last sums are attended to. `strange` puts
    an operator in that nothing here can differentiate.
    """
    constants = {
        "offset": np.array([OFFSET], np.float32),
        "weights": np.array([WEIGHTS], np.float32).T,
        "decay": np.array(DECAY, np.float32),
        "top": np.array(TOP, np.float32),
        "bottom": np.array(bottom, np.float32),
        "one": np.array([1]),
        "end": np.array([KEPT]),
    }
    nodes = [
        helper.make_node("Sub", ["x", "offset"], ["off"]),
        helper.make_node("MatMul", ["off", "weights"], ["new"]),
        helper.make_node("Mul", ["sum", "decay"], ["old"]),
        helper.make_node("Add", ["old", "new"], ["sum_next"]),
        helper.make_node("Add", ["sum_next", "top"], ["left"]),
        helper.make_node("Clip", ["left", "bottom"], ["capped"]),
        helper.make_node("NonZero" if strange else "Identity", ["capped"], ["y"], name="last"),
        helper.make_node("Slice", ["sums", "one", "end", "one"], ["later"]),
        helper.make_node("Concat", ["later", "sum_next"], ["sums_next"], axis=1),
        helper.make_node("Softmax", ["sums_next"], ["attention"]),
    ]

    def place(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])

    inputs = [place("x", len(CHANNELS)), place("sum", 1), place("sums", KEPT)]
    outputs = [place("y", 1), place("attention", KEPT), place("sum_next", 1), place("sums_next", KEPT)]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "leaky", inputs, outputs, held)
    content: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()
    return content


def pack(
    path: Path,
    content: bytes | None = None,
    healthy: Sequence[Healthy] = HEALTHY,
    recipe: str = "float32",
    memory: int | None = None,
    **project: Any,
) -> Bundle:
    """The bundle, with another graph or project where that is what a test is about."""
    place = f"onnx/{recipe}.onnx"
    manifest = Manifest(
        schema=SCHEMA,
        model="",
        writer="tests",
        table=table_of(parse_project({**PROJECT, **project})),
        memory=memory,
        channels=tuple(Channel(name, "", fill) for name, fill in zip(CHANNELS, (3.0, 45.0, 80.0), strict=True)),
        takes=(),
        outputs=(Output("rul", "h", 0.0, TOP),),
        extras=(Extra("attention", (1, KEPT)),),
        states=(State("sum", (1, 1)), State("sums", (1, KEPT))),
        executables=(Executable(place, "onnx", recipe, INPUTS, OUTPUTS),),
        golden=(),
        certificate=Certificate("RMSE", "h", 1.0, 1, 1, 0, ()),
        files=(),
        healthy=tuple(healthy),
    )
    return write_bundle(path, manifest, {place: content or graph()})


def moved(x: NDArray[np.float64], healthy: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each number of readings x [N, C] moves the last output by, against `healthy` [N, C]."""
    fading = DECAY ** np.arange(len(x))[::-1]
    found: NDArray[np.float64] = (x - healthy) * np.array(WEIGHTS) * fading[:, None]
    return found


def write(path: Path, machines: dict[str, NDArray[np.float64]], failed: dict[str, int] | None = None) -> Path:
    """A history as CSV, a reading a second from 1000 on; `failed` says at which reading a machine did."""
    rows = ["machine,ts,vibration,temperature,load,failed"]
    for name, x in machines.items():
        ends = (failed or {}).get(name, -1)
        rows += [f"{name},{1000 + t},{','.join(f'{v:g}' for v in row)},{int(t == ends)}" for t, row in enumerate(x)]
    path.write_text("\n".join(rows) + "\n")
    return path


def history(steps: int = 12, seed: int = 0) -> NDArray[np.float64]:
    """Readings [T, C] about healthy ones, in plain decimals."""
    rng = np.random.default_rng(seed)
    load = np.where(rng.random(steps) < 0.5, 60.0, 100.0)
    return np.stack([rng.uniform(1, 4, steps).round(2), rng.uniform(38, 55, steps).round(2), load], axis=1)
