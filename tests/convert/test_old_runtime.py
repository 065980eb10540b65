"""tflite-runtime 2.14, in an environment of its own: runs every TFLite file we make, refuses one it miscomputes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from edge.bundle import Bundle
from tests.support.bundles import bundle, workshop
from tests.support.roads import Road

__all__ = ["bundle", "workshop"]

EDGE = Path(__file__).parents[2] / ".venv-tflite" / "bin" / "edge"

pytestmark = pytest.mark.skipif(not EDGE.exists(), reason="no .venv-tflite; `.ci/old-runtime` makes it (Python 3.11)")


def edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in the old runtime's environment."""
    return subprocess.run([EDGE, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def test_the_environment_is_what_it_claims() -> None:
    found = edge("doctor").stdout
    assert "tflite-runtime 2.14" in found and "numpy 1." in found


def test_every_tflite_file_of_every_family_computes_what_was_certified(road: Road) -> None:
    done = edge("verify", road.bundle.path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    replays = json.loads(done.stdout)
    assert {r["backend"] for r in replays} == {"tflite"}
    rows = [row for row in road.bundle.manifest.certificate.rows if row.target == "tflite"]
    assert {r["executable"] for r in replays if r["ok"]} == {f"tflite/{r.recipe}" for r in rows}
    assert len(rows) == 3 and not any(row.declined for row in rows)


def test_a_dynamic_file_with_a_scale_for_each_row_is_refused_there(bundle: Bundle) -> None:
    done = edge("verify", bundle.path, "--json")
    assert done.returncode == 1
    replays = {r["executable"]: r for r in json.loads(done.stdout)}
    assert replays["tflite/float32"]["ok"] and not replays["tflite/dynamic-int8"]["ok"]
    asked = ["--backend", "tflite", "--recipe", "dynamic-int8", "--broker", "mqtt://127.0.0.1:1"]
    served = edge("run", bundle.path, *asked)
    assert served.returncode == 3 and "does not compute on tflite here what was certified" in served.stderr
