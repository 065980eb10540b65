"""Backends: what executes an exported model on this machine. A new one is one new file and one line here."""

from edge.registry import Registry

BACKENDS = Registry(
    "backend",
    {
        "litert": "device.backends.tflite_step:LiteRtBackend",
        "tflite": "device.backends.tflite_step:OldTfliteBackend",
        "onnx": "device.backends.ort_step:OnnxBackend",
    },
)
"""In the order of preference of `edge run` without `--backend`; each is called like the extra with its engine."""
