"""On the processors of Pi 3, 4 and 5: golden vectors with LiteRT and ONNX Runtime, XNNPACK in use, scores as here.

The second family is replayed on Pi 4's only: every replay is ten thousand emulated steps.
"""

from __future__ import annotations

from arm.bundles import bundles
from arm.cache import work
from arm.cpus import CPUS64, PI4
from arm.enter import Pi
from arm.errors import Failed
from arm.proofs import delegated, golden, lay_out, same_predictions
from arm.roots import root
from arm.shell import say
from arm.wheels import PLACES, site

ENGINES = {"litert", "onnx"}


def main() -> str:
    """All of it; one line. Raises Failed with the first claim that does not hold."""
    made = bundles()
    folder = work("replay")
    lay_out(folder, made)
    place, base = site(PLACES["bookworm64"]), root("pi64")
    replays = 0
    for cpu in CPUS64:
        pi = Pi(base, cpu, place, folder)
        files = delegated(pi, made)
        say("replay", f"{cpu.name} ({cpu.board}): XNNPACK runs all of {files} TFLite files")
        for one in made if cpu is PI4 else made[:1]:
            done = golden(pi, one, ENGINES)
            replays += done
            say("replay", f"{cpu.name}: {one.family}, {done} golden replays agree")
    pi = Pi(base, PI4, place, folder)
    scores = [same_predictions(pi, one, "litert") for one in made]
    say("replay", f"{PI4.name}: {sum(scores)} predictions are those of this machine")
    doctor(pi, ENGINES)
    profile(pi, made[0].bundle.name)
    return f"{replays} golden replays on {', '.join(cpu.name for cpu in CPUS64)}; {sum(scores)} predictions as here"


def doctor(pi: Pi, engines: set[str]) -> None:
    """`edge doctor` finds nothing wrong there and knows the engines."""
    said = pi.edge("doctor")
    good = {row.split()[1] for row in said.splitlines() if row.startswith("backends") and row.split()[2] == "ok"}
    missing = sorted(engines - good)
    if missing:
        raise Failed(f"`edge doctor` does not see {', '.join(missing)} on {pi.cpu.name}:\n{said}")


def profile(pi: Pi, bundle: str) -> None:
    """`edge profile` comes to its end; what it measures under an emulator means nothing."""
    said = pi.edge("profile", "--steps", "50", bundle)
    if "Deploy" not in said:
        raise Failed(f"`edge profile` gives no advice on {pi.cpu.name}:\n{said}")
