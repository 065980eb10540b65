"""The unit as systemd itself judges it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from device.layout import EXECUTABLE, TEMPLATE, unit_text

EXPOSURE = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here, so the unit was not judged"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, running something that exists here."""
    path = tmp_path / TEMPLATE
    path.write_text(unit_text(Path(sys.executable)))
    return path


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_systemd_finds_no_fault_with_the_unit(unit: Path) -> None:
    said = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert (said.returncode, said.stderr) == (0, "")


@needs_systemd
def test_its_exposure_is_what_we_promise(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--no-pager", unit)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert level is not None, said
    assert float(level[1]) <= EXPOSURE


def test_the_executable_is_written_as_systemd_reads_it() -> None:
    text = unit_text(Path("/srv/my 100% edge/bin/edge"))
    assert "ExecStart=/srv/my\\x20100%%\\x20edge/bin/edge run " in text
    assert EXECUTABLE not in text


def test_nothing_feeds_the_watchdog_but_the_loop() -> None:
    root = Path(__file__).parents[2]
    feeders = [p.name for p in (root / "device").glob("*.py") if ".progress(self._now)" in p.read_text()]
    threads = [p.name for p in (root / "device").glob("*.py") if "threading" in p.read_text()]
    assert (feeders, threads) == (["daemon.py"], [])
