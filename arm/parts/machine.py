"""Boot an arm64 machine with systemd and walk through README's section on the Pi, literally; then try to break it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from arm.bundles import Made, bundles
from arm.cache import work
from arm.errors import Failed
from arm.shell import say, tail
from arm.vm import Cargo, boot
from arm.walked import split

GUEST = Path(__file__).parents[1] / "guest" / "proof.sh"
LIMIT = 2400
READINGS = 60

UNIT = """[Unit]
Description=Proof
After=multi-user.target mosquitto.service
[Service]
Type=exec
ExecStart=/opt/proof/proof.sh
[Install]
WantedBy=multi-user.target
"""


def main() -> str:
    """Run it; how many claims held. Raises Failed with the first that did not."""
    folder = work("machine")
    made = next(one for one in bundles() if one.family == "gru")
    found: list[str] = []

    def heard(line: str) -> bool:
        _, mark, claim = line.partition("PROOF ")
        if mark:
            say("machine", claim)
            found.append(claim)
        return claim.startswith("failed") or claim == "done" or "Kernel panic" in line

    said = boot(folder, _cargo(made), heard, LIMIT)
    shutil.rmtree(folder)
    if not found or found[-1] != "done":
        why = found[-1] if found else "it never reached the proof"
        raise Failed(f"the machine: {why}; it said last:\n{tail(chr(10).join(said), 80)}")
    return f"{sum(claim.startswith('ok') for claim in found)} claims held"


def _cargo(made: Made) -> Cargo:
    cargo = Cargo()
    cargo.text("etc/hostname", "pi\n")
    cargo.text("etc/hosts", "127.0.0.1 localhost pi\n")
    cargo.text("etc/fstab", "/dev/vda / ext4 defaults,noatime 0 1\n")
    cargo.text("etc/systemd/system/proof.service", UNIT)
    cargo.link("etc/systemd/system/multi-user.target.wants/proof.service", "../proof.service")
    cargo.bytes("opt/proof/proof.sh", GUEST.read_bytes(), 0o755)
    cargo.text("opt/proof/readme.sh", "".join(f"{command}\n" for command in split()[1]))
    cargo.text("opt/proof/before", f"{len(split()[0])}\n")
    cargo.text("opt/proof/readings.jsonl", _readings(made.history))
    cargo.bytes("home/pi/pump.edge", made.bundle.read_bytes())
    return cargo


def _readings(history: Path) -> str:
    """The first readings of the first machine, as the plant's gateway would send them, without a time of their own."""
    with history.open(encoding="utf-8") as file:
        rows = [row for _, row in zip(range(READINGS), csv.DictReader(file), strict=False)]
    aside = ("machine", "ts", "failed")
    messages = [{"values": {k: float(v) for k, v in row.items() if k not in aside and v}} for row in rows]
    return "".join(f"{json.dumps(message)}\n" for message in messages)
