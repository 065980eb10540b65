"""The daemon on a Pi 4's processor, with a mosquitto of that processor: answers, dies in the middle, and goes on."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from arm.bundles import bundles
from arm.cache import work
from arm.cpus import PI4
from arm.enter import EDGE, Pi
from arm.errors import Failed
from arm.proofs import lay_out
from arm.roots import root
from arm.shell import end, log, say, tail
from arm.wheels import PLACES, site
from edge.bundle import Bundle

PATIENCE_S = 240.0
RATE = "40"
"""Readings a second: few enough that the kill falls into the middle."""


class Listener:
    """A client on this machine that remembers, for each machine of the plant, what was predicted, in order."""

    def __init__(self, port: int, topic: str) -> None:
        self.messages: list[bytes] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, message: self.messages.append(bytes(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._ready.wait(PATIENCE_S):
            raise Failed("mosquitto did not confirm a subscription")

    def distinct(self) -> list[bytes]:
        """Predictions without repetitions: at QoS 1 a process that dies may say its last ones again."""
        return list(dict.fromkeys(self.messages))

    def close(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()


def main() -> str:
    """All of it; one line. Raises Failed with the first claim that does not hold."""
    made = bundles()[0]
    folder = work("daemon")
    lay_out(folder, [made])
    pi = Pi(root("pi64"), PI4, site(PLACES["bookworm64"]), folder)
    wanted = pi.edge("score", made.bundle.name, made.history.name, "--json").splitlines()
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location /proof/\n"
        "set_tcp_nodelay true\nmax_queued_messages 0\n"
    )
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.append(pi.start(folder / "mosquitto.log", ("mosquitto", "-c", "/proof/mosquitto.conf")))
        wait("mosquitto", lambda: answers(port), folder / "mosquitto.log")
        topic = Bundle.open(made.bundle).manifest.project.mqtt.predictions.replace("{machine}", "+")
        listener = Listener(port, topic)
        said = folder / "run.log"
        url = f"mqtt://127.0.0.1:{port}"
        serve = (*EDGE, "run", made.bundle.name, "--broker", url, "--store", "/proof/store", "--client-id", "pi")
        running.append(pi.start(said, serve))
        wait("the daemon to connect", lambda: "connected;" in said.read_text(), said)
        publish = (*EDGE, "replay", made.history.name, "--broker", url, "--rate", RATE, "--project", made.bundle.name)
        running.append(pi.start(folder / "replay.log", publish))
        wait("a third of the predictions", lambda: len(listener.messages) > len(wanted) / 3, said)
        running[1].send_signal(signal.SIGKILL)
        running[1].wait()
        before = len(listener.distinct())
        say("daemon", f"killed after {before} of {len(wanted)} predictions")
        running[1] = pi.start(said, serve)
        wait("all predictions", lambda: len(listener.distinct()) >= len(wanted), said)
        time.sleep(1)  # whatever comes too much would come now
        found = [payload.decode() for payload in listener.distinct()]
        listener.close()
        compare(sorted(found), sorted(wanted))
        running[1].send_signal(signal.SIGTERM)
        if running[1].wait(PATIENCE_S) != 0:
            raise Failed(f"the daemon ended with status {running[1].returncode}:\n{tail(said.read_text())}")
    finally:
        for process in running:
            end(process)
        for path in folder.glob("*.log"):
            log(f"--- {path.name}\n{path.read_text()}")
    return f"{len(wanted)} predictions byte for byte those of `edge score`, killed after {before}, states survived"


def compare(found: list[str], wanted: list[str]) -> None:
    """Raises Failed with the first prediction of one that the other does not have."""
    if found != wanted:
        odd = next(iter(set(found) - set(wanted)), None)
        lost = next(iter(set(wanted) - set(found)), None)
        raise Failed(f"the daemon predicts {odd}\nwhere `edge score` predicts {lost} ({len(found)} and {len(wanted)})")


def wait(what: str, holds: Callable[[], object], said: Path) -> None:
    """Until `holds()`. Raises Failed naming `what`, with the end of a log, where that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain for {what}; {said.name}:\n{tail(said.read_text())}")
        time.sleep(0.1)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
