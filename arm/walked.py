"""The file system of the emulated machine after those of README's commands that need no running system.

They run in the very root that is booted afterwards, on its processor's instructions, only without its kernel: an
emulated kernel would take three times as long to unpack Python packages. Root runs them.
"""

from __future__ import annotations

from pathlib import Path

from arm.cache import content, kept
from arm.errors import Failed
from arm.readme import commands
from arm.roots import root
from arm.shell import run, say
from arm.wheels import PLACES, ours, wheels

CPU = "cortex-a72"
HOME = "home/pi"
FOLDER = "opt/proof"
PIP = f"[global]\nno-index = true\nfind-links = /{FOLDER}/wheels\n"
"""The machine has no network: its package index is a folder. That is pip's setting; the commands stay as they are."""

# ROOT WHEELS COMMAND: mounts of its own, gone with the command.
ENTER = """
set -e
mount -t proc none "$1/proc"
mount --rbind /dev "$1/dev"
mkdir -p "$1/opt/proof/wheels"
mount --bind "$2" "$1/opt/proof/wheels"
shift 2
exec chroot "$0" /usr/bin/env -i -C /home/pi HOME=/home/pi LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  QEMU_CPU=cortex-a72 bash -euc "$@"
"""


def split() -> tuple[list[str], list[str]]:
    """README's commands: those before `edge install`, which need no systemd, and the rest. Raises Failed."""
    every = commands()
    at = next((n for n, command in enumerate(every) if "edge install" in command), None)
    if at is None:
        raise Failed("README.md: none of the commands for the Pi is `edge install`")
    return every[:at], every[at:]


def walked() -> Path:
    """The root after the first of README's commands, with our wheel in the home folder of its user `pi`."""
    system, packages, wheel = root("system"), wheels(PLACES["bookworm64"]), ours()
    first, _ = split()

    def make(folder: Path) -> None:
        run(["cp", "-a", f"{system}/.", folder])
        (folder / "etc/pip.conf").write_text(PIP)
        home = folder / HOME
        home.mkdir(parents=True)
        (home / wheel.name).write_bytes(wheel.read_bytes())
        for command in first:
            say("walked", f"runs {command}")
            apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER]
            run([*apart, folder, folder, packages, command], limit=1800)

    return kept("walked", (system.name, packages.name, content(wheel), first, PIP, ENTER), make)


def main() -> str:
    """Walk, or find it walked."""
    return f"{len(split()[0])} of README's commands; {walked().name}"
