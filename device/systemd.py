"""What we ask of systemd, through its own commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edge.errors import ProjectError

BOOTED = Path("/run/systemd/system")
"""There where systemd is what started the machine (sd_booted(3))."""

READY_S = 400
"""How long to wait for a restart: the unit's own limits of stopping and of starting, and a little."""

LINES = 8
"""Of the log, for a service that did not start."""


def require() -> None:
    """Raises ProjectError on a machine that systemd did not start."""
    if not BOOTED.is_dir():
        raise ProjectError(
            "this machine was not started by systemd, so nothing would start the service; prepare an image with "
            "--root DIR, or have your own supervisor call `edge run --keep-trying`"
        )


def call(*words: str) -> tuple[bool, str]:
    """`systemctl words…`: whether it went well, and what it said."""
    command = ["systemctl", "--no-ask-password", *words]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=READY_S, check=False
        )
    except FileNotFoundError:
        return False, "there is no systemctl on this machine"
    except subprocess.TimeoutExpired:
        return False, f"`{' '.join(command)}` took longer than {READY_S} s"
    return done.returncode == 0, (done.stderr or done.stdout).partition("\n")[0]


def log(service: str, since: float) -> list[str]:
    """The last lines of the service's log, none from before `since` (seconds since 1970)."""
    which = [f"--unit={service}", f"--since=@{since:.0f}", f"--lines={LINES}"]
    command = ["journalctl", "--no-pager", "--quiet", "--output=cat", *which]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()
