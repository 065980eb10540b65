"""A real mosquitto on a free port of this machine, and a plain client that listens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_S = 60.0
"""How long a test waits for what must happen before it calls it missing; no test measures time."""

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(what: str, holds: Callable[[], object]) -> None:
    """Wait until `holds()`; fail naming `what` if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.01)


class Broker:
    """One mosquitto with its own configuration; `stop` and `start` as a restart would, sessions kept on disk."""

    def __init__(self, folder: Path, password: tuple[str, str] | None = None, tls: Sequence[str] = ()) -> None:
        """`tls` are the lines of a second listener, which speaks TLS only."""
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            "set_tcp_nodelay true",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        if password is None:
            lines.append("allow_anonymous true")
        else:
            file = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), *password], check=True, capture_output=True)
            lines += ["allow_anonymous false", f"password_file {file}"]
        self.tls_port = free_port()
        if tls:
            lines += [f"listener {self.tls_port} 127.0.0.1", "set_tcp_nodelay true", *tls]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> Broker:
        command = [_mosquitto() or "mosquitto", "-c", str(self._config)]
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        wait_for("mosquitto", self._answers)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Listener:
    """Subscribes and remembers; publishes with QoS 1 and waits until the broker has it all."""

    def __init__(self, broker: Broker, *filters: str, user: str = "", password: str | None = None) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._filters = [(f, 1) for f in filters]
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(100)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_socket_open = self._no_delay
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, m: self.messages.append((m.topic, bytes(m.payload), m.retain))
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _no_delay(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _subscribe(self, *_: object) -> None:
        if self._filters:
            self._client.subscribe(self._filters)
        else:
            self._ready.set()

    def publish(self, messages: list[tuple[str, bytes]], qos: int = 1) -> None:
        sent = [self._client.publish(topic, payload, qos) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(PATIENCE_S)

    def payloads(self, topic_end: str) -> list[bytes]:
        return [payload for topic, payload, _ in self.messages if topic.endswith(topic_end)]

    def statuses(self) -> list[dict[str, object]]:
        return [orjson.loads(p) for p in self.payloads("/status")]

    def state(self) -> object:
        statuses = self.statuses()
        return statuses[-1]["state"] if statuses else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Served:
    """An `edge run` of its own process; its log is in `log`."""

    def __init__(
        self, folder: Path, bundle: Path, broker: Broker, *options: str, env: dict[str, str] | None = None
    ) -> None:
        self.store = folder / "store"
        self._log = folder / "edge-run.log"
        command = [sys.executable, "-c", "from edge.cli import main; main()", "run", str(bundle)]
        command += ["--broker", broker.url, "--store", str(self.store), "--client-id", "device-under-test", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def lines(self, text: str) -> list[str]:
        return [line for line in self.log.splitlines() if text in line]

    def ready(self) -> Served:
        wait_for(f"the daemon to connect; its log:\n{self.log}", lambda: self.lines("connected;") or self._gone())
        return self

    def _gone(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the daemon ended with {self.process.returncode}:\n{self.log}")
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Makes brokers that end with the test."""
    if _mosquitto() is None:
        pytest.skip("mosquitto is not installed, so nothing about a real broker was checked; apt-get install mosquitto")
    made: list[Broker] = []

    def make(password: tuple[str, str] | None = None, tls: Sequence[str] = ()) -> Broker:
        folder = tmp_path / f"broker-{len(made)}"
        folder.mkdir()
        made.append(Broker(folder, password, tls))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A broker that is up and lets everyone in."""
    return make_broker().start()


@pytest.fixture
def listen(broker: Broker) -> Iterator[Callable[..., Listener]]:
    """Makes listeners at `broker` that end with the test."""
    made: list[Listener] = []

    def make(*filters: str) -> Listener:
        made.append(Listener(broker, *filters))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts daemons that end with the test."""
    made: list[Served] = []

    def make(bundle: Path, broker: Broker, *options: str, env: dict[str, str] | None = None) -> Served:
        made.append(Served(tmp_path, bundle, broker, *options, env=env))
        return made[-1]

    yield make
    for served in made:
        if served.process.poll() is None:
            served.kill()
