"""What runs on the device loads no training, conversion or data library, and the engine only when one is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = ("torch", "tensorflow", "onnx", "onnxscript", "litert_torch", "polars", "pandas", "sklearn", "matplotlib")
ENGINES = ("numpy", "ai_edge_litert", "tflite_runtime", "onnxruntime", "pyarrow")

LOOK = "import sys; loaded = {m.partition('.')[0] for m in sys.modules}; print(' '.join(sorted(loaded)))"


def loaded(program: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}; {LOOK}"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import device.serve, edge.verbs.run",
        "import device.replay, edge.verbs.replay",
        "import device.profile, edge.verbs.profile",
        "from device.backends import BACKENDS; [BACKENDS[name].available() for name in BACKENDS]",
    ],
)
def test_the_device_loads_no_engine_before_it_opens_one(program: str) -> None:
    assert not loaded(program) & {*FORBIDDEN, *ENGINES, "train", "convert"}


def test_importing_a_verb_imports_only_the_command_line() -> None:
    found = loaded("import edge.verbs.run, edge.verbs.replay, edge.verbs.profile")
    assert not found & {*FORBIDDEN, *ENGINES, "device", "paho", "orjson", "sqlite3"}
