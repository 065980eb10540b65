"""What this machine must have: root, Debian's tools for other processors, and a kernel that starts their programs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from arm.errors import Failed
from arm.shell import run, say

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-arm-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "arch-test": "arch-test",
    "qemu-system-aarch64": "qemu-system-arm",
    "mke2fs": "e2fsprogs",
    "buildah": "buildah",
    "unshare": "util-linux",
    "mosquitto": "mosquitto",
    "systemd-analyze": "systemd",
}
"""Program -> the Debian package it comes in."""

BINFMT = Path("/proc/sys/fs/binfmt_misc")
HANDLERS = ("qemu-aarch64", "qemu-arm")
SBIN = "/usr/sbin:/sbin:/usr/local/sbin"


def prepare() -> str:
    """Install what is missing and register the handlers; changes nothing where all is in place. Raises Failed."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    if os.geteuid() != 0:
        more = f" (it will install {', '.join(missing())})" if missing() else ""
        raise Failed(f"the lane builds file systems of other machines and enters them: run `sudo make arm`{more}")
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise Failed(f"the lane needs Linux on x86_64 or aarch64, this is {platform.system()} on {platform.machine()}")
    wanted = missing()
    if wanted:
        _install(wanted)
    if missing():
        raise Failed(f"still missing after their installation: {', '.join(missing())}")
    _mount()
    _register()
    return f"installed {', '.join(wanted)}" if wanted else "all in place"


def missing() -> list[str]:
    """The Debian packages that are not here."""
    return sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})


def _install(packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise Failed(f"this is no Debian; install what it calls {', '.join(packages)}, then run `make arm` again")
    say("tools", f"apt-get install {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    wait = ("-o", "DPkg::Lock::Timeout=300")
    run(["apt-get", *wait, "update", "-qq"], env=quiet)
    run(["apt-get", *wait, "install", "-qq", "-y", "--no-install-recommends", *packages], env=quiet)


def _mount() -> None:
    if not (BINFMT / "status").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT])


def _register() -> None:
    for handler in HANDLERS:
        if not (BINFMT / handler).exists():
            run(["update-binfmts", "--import", handler])
            run(["update-binfmts", "--enable", handler])
    for architecture in ("arm64", "armhf"):
        if subprocess.run(["arch-test", architecture], capture_output=True, check=False).returncode != 0:
            raise Failed(
                f"this kernel starts no {architecture} programs although {BINFMT} is mounted; "
                "`arch-test` and `update-binfmts --display` say more"
            )
