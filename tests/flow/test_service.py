"""What a running daemon tells those who look after it: the service manager, `edge status`, the control topic."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from device.status_socket import StatusSocket
from edge.bundle import Bundle
from edge.cli import group
from edge.errors import CheckFailed, LinkError
from tests.support.broker import Broker, Listener, Served, wait_for
from tests.support.traffic import count, heard, messages, offline, stream

HEALTH, STATUS = "plant/+/health", "edge/tiny/device-under-test/status"

Serve = Callable[..., Served]
Listen = Callable[..., Listener]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the daemon and those who ask it meet."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "tiny"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path / "tiny"


def ask(*words: str) -> tuple[int, dict[str, Any]]:
    """`edge status --json`: its exit status and the daemon's answer."""
    said = CliRunner().invoke(group, ["status", *words, "--json"], standalone_mode=False)
    assert said.exception is None or isinstance(said.exception, CheckFailed | LinkError), said.exception
    services = json.loads(said.stdout)["services"]
    return getattr(said.exception, "exit_code", 0), services[0] if services else {}


def test_status_tells_healthy_from_not_and_from_not_running(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve, runtime: Path
) -> None:
    assert ask() == (4, {})
    daemon = serve(bundle.path, broker).ready()
    wait_for("health", lambda: ask()[0] == 0)
    listener = listen(HEALTH)
    listener.publish(messages(stream(2, 5)))
    wait_for("all predictions", lambda: count(heard(listener)) >= 10)
    code, said = ask("tiny")
    assert (code, said["readings"], said["predictions"], said["machines"]) == (0, 10, 10, 2)
    assert ask("another")[0] == 4
    broker.stop()
    wait_for("the broker's absence", lambda: ask()[0] == 1)
    assert "the broker at 127.0.0.1" in ask()[1]["reasons"][0]
    broker.start()
    wait_for("health", lambda: ask()[0] == 0)
    daemon.kill()
    assert ask()[0] == 4  # although its socket still lies there
    assert (runtime / "status.sock").exists()


def test_a_hung_daemon_does_not_answer_that_it_is_healthy(
    bundle: Bundle, broker: Broker, serve: Serve, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.status_socket.ASK_S", 0.5)
    daemon = serve(bundle.path, broker).ready()
    wait_for("health", lambda: ask()[0] == 0)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    code, said = ask()
    assert (code, said["state"]) == (1, "silent")
    os.kill(daemon.process.pid, signal.SIGCONT)
    wait_for("health", lambda: ask()[0] == 0)
    assert daemon.stop() == 0
    assert not (runtime / "status.sock").exists()


def test_silence_is_a_fault_where_the_settings_say_so(
    bundle: Bundle, broker: Broker, serve: Serve, runtime: Path, tmp_path: Path
) -> None:
    config = tmp_path / "device.toml"
    config.write_text("silence_s = 0.2\n")
    serve(bundle.path, broker, "--config", str(config)).ready()
    wait_for("a complaint", lambda: ask()[0] == 1)
    assert "no reading for" in ask()[1]["reasons"][0]


def test_a_service_is_found_by_its_name_in_a_container_too(
    bundle: Bundle, broker: Broker, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "edge"))
    serve(bundle.path, broker).ready()
    wait_for("health", lambda: ask("tiny")[0] == 0)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Says what a service manager has heard so far, from a daemon that must feed a watchdog of 0.8 s."""
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "800000")

        def look() -> list[str]:
            try:
                while True:
                    said.extend(listening.recv(4096).decode().splitlines())
            except BlockingIOError:
                return said

        yield look


def test_the_service_manager_hears_ready_before_the_broker_is_there_and_then_progress(
    bundle: Bundle, make_broker: Callable[..., Broker], serve: Serve, manager: Callable[[], list[str]]
) -> None:
    broker = make_broker()
    daemon = serve(bundle.path, broker)
    wait_for("progress", lambda: manager().count("WATCHDOG=1") >= 3)
    assert manager()[0] == "READY=1"
    wait_for("a status", lambda: any("cannot be reached" in line for line in manager()))
    broker.start()
    daemon.ready()
    wait_for("a status", lambda: any(line.startswith("STATUS=healthy") for line in manager()))
    assert daemon.stop() == 0
    assert "STOPPING=1" in manager()
    assert "WATCHDOG=1" not in manager()[manager().index("STOPPING=1") :]


def test_a_bundle_that_computes_otherwise_is_never_ready(
    bundle: Bundle, broker: Broker, serve: Serve, manager: Callable[[], list[str]], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.edge"
    damaged.write_bytes(bundle.path.read_bytes()[:-9])
    assert serve(damaged, broker).process.wait(60) == 3
    assert manager() == []


def test_a_service_asks_a_broker_that_refuses_it_again(
    bundle: Bundle, make_broker: Callable[..., Broker], serve: Serve, runtime: Path, tmp_path: Path
) -> None:
    broker = make_broker(("robin", "secret")).start()
    config = tmp_path / "device.toml"
    config.write_text("[broker]\nreconnect_max_s = 0.1\n")
    url = f"mqtt://robin@127.0.0.1:{broker.port}"
    daemon = serve(
        bundle.path,
        broker,
        "--broker",
        url,
        "--keep-trying",
        "--config",
        str(config),
        env={"EDGE_MQTT_PASSWORD": "wrong"},
    )
    wait_for("the refusal", lambda: "refuses user `robin`" in " ".join(ask()[1].get("reasons", [])))
    assert len(daemon.lines("refuses user")) == 1
    assert daemon.process.poll() is None


def test_a_repair_is_counted_said_and_survives_a_restart(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    listener = listen(HEALTH, STATUS)
    daemon = serve(bundle.path, broker).ready()
    listener.publish(messages(stream(1, 10)))
    wait_for("predictions", lambda: count(heard(listener)) >= 10)
    control = "plant/m00/control"
    wrong = [(control, b'{"event": "replaced"}'), (control, b"repaired"), (control, b"[]")]
    listener.publish([*wrong, (control, b'{"event": "repaired"}')])
    wait_for("the repair", lambda: daemon.lines("m00: repaired, starts anew"))
    listener.publish([("plant/other/telemetry", b"[1, 2, 3]")])  # whatever comes later is committed later
    wait_for("a later commit", lambda: count(heard(listener)) >= 11)
    assert daemon.stop() == 0
    wait_for("the last word", lambda: listener.state() == "stopped")
    last = listener.statuses()[-1]
    assert (last["events"], last["rejected"]) == (1, {"payload": 3})
    assert daemon.lines('holds \'replaced\' as its event; known: {"event": "repaired"}')
    daemon = serve(bundle.path, broker).ready()
    listener.publish([("plant/m00/telemetry", b'{"ts": 5, "values": [1, 2, 3]}')])
    wait_for("the prediction", lambda: len(heard(listener)["m00"]) >= 11)
    first = orjson.loads(heard(listener)["m00"][-1])
    assert (first["warm"], first["seq"], first["gap_s"]) == (False, 11, None)
    daemon.kill()


def test_a_states_file_that_somebody_removed_is_written_anew(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    sent = stream(5, 30)
    listener = listen(HEALTH)
    daemon = serve(bundle.path, broker).ready()
    listener.publish(messages(sent[:50]))
    wait_for("predictions", lambda: count(heard(listener)) >= 50)
    for path in daemon.store.iterdir():
        path.unlink()
    listener.publish(messages(sent[50:55]))
    wait_for("a line", lambda: daemon.lines("the states' file was not there"))
    listener.publish(messages(sent[55:100]))
    wait_for("predictions", lambda: count(heard(listener)) >= 100)
    daemon.kill()
    serve(bundle.path, broker).ready()
    listener.publish(messages(sent[100:]))
    wait_for("predictions", lambda: count(heard(listener)) >= len(sent))
    want = offline(bundle, sent)
    wait_for("all of them", lambda: {k: list(dict.fromkeys(v)) for k, v in heard(listener).items()} == want)


@pytest.mark.parametrize(
    ("answer", "said"), [(b"hello", "gives no status"), (b'{"healthy": true}', "does not say its project; restart")]
)
def test_an_answer_that_is_not_a_status_of_this_version_is_said_so(tmp_path: Path, answer: bytes, said: str) -> None:
    listening = StatusSocket(tmp_path / "s")
    found: list[BaseException | None] = []
    words = ["status", "--socket", str(tmp_path / "s")]
    asker = threading.Thread(
        target=lambda: found.append(CliRunner().invoke(group, words, standalone_mode=False).exception)
    )
    asker.start()
    while not found:
        listening.serve(lambda: answer)
    asker.join()
    listening.close()
    assert isinstance(found[0], LinkError) and said in str(found[0])
