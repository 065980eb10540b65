"""Debian 13 with Python 3.13, arm64: golden vectors with LiteRT and ONNX Runtime."""

from __future__ import annotations

from arm.bundles import bundles
from arm.cache import work
from arm.cpus import PI5
from arm.enter import Pi
from arm.errors import Failed
from arm.proofs import delegated, golden, lay_out
from arm.roots import root
from arm.wheels import PLACES, site

PYTHON = "3.13"


def main() -> str:
    """All of it; one line. Raises Failed with the first claim that does not hold."""
    made = bundles()
    folder = work("trixie")
    lay_out(folder, made)
    pi = Pi(root("trixie64"), PI5, site(PLACES["trixie64"]), folder)
    version = pi.run("python3", "-c", "import platform; print(platform.python_version())").strip()
    if not version.startswith(PYTHON):
        raise Failed(f"the trixie root has Python {version}, not {PYTHON}")
    files = delegated(pi, made)
    replays = golden(pi, made[0], {"litert", "onnx"})
    return f"{replays} golden replays with Python {version}, XNNPACK runs {files} files"
