"""Each engine brings only itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.bundle import Bundle

ROOT = Path(__file__).parents[2]

SERVES = """
import sys
sys.path.insert(0, {root!r})
from array import array
from pathlib import Path
import device.serve
from device.choose import open_backend
from device.runtime import Runtime
from edge.bundle import Bundle
bundle = Bundle.open(Path({path!r}))
Runtime(bundle, open_backend(bundle, {name!r})).feed("m", 1.0, [1.0, 2.0, 3.0])
print(" ".join(sorted({{m.partition(".")[0] for m in sys.modules}})))
"""


@pytest.mark.parametrize(("name", "other"), [("litert", "onnxruntime"), ("onnx", "ai_edge_litert")])
def test_serving_loads_one_engine_and_no_workstation_library(bundle: Bundle, name: str, other: str) -> None:
    program = SERVES.format(root=str(ROOT), path=str(bundle.path), name=name)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "tensorflow", "onnx", "polars", "litert_torch", "train", "convert", other}


def test_no_engine_reports_to_its_maker(bundle: Bundle, tmp_path: Path) -> None:
    program = SERVES.format(root=str(ROOT), path=str(bundle.path), name="onnx")
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": f"{tmp_path}/cache"}
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env={**environment, **places})
    # Its telemetry keeps an identifier of the device and a queue there.
    assert not list(tmp_path.iterdir())


def test_there_is_one_way_to_onnx_runtime_and_it_is_silent() -> None:
    sources = [path for room in ("edge", "train", "convert", "device", "bench") for path in (ROOT / room).rglob("*.py")]
    naming = re.compile(r"^\s*(import|from) onnxruntime\b", re.MULTILINE)
    assert not [path for path in sources if naming.search(path.read_text())]
