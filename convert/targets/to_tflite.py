"""TFLite: by litert-torch from the same step module, quantized by ai-edge-quantizer (AEQ)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from convert import flat
from convert.calibrate import Array, Range
from convert.numbers import FLOAT, Wiring
from convert.quiet import quiet
from convert.targets.base import Declined, Target

WEIGHT_BITS, OPERAND_BITS = 8, 16


class TfliteTarget(Target):
    """`float32` as converted; int8 weights in the others. All of them run in tflite-runtime 2.14, too.

    `dynamic-int8`: one scale a weight matrix, because the old runtime silently miscomputes dynamic products with a
    scale for each row; operands are quantized by what they hold, at each step. `static-int8`: a scale for each row,
    operands and results of the products in 16 bit with calibrated scales. A product of 8-bit operands would round its
    result to 8 bits as well, which costs ten times the accuracy.
    """

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
        return {
            FLOAT: lambda: self._float,
            "dynamic-int8": lambda: _dynamic(self._float),
            "static-int8": self._static,
        }

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Positional: litert-torch drops ours."""
        inputs, outputs = self.step.inputs, self.step.outputs
        return tuple(f"args_{i}" for i in range(len(inputs))), tuple(f"output_{i}" for i in range(len(outputs)))

    def wiring(self, content: bytes) -> Wiring:
        """As Target."""
        return flat.wiring(content, self.step.before, *self.states)

    def _static(self) -> bytes:
        with quiet("the calibration for TFLite"):
            found = self._ranges()
        if not found:
            raise Declined("the step graph holds no matrix product with constant weights")
        with quiet("the static int8 quantization for TFLite"):
            return _static(self._float, found)

    def _ranges(self) -> dict[str, Range]:
        """Tensor of the float file -> its range, for all that its products read and write."""
        from ai_edge_litert.interpreter import Interpreter

        watched = flat.around_products(self._float)
        engine = Interpreter(model_content=self._float, num_threads=1, experimental_preserve_all_tensors=True)
        engine.allocate_tensors()
        runner = engine.get_signature_runner()
        places = [runner.get_input_details()[name]["index"] for name in self.names[0]]
        results = [runner.get_output_details()[name]["index"] for name in self.states[1]]
        del runner

        def observe(feed: Sequence[Array]) -> tuple[list[Array], dict[str, Array]]:
            for place, values in zip(places, feed, strict=True):
                engine.set_tensor(place, values)
            engine.invoke()
            return [engine.get_tensor(i) for i in results], {n: engine.get_tensor(i) for n, i in watched.items()}

        return self.observed(observe)

    @property
    def state_of(self) -> dict[str, str]:
        """As Target, by the names tensors have inside the file."""
        inside = flat.signature(self._float)
        return {inside[tensor]: state for tensor, state in super().state_of.items()}


def _dynamic(content: bytes) -> bytes:
    from ai_edge_quantizer import recipe

    made = _recipes()
    made.add_dynamic_config(
        regex=".*",
        operation_name=recipe.TFLOperationName.ALL_SUPPORTED,
        num_bits=WEIGHT_BITS,
        granularity=recipe.QuantGranularity.TENSORWISE,
    )
    with quiet("the int8 quantization for TFLite"):
        return flat.offset(_quantized(content, made, None))


def _static(content: bytes, found: Mapping[str, Range]) -> bytes:
    from ai_edge_quantizer import recipe

    made = _recipes()
    made.add_static_config(
        regex=".*",
        operation_name=recipe.TFLOperationName.FULLY_CONNECTED,
        activation_num_bits=OPERAND_BITS,
        weight_num_bits=WEIGHT_BITS,
    )
    told = {
        tensor: {"min": np.array([[low]], np.float32), "max": np.array([[high]], np.float32)}
        for tensor, (low, high) in found.items()
    }
    return flat.mended(_quantized(content, made, told))


def _recipes() -> Any:
    from ai_edge_quantizer import recipe_manager

    return recipe_manager.RecipeManager()


def _quantized(content: bytes, made: Any, told: Mapping[str, Any] | None) -> bytes:
    from ai_edge_quantizer import quantizer

    one = quantizer.Quantizer(content)
    one.load_quantization_recipe(made.get_quantization_recipe())
    return bytes(one.quantize(told, enable_progress_report=False).quantized_model)
