"""What loading one file in one backend costs a fresh process: time and memory. Run as a program by `device.profile`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.errors import BundleError

PROGRAM = "import sys; from device.footprint import main; main(sys.argv[1:])"


@dataclass(frozen=True)
class Footprint:
    """`load_ms` from importing the engine to the first answer; `resident_mb` of the whole process after it."""

    load_ms: float
    resident_mb: float | None


def measure(bundle: Path, backend: str, recipe: str) -> Footprint:
    """The footprint of one file, in a process of its own. Raises BundleError where it cannot run."""
    # This process knows where its packages are; the new one must find the same, whatever folder we stand in.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-P", "-c", PROGRAM, str(bundle), backend, recipe]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BundleError(f"`{bundle}`: {recipe} on {backend} does not load in a fresh process: {last}")
    return Footprint(**json.loads(done.stdout))


def main(arguments: list[str]) -> None:
    """Load, take one step, and write the footprint as JSON to stdout."""
    from array import array

    from device.choose import open_backend

    path, name, recipe = arguments
    bundle = Bundle.open(Path(path))
    started = time.perf_counter()
    backend = open_backend(bundle, name, recipe)
    backend.step(array("f", bundle.manifest.mean_reading()), backend.new_state())
    load_ms = (time.perf_counter() - started) * 1000
    json.dump({"load_ms": round(load_ms, 1), "resident_mb": resident_mb()}, sys.stdout)


def resident_mb() -> float | None:
    """Memory of this process in MiB, None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)
