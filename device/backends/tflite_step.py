"""TFLite files through LiteRT, or through the old tflite-runtime where only that can be installed."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from importlib import metadata, util
from typing import TYPE_CHECKING, Any, ClassVar

from device.backends.buffered import BufferedBackend
from edge.aside import ERR, aside
from edge.errors import BundleError
from edge.extras import needed_for

if TYPE_CHECKING:
    from device.backends.buffered import Bound, Floats

THREADS = 1
"""One step is too little work to share; a second thread only spins."""


class TfliteBackend(BufferedBackend):
    """What both runtimes share: one interface, and XNNPACK by default wherever the processor allows it."""

    target = "tflite"
    package: ClassVar[str]
    """Import name; its `interpreter` module holds the class Interpreter."""
    distribution: ClassVar[str]

    @classmethod
    def available(cls) -> str | None:
        """As Backend."""
        if util.find_spec(cls.package) is None:
            return None
        try:
            return f"{cls.distribution} {metadata.version(cls.distribution)}"
        except metadata.PackageNotFoundError:
            return cls.distribution

    def _bind(self, inputs: Sequence[str], outputs: Sequence[str]) -> Bound:
        with needed_for(f"`{self.executable.path}`"):
            interpreters = importlib.import_module(f"{self.package}.interpreter")
        try:
            model = self.bundle.model(self.executable)
            with aside(ERR):  # the engine announces its XNNPACK delegate there, each time
                interpreter = interpreters.Interpreter(model_content=model, num_threads=THREADS)
                interpreter.allocate_tensors()
            runner = interpreter.get_signature_runner()
            places = runner.get_input_details(), runner.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise BundleError(
                f"`{self.bundle.path}`: {self.distribution} cannot run {self.executable.key} ({error}); "
                "try another --backend, see `edge verify`"
            ) from error
        del runner  # it would count as a reference that forbids `invoke`
        found_in = [_memory(interpreter, _named(places[0], name, self)) for name in inputs]
        found_out = [_memory(interpreter, _named(places[1], name, self)) for name in outputs]
        return found_in, found_out, interpreter.invoke


class LiteRtBackend(TfliteBackend):
    """LiteRT (`pip install 'edgestep[litert]'`), the first choice where it has wheels: 64-bit systems."""

    name = "litert"
    package = "ai_edge_litert"
    distribution = "ai-edge-litert"


class OldTfliteBackend(TfliteBackend):
    """tflite-runtime 2.14 (`pip install 'edgestep[tflite]'`), for 32-bit systems with Python 3.11."""

    name = "tflite"
    package = "tflite_runtime"
    distribution = "tflite-runtime"


def _named(details: dict[str, Any], name: str, backend: TfliteBackend) -> int:
    if name not in details:
        raise BundleError(
            f"`{backend.bundle.path}`: {backend.executable.key} has no tensor `{name}` in its signature "
            f"(it has {', '.join(sorted(details))}); convert the model again"
        )
    return int(details[name]["index"])


def _memory(interpreter: Any, index: int) -> Floats:
    """The tensor's memory without a reference to the interpreter, which would refuse to run while one is held.

    It stays where it is until tensors are allocated again, which nobody does after this.
    """
    import numpy as np

    view = interpreter.tensor(index)()
    block = (ctypes.c_byte * view.nbytes).from_address(view.ctypes.data)
    return np.frombuffer(block, dtype=view.dtype)
