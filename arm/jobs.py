"""What the lane consists of: parts that prove something, and what has to be made for them first."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable

from arm.errors import Failed
from arm.lane import Job
from arm.roots import ROOTS
from arm.shell import log

MADE = (
    Job("bundles", "arm.bundles:main", seconds=60),
    Job("wheels", "arm.wheels:main", seconds=25),
    Job("walked", "arm.walked:main", ("wheels", "system"), 80),
    *(Job(name, "arm.roots:main", seconds=recipe.seconds) for name, recipe in ROOTS.items()),
)
"""What is made or taken from the cache; nothing is claimed here."""

PROVEN = (
    Job("unit", "arm.parts.unit:main", (), 5),
    Job("replay", "arm.parts.replay:main", ("bundles", "wheels", "pi64"), 100),
    Job("daemon", "arm.parts.daemon:main", ("bundles", "wheels", "pi64"), 30),
    Job("trixie", "arm.parts.trixie:main", ("bundles", "wheels", "trixie64"), 30),
    Job("armhf", "arm.parts.armhf:main", ("bundles", "wheels", "pi32"), 30),
    Job("machine", "arm.parts.machine:main", ("bundles", "kernel", "walked"), 250),
    Job("image64", "arm.parts.image:arm64", ("bundles", "wheels", "slim64"), 120),
    Job("image32", "arm.parts.image:armv7", ("bundles", "wheels", "slim32"), 120),
)

JOBS = {job.name: job for job in (*MADE, *PROVEN)}
PARTS = tuple(job.name for job in PROVEN)


def run_alone(name: str) -> int:
    """Run one job in this process; its log is stdout, and the line it says of itself the last one there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends with it
    try:
        said, status = _call(JOBS[name]), 0
    except Failed as error:
        said, status = str(error), 1
    log(f"\n{said}" if status == 0 else f"\nFAILED: {said}")
    sys.stdout.flush()
    return status


def _call(job: Job) -> str:
    module, _, function = job.function.partition(":")
    call: Callable[..., str] = getattr(importlib.import_module(module), function)
    return call(job.name) if module == "arm.roots" else call()
