"""What a bundle must do on an emulated Pi: golden vectors, the engine's delegate, the predictions of this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from arm.bundles import Made
from arm.enter import Pi
from arm.errors import Failed
from arm.shell import log
from device.backends import BACKENDS
from edge.bundle import Bundle
from edge.recipes import RECIPES

XNNPACK = "Created TensorFlow Lite XNNPACK delegate for CPU"
GUEST = Path(__file__).with_name("guest")


def lay_out(work: Path, made: Iterable[Made]) -> None:
    """Put bundles, their histories and the scripts of the guest into the folder the Pi sees as /proof."""
    for one in made:
        shutil.copy(one.bundle, work)
        shutil.copy(one.history, work)
    shutil.copy(GUEST / "delegates.py", work)


def golden(pi: Pi, made: Made, backends: set[str]) -> int:
    """Replay a bundle with all `backends`; how many replays. Raises Failed where one disagrees or a file was left out.

    Every file of a target that one of `backends` runs must have been replayed, and on no other engine.
    """
    said = json.loads(pi.edge("verify", made.bundle.name, "--json"))
    bad = [f"{r['executable']} on {r['backend']}: {r['why']}" for r in said if not r["ok"]]
    if bad:
        raise Failed(f"{made.family} on {pi.cpu.name}: {'; '.join(bad)}")
    targets = {BACKENDS[name].target for name in backends}
    held = {e.key for e in Bundle.open(made.bundle).manifest.executables if e.target in targets}
    found = {r["executable"] for r in said}
    used = {r["backend"] for r in said}
    if found != held or used != backends:
        raise Failed(f"{made.family} on {pi.cpu.name}: replayed {sorted(found)} of {sorted(held)} on {sorted(used)}")
    return len(said)


def delegated(pi: Pi, made: Iterable[Made]) -> int:
    """How many TFLite files LiteRT hands to XNNPACK on this processor. Raises Failed where one runs without."""
    asked = pi.command("python3", "-P", "delegates.py", *(one.bundle.name for one in made))
    said = subprocess.run(asked, capture_output=True, text=True, timeout=600, check=False)
    log(said.stdout + said.stderr)
    if said.returncode != 0:
        raise Failed(f"LiteRT ended with status {said.returncode} on {pi.cpu.name}:\n{said.stderr}")
    files: dict[str, dict[str, int]] = json.loads(said.stdout)
    without = [name for name, operators in files.items() if not operators.get("DELEGATE")]
    if without or not files or XNNPACK not in said.stderr:
        raise Failed(f"LiteRT runs without XNNPACK on {pi.cpu.name}: {', '.join(without) or said.stderr}")
    return len(files)


def same_predictions(pi: Pi, made: Made, backend: str) -> int:
    """Score the history on the Pi; how many predictions. Raises Failed where one is not what this machine predicts.

    Numbers may differ by the float32 recipe's replay tolerance of the output's range; everything else may not.
    """
    said = pi.edge("score", made.bundle.name, made.history.name, "--json", "--backend", backend).splitlines()
    wanted = made.expected.decode().splitlines()
    if len(said) != len(wanted):
        raise Failed(f"{made.family} on {pi.cpu.name}: {len(said)} predictions, not {len(wanted)}")
    outputs = Bundle.open(made.bundle).manifest.outputs
    for here, there in zip(map(json.loads, said), map(json.loads, wanted), strict=True):
        for output in outputs:
            close = output.span * RECIPES["float32"].replay
            near(made, pi, here.pop(output.name), there.pop(output.name), close)
        if here != there:
            raise Failed(f"{made.family} on {pi.cpu.name}: predicts {here}, this machine {there}")
    return len(said)


def near(made: Made, pi: Pi, here: Any, there: Any, close: float) -> None:
    """Raises Failed where two numbers, or two lists of them, are further apart than `close`."""
    pairs = zip(here, there, strict=True) if isinstance(here, list) else [(here, there)]
    for one, other in pairs:
        if not abs(one - other) <= close:
            raise Failed(f"{made.family} on {pi.cpu.name}: predicts {one}, this machine {other}")
