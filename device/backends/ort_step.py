"""ONNX files through ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module, metadata, util
from typing import TYPE_CHECKING, Any

from device.backends.buffered import BufferedBackend
from edge.errors import BundleError
from edge.extras import needed_for

if TYPE_CHECKING:
    from device.backends.buffered import Bound, Floats

QUIET = 3
"""Log level: errors only."""


def engine() -> Any:
    """ONNX Runtime, by the one way to it. Raises ModuleNotFoundError where it is not installed.

    Its wheels report their use to their maker by HTTPS once they are imported, unless told not to before. Nothing here
    leaves the plant.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")


class OnnxBackend(BufferedBackend):
    """ONNX Runtime on one thread, with inputs and outputs bound once to fixed memory."""

    name = "onnx"
    target = "onnx"

    @classmethod
    def available(cls) -> str | None:
        """As Backend."""
        if util.find_spec("onnxruntime") is None:
            return None
        try:
            return f"onnxruntime {metadata.version('onnxruntime')}"
        except metadata.PackageNotFoundError:
            return "onnxruntime"

    def _bind(self, inputs: Sequence[str], outputs: Sequence[str]) -> Bound:
        with needed_for(f"`{self.executable.path}`"):
            import numpy as np

            ort = engine()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        options.log_severity_level = QUIET
        try:
            model = self.bundle.model(self.executable)
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise BundleError(
                f"`{self.bundle.path}`: onnxruntime cannot run {self.executable.key} ({_first_line(error)}); "
                "try another --backend, see `edge verify`"
            ) from error
        binding = session.io_binding()
        places_in = {place.name: place for place in session.get_inputs()}
        places_out = {place.name: place for place in session.get_outputs()}
        found: tuple[list[Floats], list[Floats]] = ([], [])
        for names, places, bind, arrays in (
            (inputs, places_in, binding.bind_input, found[0]),
            (outputs, places_out, binding.bind_output, found[1]),
        ):
            for name in names:
                shape = self._shape(places, name)
                memory = np.zeros(shape, np.float32)
                bind(name, "cpu", 0, np.float32, shape, memory.ctypes.data)
                arrays.append(memory)
        for name in places_out:
            if name not in outputs:
                binding.bind_output(name, "cpu")  # an extra output nobody asked for, still computed by the graph
        run = session.run_with_iobinding

        def invoke() -> None:
            run(binding)

        return found[0], found[1], invoke

    def _shape(self, places: dict[str, Any], name: str) -> tuple[int, ...]:
        where = f"`{self.bundle.path}`: {self.executable.key}"
        if name not in places:
            raise BundleError(f"{where} has no tensor `{name}` (it has {', '.join(places)}); convert the model again")
        place = places[name]
        if place.type != "tensor(float)" or not all(isinstance(n, int) for n in place.shape):
            what = f"{place.type} {place.shape}"
            raise BundleError(
                f"{where}: `{name}` is {what}, not a float tensor of static shape; convert the model again"
            )
        return tuple(place.shape)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
