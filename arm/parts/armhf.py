"""32 bit, tflite-runtime 2.14 with Debian's numpy: golden vectors of every TFLite file."""

from __future__ import annotations

from arm.bundles import bundles
from arm.cache import work
from arm.cpus import CPUS32, PI2
from arm.enter import Pi
from arm.proofs import golden, lay_out
from arm.roots import root
from arm.shell import say
from arm.wheels import PLACES, site

# An unpacked root has no alternatives, which is how Debian finds its linear algebra.
LIBRARIES = "/usr/lib/arm-linux-gnueabihf"
ENV = {"LD_LIBRARY_PATH": f"{LIBRARIES}/blas:{LIBRARIES}/lapack"}


def main() -> str:
    """All of it; one line. Raises Failed with the first claim that does not hold."""
    made = bundles()
    folder = work("armhf")
    lay_out(folder, made)
    place, base = site(PLACES["bookworm32"]), root("pi32")
    replays = 0
    for cpu in CPUS32:
        pi = Pi(base, cpu, place, folder, ENV)
        for one in made if cpu is PI2 else made[:1]:
            done = golden(pi, one, {"tflite"})
            replays += done
            say("armhf", f"{cpu.name}: {one.family}, {done} golden replays agree")
    return f"{replays} golden replays with tflite-runtime on {', '.join(cpu.name for cpu in CPUS32)}"
