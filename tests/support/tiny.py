"""A tiny bundle that every engine can run: two states, one output, made in seconds without training."""

from __future__ import annotations

import logging
import warnings
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from device.backends.ort_step import engine
from edge.bundle import GOLDEN, Bundle, write_bundle
from edge.manifest import (
    SCHEMA,
    Certificate,
    Channel,
    Executable,
    Golden,
    Manifest,
    Output,
    Row,
    Slice,
    State,
    table_of,
)
from edge.spec import parse_project

CHANNELS = ("vibration", "temperature", "pressure")
HIDDEN = 8
TAPS = 4
SPAN = 125.0
STREAM = 48

Array = NDArray[np.float32]

PROJECT: dict[str, Any] = {
    "project": {"name": "tiny"},
    "data": {"path": "history.csv"},
    "signals": {"vibration": {"min": 0.0, "max": 50.0}, "temperature": {"min": -20.0, "max": 150.0}, "pressure": {}},
    "task": {"kind": "rul", "cap": 125},
    "model": {"family": "gru", "hidden": HIDDEN},
    "timing": {"max_gap_s": 10.0, "on_gap": "reset", "warm_up_readings": 3},
    "alarm": {"raise_below": 55.0, "clear_above": 60.0, "hold_readings": 2},
    "mqtt": {
        "readings": "plant/{machine}/telemetry",
        "predictions": "plant/{machine}/health",
        "control": "plant/{machine}/control",
    },
}


class TinyStep(nn.Module):
    """A GRU cell beside a shift buffer, raw readings in and cycles out: both kinds of state a real family has."""

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("mean", torch.tensor([10.0, 60.0, 3.0]))
        self.register_buffer("scale", torch.tensor([5.0, 20.0, 1.0]))
        self.gates_x = nn.Linear(len(CHANNELS), 3 * hidden)
        self.gates_h = nn.Linear(hidden, 3 * hidden)
        self.taps = nn.Linear(len(CHANNELS) * TAPS, 1)
        self.head = nn.Linear(hidden, 1)
        self.hidden = hidden

    def initial(self) -> tuple[Tensor, ...]:
        """h [1, H] (not zero, so that a forgotten initial state shows) and the buffer [1, C, TAPS]."""
        return torch.full((1, self.hidden), 0.25), torch.zeros(1, len(CHANNELS), TAPS)

    def forward(self, x: Tensor, h: Tensor, buffer: Tensor) -> tuple[Tensor, ...]:
        """One step: x [1, C] -> y [1, 1] and both states."""
        z = (x - self.mean) / self.scale
        x_reset, x_update, x_new = self.gates_x(z).chunk(3, dim=-1)
        h_reset, h_update, h_new = self.gates_h(h).chunk(3, dim=-1)
        update = torch.sigmoid(x_update + h_update)
        new = torch.tanh(x_new + torch.sigmoid(x_reset + h_reset) * h_new)
        h = (1 - update) * new + update * h
        buffer = torch.cat([buffer[..., 1:], z.unsqueeze(-1)], -1)
        return SPAN * torch.sigmoid(3 * self.head(h) + self.taps(buffer.reshape(1, -1))), h, buffer


@dataclass(frozen=True)
class Exported:
    """One exported file and its own names, in graph order."""

    target: str
    recipe: str
    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its member name in a bundle."""
        return f"{self.target}/{self.recipe}.{self.target}"


def readings(steps: int, seed: int = 0) -> Array:
    """Plausible readings [T, C] that wander, so that outputs cross the alarm's levels."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None]
    wander = np.array([10.0, 60.0, 3.0]) + np.array([6.0, 25.0, 1.0]) * np.sin(t / np.array([7.0, 11.0, 5.0]) + seed)
    noisy = wander + rng.normal(size=(steps, len(CHANNELS))) * 0.3
    plausible: Array = noisy.clip(0.0, np.array([45.0, 145.0, 145.0])).astype(np.float32)
    return plausible


def torch_stream(step: TinyStep, x: Array) -> Array:
    """The reference outputs [T, 1]."""
    state: tuple[Tensor, ...] = step.initial()
    out = []
    with torch.no_grad():
        for row in x:
            y, *rest = step(torch.from_numpy(row[None]), *state)
            state = tuple(rest)
            out.append(y.numpy()[0])
    return np.stack(out)


def export(folder: Path, hidden: int = HIDDEN) -> tuple[TinyStep, list[Exported]]:
    """The step as float32 and dynamic int8, for both targets."""
    step = TinyStep(hidden).eval()
    example = (torch.zeros(1, len(CHANNELS)), *step.initial())
    return step, [*_onnx(step, example, folder), *_tflite(step, example, folder)]


def _onnx(step: TinyStep, example: tuple[Tensor, ...], folder: Path) -> list[Exported]:
    import onnx

    engine()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = (("x", "h", "buffer"), ("y", "h_next", "buffer_next"))
    plain, small = folder / "float32.onnx", folder / "dynamic-int8.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            step,
            example,
            str(plain),
            input_names=names[0],
            output_names=names[1],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(str(plain))
        del model.graph.value_info[:]
        onnx.save(model, str(folder / "bare.onnx"))
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(str(folder / "bare.onnx"), str(small), weight_type=QuantType.QUInt8)
        finally:
            logging.disable(logging.NOTSET)
    return [Exported("onnx", path.stem, path.read_bytes(), *names) for path in (plain, small)]


def _tflite(step: TinyStep, example: tuple[Tensor, ...], folder: Path) -> list[Exported]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litert_torch
        from ai_edge_quantizer import quantizer, recipe

        plain, small = folder / "float32.tflite", folder / "dynamic-int8.tflite"
        litert_torch.convert(step, example).export(str(plain))
        small.unlink(missing_ok=True)
        quantizer.Quantizer(str(plain), recipe.dynamic_wi8_afp32()).quantize().export_model(str(small))
    names = tuple(tuple(f"{side}_{i}" for i in range(3)) for side in ("args", "output"))
    return [Exported("tflite", path.stem, path.read_bytes(), names[0], names[1]) for path in (plain, small)]


def run_file(file: Exported, step: TinyStep, x: Array) -> Array:
    """The file's own outputs [T, 1], straight through its engine: what golden vectors record."""
    run = runner(file)
    state, out = [s.numpy() for s in step.initial()], []
    for row in x:
        y, *state = run(dict(zip(file.inputs, (row[None], *state), strict=True)))
        out.append(np.array(y)[0])
    return np.stack(out)


def runner(file: Exported) -> Any:
    """From inputs by the file's own names to its outputs in order, one step."""
    return _session(file) if file.target == "onnx" else _interpreter(file)


def _session(file: Exported) -> Any:
    session = engine().InferenceSession(file.content, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(list(file.outputs), feed)


def _interpreter(file: Exported) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=file.content, num_threads=1).get_signature_runner()

    def run(feed: dict[str, Array]) -> list[Array]:
        found = runner(**feed)
        return [found[name] for name in file.outputs]

    return run


def pack(path: Path, step: TinyStep, files: list[Exported], project: dict[str, Any] | None = None) -> Bundle:
    """A bundle of `files` with one golden stream and a certificate that is made up but well formed."""
    table = table_of(parse_project(project or PROJECT))
    x = readings(STREAM)
    tensors: dict[str, Array] = {"x": x, "torch": torch_stream(step, x)}
    tensors |= {f"{f.target}/{f.recipe}": run_file(f, step, x) for f in files}
    slices, blob = {}, bytearray()
    for name, values in tensors.items():
        slices[name] = Slice(len(blob), values.shape)
        blob += np.ascontiguousarray(values, "<f4").tobytes()
    worse = {f.path: 0.05 * (f.recipe != "float32") for f in files}
    rows = tuple(
        Row(f.target, f.recipe, True, len(f.content), 0.0, 0.0, metric=12.0 + worse[f.path], change=worse[f.path])
        for f in files
    )
    manifest = Manifest(
        schema=SCHEMA,
        model="",
        writer="tests",
        table=table,
        memory=None,
        channels=tuple(Channel(c, "", fill) for c, fill in zip(CHANNELS, (10.0, 60.0, 3.0), strict=True)),
        takes=(),
        outputs=(Output("rul", "cycles", 0.0, SPAN),),
        extras=(),
        states=tuple(
            State(name, tuple(value.shape), tuple(array("f", value.flatten().tolist())))
            for name, value in zip(("h", "buffer"), step.initial(), strict=True)
        ),
        executables=tuple(Executable(f.path, f.target, f.recipe, f.inputs, f.outputs) for f in files),
        golden=(Golden("tiny-0", STREAM, slices),),
        certificate=Certificate("RMSE", "cycles", 12.0, STREAM, 1, 0, rows),
        files=(),
    )
    members = {f.path: f.content for f in files} | {GOLDEN: bytes(blob)}
    return write_bundle(path, manifest, members)
