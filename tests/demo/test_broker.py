"""Claims about the demo's own broker and its child processes."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.demo.broker import HOST, Broker, broker, find_mosquitto
from edge.demo.children import Children, children
from edge.errors import LinkError

EMBEDDED = pytest.param(None, id="embedded")
MOSQUITTO = pytest.param(
    find_mosquitto(),
    id="mosquitto",
    marks=pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed: apt-get install mosquitto"),
)


def alive(pid: int) -> bool:
    """Whether the process still runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def refuses(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def echo(port: int) -> bytes:
    """A message through the broker and back, in protocol 3.1.1, which both brokers speak."""
    came: queue.Queue[bytes] = queue.Queue()

    def connected(client: Client, *_: Any) -> None:
        client.subscribe("plant/+/health", qos=1)

    def subscribed(client: Client, *_: Any) -> None:
        client.publish("plant/pump-1/health", b"well", qos=1)

    mqtt = Client(CallbackAPIVersion.VERSION2, client_id="echo", protocol=MQTTProtocolVersion.MQTTv311)
    mqtt.on_connect, mqtt.on_subscribe = connected, subscribed
    mqtt.on_message = lambda _client, _data, message: came.put(bytes(message.payload))
    mqtt.connect(HOST, port)
    mqtt.loop_start()
    try:
        return came.get(timeout=10)
    finally:
        mqtt.disconnect()
        mqtt.loop_stop()


@pytest.mark.parametrize("program", [EMBEDDED, MOSQUITTO])
def test_a_message_goes_through(program: str | None, tmp_path: Path) -> None:
    with children() as family, broker(family, tmp_path, program) as here:
        assert echo(here.port) == b"well"
    assert refuses(here.port)


@pytest.mark.parametrize("program", [EMBEDDED, MOSQUITTO])
def test_it_listens_on_the_loopback_only(program: str | None, tmp_path: Path) -> None:
    with children() as family, broker(family, tmp_path, program) as here:
        listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
        wanted = f"0100007F:{here.port:04X} 00000000:0000 0A"
        assert wanted in listening
        assert f"00000000:{here.port:04X} 00000000:0000 0A" not in listening


def test_an_error_in_the_block_ends_the_broker(tmp_path: Path) -> None:
    seen: list[Broker] = []

    def fail() -> None:
        with children() as family, broker(family, tmp_path, find_mosquitto()) as here:
            seen.append(here)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert refuses(seen[0].port)


def test_a_broker_that_does_not_start_is_a_clear_error(tmp_path: Path) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho no such luck\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(LinkError, match="no such luck"), children() as family, broker(family, tmp_path, str(program)):
        pass


PARENT = """
import sys, time
from edge.demo.children import children
with children() as family:
    print(family.start([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_child_outlives_a_signal(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-P", "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, number)
        parent.wait(20)
    assert not alive(child)
    assert parent.returncode != 0


def test_a_child_that_ignores_us_is_killed() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
    family = Children()
    child = family.start([sys.executable, "-c", stubborn])
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    began = time.monotonic()
    assert family.stop(child, patience_s=0.2) == -signal.SIGKILL
    assert time.monotonic() - began < 5
