"""File systems of Debian for other processors, made by mmdebstrap from the mirrors this machine uses itself."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from arm.cache import kept
from arm.errors import Failed
from arm.shell import run

HERE = "bookworm", "trixie"
"""Suites that this machine may be of; a mirror of one has them all."""

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

PASSED_ON = re.compile(r"^Acquire::(Check-|Retries|https?::(Proxy|CaInfo))", re.IGNORECASE)
"""The settings of this machine's apt that a root needs to reach the same mirrors."""

LEFT_OUT = ("doc", "man", "locale", "info", "lintian", "ca-certificates/mozilla")
SLIM = tuple(f"path-exclude=/usr/share/{what}/*" for what in LEFT_OUT)
"""What Debian's own slim images leave out; and the certificates, whose installation takes minutes under an emulator."""


@dataclass(frozen=True)
class Root:
    """A recipe. `variant` as mmdebstrap has it: `extract` unpacks and runs nothing, `minbase` installs in earnest.

    `seconds` of processor time it takes, about: what is long begins early.
    """

    name: str
    architecture: str
    suite: str
    variant: str
    include: tuple[str, ...]
    seconds: int = field(default=10, repr=False)


SYSTEM = ("python3", "python3-venv", "systemd", "systemd-sysv", "dbus", "udev", "kmod", "sudo")
PYTHON = ("python3", "python3-venv", "libstdc++6", "libgomp1", "bash", "coreutils", "libc-bin")

ROOTS = {
    root.name: root
    for root in (
        Root("pi64", "arm64", "bookworm", "extract", (*PYTHON, "mosquitto")),
        Root("trixie64", "arm64", "trixie", "extract", PYTHON),
        Root("pi32", "armhf", "bookworm", "extract", (*PYTHON, "python3-numpy")),
        Root("kernel", "arm64", "bookworm", "extract", ("linux-image-cloud-arm64", "busybox-static")),
        Root("slim64", "arm64", "bookworm", "minbase", (), 100),
        Root("slim32", "armhf", "bookworm", "minbase", (), 100),
        Root(
            "system",
            "arm64",
            "bookworm",
            "minbase",
            (*SYSTEM, "mosquitto", "mosquitto-clients"),
            200,
        ),
    )
}
"""`pi64`, `pi32`, `trixie64`: what runs on a Pi, entered with qemu-user. `kernel`: to boot `system`, which is as much
of Raspberry Pi OS Lite as the README presupposes. `slim64`, `slim32`: what Debian's slim images hold."""


def root(name: str) -> Path:
    """The root's folder; nobody writes to it. Takes a few seconds to some minutes where it is not kept yet."""
    recipe = ROOTS[name]
    sources = mirrors(recipe.suite)
    slim = SLIM if recipe.variant != "extract" else ()

    def make(folder: Path) -> None:
        run(
            [
                # What it mounts in there is gone with it, however it ends: a half-made root can be removed safely.
                *("unshare", "--mount", "--propagation", "private"),
                *("mmdebstrap", "--mode=root", "--format=directory", "--quiet"),
                *(f"--variant={recipe.variant}", f"--architectures={recipe.architecture}"),
                *([f"--include={','.join(recipe.include)}"] if recipe.include else []),
                *(f"--aptopt={option}" for option in _passed_on()),
                *(f"--dpkgopt={option}" for option in slim),
                *(recipe.suite, folder, "-"),
            ],
            stdin=sources,
            env={"TMPDIR": str(folder.parent)},
        )

    return kept(name, (recipe, sources, slim), make)


def main(name: str) -> str:
    """Make the root `name`, or find it made."""
    recipe = ROOTS[name]
    return f"{recipe.suite} for {recipe.architecture}, {root(name).name}"


def mirrors(suite: str) -> str:
    """Where this machine's apt gets Debian from, for `suite`: as lines of a sources.list. Raises Failed for nowhere.

    Updates and security fixes are left out: they prove nothing here, and their mirrors are more often amidst a change.
    """
    lists = Path("/etc/apt/sources.list.d")
    stanzas = [s for path in sorted(lists.glob("*.sources")) for s in re.split(r"\n\s*\n", path.read_text())]
    found = [place for stanza in stanzas for place in places(stanza)]
    files = Path("/etc/apt/sources.list"), *sorted(lists.glob("*.list"))
    old = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s", re.MULTILINE)
    found += [m[1] for path in files if path.is_file() for m in old.finditer(path.read_text()) if m[2] in HERE]
    if not found:
        raise Failed(f"no mirror of Debian {' or '.join(HERE)} in /etc/apt; the lane takes the mirrors of this machine")
    if not KEYS.exists():
        raise Failed(f"there is no {KEYS}: apt-get install debian-archive-keyring")
    return "".join(f"deb [signed-by={KEYS}] {place} {suite} main\n" for place in dict.fromkeys(found))


def places(stanza: str) -> list[str]:
    """The addresses of a deb822 stanza that holds a whole suite of Debian."""
    fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
    whole = set(fields.get("Suites", "").split()) & set(HERE)
    return fields.get("URIs", "").split() if whole and "deb" in fields.get("Types", "").split() else []


def _passed_on() -> list[str]:
    settings = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.rstrip(";") for line in settings if PASSED_ON.match(line) and not line.endswith('"";')]
