"""Claims about the demo as a whole: it reaches its end, with either broker, and leaves nothing running."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from edge.bundle import Bundle
from edge.demo.closing import render
from edge.demo.road import Demo, Shown, walk

LIMIT_S = 100.0


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown, str]:
    """A demo in small, with whatever broker there is: folder, result, and what it said."""
    folder = tmp_path_factory.mktemp("walked") / "demo"
    console = Console(file=io.StringIO(), width=100)
    shown = walk(Demo(folder, machines=12, unseen=2, seconds=2, epochs=2), console)
    assert isinstance(console.file, io.StringIO)
    return folder, shown, console.file.getvalue()


def test_every_reading_of_every_unseen_machine_is_answered(walked: tuple[Path, Shown, str]) -> None:
    folder, shown, _ = walked
    assert [v.machine for v in shown.verdicts] == ["pump-013", "pump-014"]
    rows = sum(len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in (folder / "unseen").glob("*.csv"))
    assert shown.readings == rows == sum(v.life for v in shown.verdicts)


def test_it_leaves_everything_in_its_folder(walked: tuple[Path, Shown, str]) -> None:
    folder, shown, _ = walked
    assert Bundle.open(folder / "pumps.edge").manifest.project.name == "pumps"
    assert (folder / "health.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((folder / "history").glob("*.csv"))) == 12
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["readings"] == shown.readings
    told = map(json.loads, (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines())
    assert [one["seq"] for one in told if one["machine"] == "pump-013"] == [*range(1, shown.verdicts[0].life + 1)]


def test_every_stage_names_its_command(walked: tuple[Path, Shown, str]) -> None:
    said = walked[2]
    for verb in ("train", "convert", "verify", "profile", "run", "replay"):
        assert f"$ edge {verb} " in said


def test_the_last_words_name_lead_misses_false_alarms_and_latency(walked: tuple[Path, Shown, str]) -> None:
    folder, shown, _ = walked
    words = render(shown, folder)
    for word in ("Warned before", "Missed", "False alarms", "float32", "dynamic-int8", "Deploy", "health.png"):
        assert word in words


EMBEDDED = """
import sys
from pathlib import Path
from rich.console import Console
from edge.demo import road
road.find_mosquitto = lambda: None
road.walk(road.Demo(Path("demo"), machines=12, unseen=2, seconds=20, epochs=1), Console(stderr=True))
"""


def test_interrupted_while_the_embedded_broker_serves_it_leaves_nothing_running(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with heard.open("wb") as file:
        demo = subprocess.Popen([sys.executable, "-P", "-c", EMBEDDED], cwd=tmp_path, stderr=file, stdout=file)
    until = time.monotonic() + LIMIT_S
    while b"readings answered" not in heard.read_bytes() and time.monotonic() < until:
        assert demo.poll() is None, heard.read_text(encoding="utf-8")
        time.sleep(0.1)
    assert b"amqtt, embedded" in heard.read_bytes()
    children = _children(demo.pid)
    assert len(children) == 3  # broker, daemon and replay
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) != 0
    assert not [pid for pid in children if _runs(pid)]


def _children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    return [int(pid) for pid in listed.split()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
