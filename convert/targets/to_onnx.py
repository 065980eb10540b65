"""ONNX: the common reference form of the step graph, by torch's own exporter and ONNX Runtime's quantizer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from convert.quiet import quiet
from convert.targets.base import Target


class OnnxTarget(Target):
    """`float32` as exported; `dynamic-int8`: int8 weights per output column, activations quantized while running."""

    suffix = "onnx"

    @cached_property
    def _float(self) -> bytes:
        with quiet("the ONNX export"):
            program = torch.onnx.export(
                self.step,
                self.step.example,
                dynamo=True,
                external_data=False,
                input_names=list(self.step.inputs),
                output_names=list(self.step.outputs),
                verbose=False,
            )
            assert program is not None
            model = program.model_proto
            _strip(model)
            onnx.checker.check_model(model, full_check=True)
            return bytes(model.SerializeToString(deterministic=True))

    @property
    def makers(self) -> Mapping[str, Callable[[], bytes]]:
        """See the class."""
        return {"float32": lambda: self._float, "dynamic-int8": lambda: _dynamic(self._float)}

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The step graph's own."""
        return self.step.inputs, self.step.outputs


def _dynamic(content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder, quiet("the int8 quantization for ONNX"):
        source, result = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(content)
        quantize_dynamic(str(source), str(result), per_channel=True, weight_type=QuantType.QInt8)
        model = onnx.load(str(result))
        _strip(model)
        return bytes(model.SerializeToString(deterministic=True))


def _strip(model: Any) -> None:
    """Take out what describes how the graph was traced: paths of this machine, and bytes the device has no use for.

    The quantizer's shape inference also fails on the exporter's `value_info`, so it goes too.
    """
    graph = model.graph
    del model.metadata_props[:], model.functions[:], graph.metadata_props[:], graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
