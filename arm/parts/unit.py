"""The unit as systemd reads it, without a running systemd: verified, and its exposure measured."""

from __future__ import annotations

import re
import shutil

from arm.cache import CHECKOUT, work
from arm.errors import Failed
from arm.shell import run

UNIT = CHECKOUT / "device" / "units" / "edge@.service"
INSTANCE = "edge@pumps.service"
EXPOSURE = 1.5
"""The most that `systemd-analyze security` may say, of 10."""


def main() -> str:
    """Both; one line. Raises Failed with what systemd says."""
    folder = work("unit")
    # `verify` looks whether the program exists, which it does on the Pi only.
    program = folder / "edge"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / INSTANCE
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program}", text, flags=re.MULTILINE), encoding="utf-8")
    run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit])
    said = run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit])
    level = re.search(r"exposure level for \S+: ([\d.]+)", said)
    if level is None:
        raise Failed(f"systemd-analyze gives no exposure level:\n{said}")
    if not float(level[1]) <= EXPOSURE:
        raise Failed(f"the unit's exposure is {level[1]}, the bar is {EXPOSURE}")
    shutil.rmtree(folder)
    return f"verified; exposure {level[1]} (bar {EXPOSURE})"
