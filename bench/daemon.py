"""The daemon against a bare echo: CPU a reading, latency and memory, both alive in one run and loaded in turns.

The echo is the least a Python program on MQTT can do: paho-mqtt with `loop_forever`, publishing each payload back
unread. It gets everything the daemon gets: protocol 3.1.1, the same quality of service in both directions, TCP_NODELAY
on its side and on the broker's, room for as many messages in flight, the same payloads at the same pace. Load goes to
one for a few seconds, then to the other, and again, so that whatever else the machine does hits both. CPU is the
kernel's count of time on a processor (`/proc/PID/task/*/schedstat`), latency from the generator's send to its receipt.

    python bench/daemon.py fd001.edge --rate 1000 --machines 50
    python bench/daemon.py                    # makes a bundle first: GRU-64 on a simulated fleet, which is as fast

Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.clock import SystemClock
from device.link import INFLIGHT, MqttLink
from device.settings import BrokerSettings
from device.stream import rows
from edge.bundle import Bundle
from edge.errors import LinkError
from edge.spec import load_project
from edge.table import render

BARS = {"cpu_us": 60.0, "p50_ms": 0.3, "resident_mb": 64.0}
"""Above the echo: CPU a reading and median latency; in all: memory."""

SETTLE_S = 1.0
PATIENCE_S = 30.0

RUN = "from edge.cli import main; main()"


@dataclass
class Party:
    """One of the two programs under load, and what was measured of it."""

    name: str
    process: subprocess.Popen[bytes]
    to: str
    readings: int = 0
    answers: int = 0
    cpu_ns: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def on_cpu(self) -> int:
        """Nanoseconds its process has spent on a processor, all threads together."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)

    def resident_mb(self) -> float:
        """Its memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True)
class Result:
    """The figures of one party."""

    name: str
    readings: int
    missing: int
    cpu_us: float
    p50_ms: float
    p99_ms: float
    resident_mb: float


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option("--rate", default=1000.0, show_default=True, help="Readings a second in all.")
@click.option("--machines", default=50, show_default=True)
@click.option("--seconds", default=3.0, show_default=True, help="Length of one turn.")
@click.option("--turns", default=5, show_default=True, help="Turns of each.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(bundle: Path | None, rate: float, machines: int, seconds: float, turns: int, as_json: bool) -> None:
    """Measure the daemon serving BUNDLE against the echo."""
    with tempfile.TemporaryDirectory() as folder:
        opened = Bundle.open(bundle) if bundle is not None else _made(Path(folder))
        results = run(opened, rate, machines, seconds, turns)
    echo, daemon = results
    verdict = {
        "cpu_us": daemon.cpu_us - echo.cpu_us <= BARS["cpu_us"],
        "p50_ms": daemon.p50_ms - echo.p50_ms <= BARS["p50_ms"],
        "resident_mb": daemon.resident_mb <= BARS["resident_mb"],
        "missing": daemon.missing == 0,
    }
    if as_json:
        click.echo(json.dumps({"results": [asdict(r) for r in results], "bars": BARS, "ok": verdict}, indent=1))
        sys.exit(not all(verdict.values()))
    header = ["", "readings", "missing", "CPU µs a reading", "p50 ms", "p99 ms", "MiB"]
    cells = [
        [r.name, r.readings, r.missing, f"{r.cpu_us:.1f}", f"{r.p50_ms:.3f}", f"{r.p99_ms:.3f}", f"{r.resident_mb:.1f}"]
        for r in results
    ]
    click.echo(render(header, cells))
    click.echo(
        f"\nabove the echo: {daemon.cpu_us - echo.cpu_us:+.1f} µs CPU (bar {BARS['cpu_us']:g}), "
        f"{daemon.p50_ms - echo.p50_ms:+.3f} ms p50 (bar {BARS['p50_ms']:g}); "
        f"{daemon.resident_mb:.1f} MiB (bar {BARS['resident_mb']:g}): {'ok' if all(verdict.values()) else 'NOT MET'}"
    )
    sys.exit(not all(verdict.values()))


def _made(folder: Path) -> Bundle:
    """A bundle as wide as the bars ask, fitted just enough to be converted."""
    from convert.pack import convert
    from train.data.simulate import Fleet, project_text, simulate, write_histories
    from train.pipeline import train_run

    write_histories(folder / "history", simulate(Fleet(machines=12)))
    project = folder / "pumps.toml"
    project.write_text(project_text(test=None), encoding="utf-8")
    run = train_run(load_project(project, ["model.hidden=64", "train.epochs=3"]), folder / "run")
    return convert(run, folder / "pumps.edge")


def run(bundle: Bundle, rate: float, machines: int, seconds: float, turns: int) -> tuple[Result, Result]:
    """Start everything, load both in turns, and stop everything."""
    clock = SystemClock()
    spec = bundle.manifest.project.mqtt
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = _broker(stack, folder)
        url = f"mqtt://127.0.0.1:{port}"
        here = [sys.executable, str(Path(__file__).resolve()), "--echo", str(port), str(spec.qos)]
        served = [sys.executable, "-c", RUN, "run", str(bundle.path), "--broker", url, "--store", str(folder)]
        echo = Party("echo", _start(stack, here, folder), "echo/{machine}/in")
        daemon = Party("daemon", _start(stack, served, folder), spec.readings)
        answers = [("echo/+/out", spec.qos), (spec.predictions.replace("{machine}", "+"), spec.qos)]
        link = MqttLink(BrokerSettings(port=port), "bench", None, answers, None, clock, keep_session=False)
        stack.callback(link.close)
        load = Load(link, bundle, machines, spec.qos)
        for party in (echo, daemon):
            load.until_served(party)
        for _ in range(turns):
            for party in (echo, daemon):
                load.turn(party, rate, seconds)
        return _result(echo), _result(daemon)


class Load:
    """Publishes readings at a steady rate, one machine after the other, and times the answers."""

    def __init__(self, link: MqttLink, bundle: Bundle, machines: int, qos: int) -> None:
        manifest = bundle.manifest
        stream = max(manifest.golden, key=lambda g: g.steps)
        names = [channel.name for channel in manifest.channels]
        self._readings = [dict(zip(names, row, strict=True)) for row in rows(bundle.tensor(stream, "x"), len(names))]
        self._machines = [f"m{i:03}" for i in range(machines)]
        self._link = link
        self._qos = qos
        self._sent: dict[float, float] = {}
        self._number = 0

    def until_served(self, party: Party) -> None:
        """Send a reading now and then until one is answered."""
        deadline = time.monotonic() + PATIENCE_S
        while not party.answers:
            if time.monotonic() > deadline or party.process.poll() is not None:
                raise LinkError(f"the {party.name} does not answer")
            self._send(party)
            self._receive(party, time.monotonic() + 0.1)
        party.latencies_ms.clear()
        party.answers = party.readings = 0

    def turn(self, party: Party, rate: float, seconds: float) -> None:
        """Load one party for some seconds, then wait until it has answered everything."""
        before, started = party.on_cpu(), time.monotonic()
        count = int(rate * seconds)
        for i in range(count):
            self._receive(party, started + i / rate)
            self._send(party)
        deadline = time.monotonic() + PATIENCE_S
        while self._sent and time.monotonic() < deadline:
            self._receive(party, time.monotonic() + 0.05)
        self._sent.clear()
        party.cpu_ns += party.on_cpu() - before
        self._receive(party, time.monotonic() + SETTLE_S)

    def _send(self, party: Party) -> None:
        self._number += 1
        machine = self._machines[self._number % len(self._machines)]
        ts = 1.7e9 + self._number / 1024  # exact in a double, so that the answer carries the same number
        payload = orjson.dumps({"ts": ts, "values": self._readings[self._number % len(self._readings)]})
        self._sent[ts] = time.perf_counter()
        self._link.publish(party.to.replace("{machine}", machine), payload, self._qos)
        party.readings += 1

    def _receive(self, party: Party, until: float) -> None:
        while True:
            left = until - time.monotonic()
            messages = self._link.poll(max(0.0, left))
            now = time.perf_counter()
            self._link.confirmed()
            for message in messages:
                sent = self._sent.pop(orjson.loads(message.payload)["ts"], None)
                if sent is not None:
                    party.answers += 1
                    party.latencies_ms.append((now - sent) * 1000)
            self._link.acknowledge(messages)
            if left <= 0:
                return


def _result(party: Party) -> Result:
    ordered = sorted(party.latencies_ms)
    return Result(
        party.name,
        party.readings,
        party.readings - party.answers,
        party.cpu_ns / 1000 / party.readings,
        ordered[len(ordered) // 2],
        ordered[len(ordered) * 99 // 100],
        party.resident_mb(),
    )


def _broker(stack: ExitStack, folder: Path) -> int:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise LinkError("mosquitto is not installed; apt-get install mosquitto")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n", encoding="ascii")
    _start(stack, [program, "-c", str(config)], folder)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return port
        time.sleep(0.05)
    raise LinkError("mosquitto does not start")


def _start(stack: ExitStack, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        process.wait()

    stack.callback(end)
    return process


def echo(port: int, qos: int) -> None:
    """The bare echo: what arrives at echo/X/in goes back to echo/X/out."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, "echo", clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
    )
    client.max_inflight_messages_set(INFLIGHT)

    def no_delay(_client: mqtt.Client, _data: object, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def subscribe(client: mqtt.Client, *_: object) -> None:
        client.subscribe("echo/+/in", qos)

    def answer(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        client.publish(message.topic[:-2] + "out", message.payload, qos)

    client.on_socket_open = no_delay
    client.on_connect = subscribe
    client.on_message = answer
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    start: Callable[[], object] = bench
    if sys.argv[1:2] == ["--echo"]:
        echo(int(sys.argv[2]), int(sys.argv[3]))
    else:
        start()
