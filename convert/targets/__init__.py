"""Targets: the formats a step graph is exported to. A new one is one new file and one line here."""

from edge.registry import Registry

TARGETS = Registry(
    "target",
    {
        "onnx": "convert.targets.to_onnx:OnnxTarget",
        "tflite": "convert.targets.to_tflite:TfliteTarget",
    },
)
