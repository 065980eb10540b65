"""TFLite: by litert-torch from the same step module, quantized by ai-edge-quantizer (AEQ)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from convert.quiet import quiet
from convert.targets.base import Target


class TfliteTarget(Target):
    """`float32` as converted; `dynamic-int8` with int8 weights per output row, activations quantized while running."""

    suffix = "tflite"

    @cached_property
    def _float(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder, quiet("the TFLite conversion"):
            import litert_torch

            result = Path(folder, "float.tflite")
            litert_torch.convert(self.step, self.step.example).export(str(result))
            return result.read_bytes()

    @property
    def makers(self) -> Mapping[str, Callable[[], bytes]]:
        """See the class."""
        return {"float32": lambda: self._float, "dynamic-int8": lambda: _dynamic(self._float)}

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Positional: litert-torch drops ours."""
        inputs, outputs = self.step.inputs, self.step.outputs
        return tuple(f"args_{i}" for i in range(len(inputs))), tuple(f"output_{i}" for i in range(len(outputs)))


def _dynamic(content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder, quiet("the int8 quantization for TFLite"):
        from ai_edge_quantizer import quantizer, recipe

        source, result = Path(folder, "float.tflite"), Path(folder, "int8.tflite")
        source.write_bytes(content)
        quantizer.Quantizer(str(source), recipe.dynamic_wi8_afp32()).quantize().export_model(str(result))
        return result.read_bytes()
