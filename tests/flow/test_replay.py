"""A history is published whole, in time order across machines, and arrives at the daemon as live readings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from edge.bundle import Bundle
from edge.cli import group
from tests.support.broker import ROOT, Broker, Listener, Served, wait_for
from tests.support.tiny import CHANNELS, readings

TELEMETRY = "plant/+/telemetry"


def history(path: Path, machines: int = 3, rows: int = 20) -> Path:
    """One machine after the other, as a history usually is, with a hole in the last channel of each."""
    lines = [",".join(("machine", "ts", *CHANNELS, "failed"))]
    for i in range(machines):
        for t, row in enumerate(readings(rows, seed=i).tolist()):
            cells = [f"{value:.4f}" for value in row]
            cells[-1] = "" if t == 5 else cells[-1]
            lines.append(",".join([f"m{i}", str(100 + t), *cells, "false"]))
    path.write_text("\n".join(lines) + "\n")
    return path


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from edge.cli import main; main()", "replay", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def replay(*arguments: str) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("with_bundle", [False, True])
def test_every_row_arrives_in_time_order(
    bundle: Bundle, broker: Broker, listen: Callable[..., Listener], tmp_path: Path, with_bundle: bool
) -> None:
    listener = listen(TELEMETRY)
    file = history(tmp_path / "h.csv")
    extra = ["--project", str(bundle.path)] if with_bundle else []
    status, out, err = replay(str(file), "--broker", broker.url, "--rate", "0", "--json", *extra)
    assert status == 0, err
    assert (orjson.loads(out)["readings"], orjson.loads(out)["machines"]) == (60, 3)
    wait_for("all readings", lambda: len(listener.messages) == 60)
    got = [(orjson.loads(payload)["ts"], topic.split("/")[1]) for topic, payload, _ in listener.messages]
    assert got == sorted(got)
    values = [orjson.loads(payload)["values"] for _, payload, _ in listener.messages]
    assert set(values[0]) == set(CHANNELS)
    assert [v[CHANNELS[-1]] for v in values].count(None) == 3


def test_one_machine_may_be_picked_and_an_unknown_one_is_named(
    broker: Broker, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listener = listen(TELEMETRY)
    file = str(history(tmp_path / "h.csv"))
    assert replay(file, "--broker", broker.url, "--machine", "m1", "--qos", "0")[0] == 0
    wait_for("its readings", lambda: len(listener.messages) == 20)
    status, _, err = replay(file, "--broker", broker.url, "--machine", "m9")
    assert status == 3
    assert "no history has a machine `m9`" in err


def test_an_absent_broker_is_one_line_and_status_four(make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    status, _, err = replay(str(history(tmp_path / "h.csv")), "--broker", make_broker().url)
    assert status == 4
    assert "cannot be reached" in err
    assert "start it, or name another with --broker" in err and "trying again" not in err
    assert len(err.strip().splitlines()) == 1


def test_interrupted_it_says_what_was_done(broker: Broker, listen: Callable[..., Listener], tmp_path: Path) -> None:
    listener = listen(TELEMETRY)
    process = start(str(history(tmp_path / "h.csv")), "--broker", broker.url, "--rate", "5")
    wait_for("the first reading", lambda: listener.messages)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "readings of" in out
    assert "Traceback" not in err


def test_replayed_readings_are_predicted(
    bundle: Bundle, broker: Broker, listen: Callable[..., Listener], serve: Callable[..., Served], tmp_path: Path
) -> None:
    listener = listen("plant/+/health")
    serve(bundle.path, broker).ready()
    project = ["--project", str(bundle.path)]
    assert replay(str(history(tmp_path / "h.csv")), "--broker", broker.url, "--rate", "0", *project)[0] == 0
    wait_for("all predictions", lambda: len(listener.messages) == 60)


@pytest.mark.parametrize("name", ["p/1", "p+1", "#", "a\tb"])
def test_a_machine_that_no_topic_can_carry_is_named(tmp_path: Path, name: str) -> None:
    file = history(tmp_path / "h.csv", machines=1)
    file.write_text(file.read_text().replace("m0", name))
    status, _, err = replay(str(file), "--broker", "127.0.0.1:1")
    assert status == 3
    assert f"a machine called {name!r} has no topic" in err


def test_behind_a_failure_the_machine_is_repaired(
    bundle: Bundle, broker: Broker, listen: Callable[..., Listener], serve: Callable[..., Served], tmp_path: Path
) -> None:
    listener = listen("plant/+/health")
    serve(bundle.path, broker).ready()
    file = tmp_path / "h.csv"
    rows = [[f"{value:.4f}" for value in row] for row in readings(6, seed=1).tolist()]
    lines = [",".join(["m", str(t), *rows[t % 6], str(t == 5)]) for t in range(12)]
    file.write_text("\n".join([",".join(("machine", "ts", *CHANNELS, "failed")), *lines]) + "\n")
    project = project_file(tmp_path, failure="failed")
    assert replay(str(file), "--broker", broker.url, "--rate", "0", "--project", str(project))[0] == 0
    wait_for("all predictions", lambda: len(listener.messages) == 12)
    told = [orjson.loads(payload) for _, payload, _ in listener.messages]
    assert [one["rul"] for one in told[6:]] == [one["rul"] for one in told[:6]]
    assert [one["seq"] for one in told] == list(range(1, 13))


def test_fifty_machines_get_byte_for_byte_what_score_says(
    bundle: Bundle, broker: Broker, listen: Callable[..., Listener], serve: Callable[..., Served], tmp_path: Path
) -> None:
    listener = listen("plant/+/health")
    serve(bundle.path, broker).ready()
    file, project = str(history(tmp_path / "h.csv", machines=50)), ["--project", str(bundle.path)]
    assert replay(file, "--broker", broker.url, "--rate", "0", "--qos", "1", *project)[0] == 0
    wait_for("all predictions", lambda: len(listener.messages) == 1000)
    told: dict[str, list[bytes]] = {}
    for topic, payload, _ in listener.messages:
        told.setdefault(topic.split("/")[1], []).append(payload)
    scored = CliRunner().invoke(group, ["score", str(bundle.path), file, "--json"])
    lines = scored.stdout.encode().splitlines()
    assert [line for machine in sorted(told, key=lambda name: int(name[1:])) for line in told[machine]] == lines


def test_a_history_without_numbers_is_named(tmp_path: Path) -> None:
    file = tmp_path / "h.csv"
    file.write_text("machine,ts,comment\nm,1,fine\n")
    status, _, err = replay(str(file), "--broker", "127.0.0.1:1")
    assert status == 3
    assert "has no column of numbers beside machine and ts" in err


def project_file(folder: Path, failure: str) -> Path:
    """The tiny bundle's project as a file, with a failure column."""
    signals = "\n".join(f"{name} = {{}}" for name in CHANNELS)
    path = folder / "tiny.toml"
    path.write_text(
        f'[project]\nname = "tiny"\n[data]\npath = "h.csv"\nfailure = "{failure}"\n[signals]\n{signals}\n'
        '[task]\nkind = "rul"\n'
    )
    return path


@pytest.mark.parametrize("rate", ["nan", "inf", "-1"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: str) -> None:
    status, _, err = replay(str(history(tmp_path / "h.csv")), "--rate", rate)
    assert (status, "--rate" in err) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_score_that_is_ended_leaves_nothing_behind(bundle: Bundle, tmp_path: Path, number: signal.Signals) -> None:
    file = history(tmp_path / "h.csv", machines=5, rows=20_000)
    command = [sys.executable, "-c", "from edge.cli import main; main()", "score", str(bundle.path), str(file)]
    folder = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "-o", str(folder / "scores.csv")], env=environment)
    wait_for("the file written aside", lambda: folder.exists() and list(folder.iterdir()))
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert list(folder.iterdir()) == []


def test_a_history_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, _, err = replay(str(tmp_path / "none.csv"))
    assert status == 3
    assert err.strip() == f"edge: `{tmp_path / 'none.csv'}` cannot be read: No such file or directory"
