"""A recorded history as live readings: in time order across machines, at a steady rate, each one confirmed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from device.clock import Clock
from device.link import AGAIN
from device.messages import Link
from device.payload import REPAIRED
from device.stop import Stop
from device.topics import Template
from edge.bundle import Bundle
from edge.errors import DataError, LinkError
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Reader, Record
from edge.readers.cells import ABSENT
from edge.registry import suggest
from edge.spec import DataSpec, MqttSpec, load_project
from edge.talk import note

REPAIR = orjson.dumps({"event": REPAIRED})

OUTSTANDING = 100
"""Readings on their way before the next one waits for the broker's receipt."""

IDLE_S = 0.5
"""How long to wait for the broker at one go."""

PLAIN = DataSpec(path="")
"""Columns of a history that comes without a project: `machine` and `ts`."""


@dataclass(frozen=True)
class Source:
    """How to read a history and where its readings go."""

    reader: Reader
    plan: Plan
    mqtt: MqttSpec


@dataclass(frozen=True)
class Replayed:
    """What was done: readings published and confirmed, of how many machines, in how many seconds."""

    readings: int
    machines: int
    seconds: float
    complete: bool


def source_of(project: Path | None, histories: Sequence[Path]) -> Source:
    """From a project file or a bundle; without one, a CSV whose columns beside `machine` and `ts` are the channels.

    Raises ProjectError, BundleError or DataError.
    """
    if project is None:
        return Source(READERS["csv"](), Plan.plain(PLAIN, numeric_columns(histories[0])), MqttSpec())
    spec = Bundle.open(project).manifest.project if project.suffix == ".edge" else load_project(project)
    return Source(READERS[spec.data.reader](), Plan.of(spec), spec.mqtt)


def numeric_columns(path: Path) -> tuple[str, ...]:
    """The columns of a CSV, beside `machine` and `ts`, whose first row holds a number or nothing. Raises DataError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            separator = max(",;\t|", key=head.count)
            header = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
            first = next(csv.reader(file, delimiter=separator), [])
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"`{path}` is not readable as CSV: {error}") from error
    columns = tuple(n for n, text in zip(header, first, strict=False) if n not in ("machine", "ts") and _number(text))
    if not columns:
        raise DataError(f"`{path}` has no column of numbers beside machine and ts; name its project with --project")
    return columns


def load(histories: Sequence[Path], source: Source, machines: Sequence[str] = ()) -> list[Record]:
    """The rows of all files in time order; equal times in the order of machines. `machines` picks some.

    Raises DataError for a file that cannot be read, a machine that is in none, or a name that no topic can carry.
    """
    found = assemble(source.reader, histories, source.plan, labelled=False)
    for line in found.notes:
        note(f"note: {line}")
    rows = [record for records in found.machines.values() for record in records]
    known = list(dict.fromkeys(row.machine for row in rows))
    for name in known:
        Template(source.mqtt.readings).check(name)
    for name in machines:
        if name not in known:
            raise DataError(f"no history has a machine `{name}`{suggest(name, known)}")
    if machines:
        rows = [row for row in rows if row.machine in machines]
    return sorted(rows, key=lambda row: row.ts)


def encode(record: Record, channels: Sequence[str]) -> bytes:
    """The message of one row; a missing value is null."""
    return orjson.dumps({"ts": record.ts, "values": dict(zip(channels, record.values, strict=True))})


def publish(
    records: Sequence[Record],
    source: Source,
    link: Link,
    clock: Clock,
    stop: Stop,
    rate: float,
    qos: int,
    advance: Callable[[int, str], None],
) -> Replayed:
    """Publish `rate` readings a second in all (0: as fast as the broker takes them) until done or `stop`.

    A machine that failed is then repaired: the control event follows its last reading, as it would in the plant. Waits
    for the broker's receipt of every message. Raises LinkError where the broker cannot be reached at the start; a
    connection that breaks later is made again.
    """
    topics, control = Template(source.mqtt.readings), Template(source.mqtt.control)
    _connect(link, stop)
    waiting: set[int] = set()
    seen: set[str] = set()
    events: set[int] = set()
    sent, told, said, started = 0, 0, "", clock.monotonic()

    def serve(seconds: float) -> None:
        nonlocal told, said
        link.poll(seconds)
        confirmed = link.confirmed()
        waiting.difference_update(confirmed)
        events.difference_update(confirmed)
        if link.error != said and not link.connected:
            advance(0, link.error)
        said = link.error
        done = sent - len(waiting)
        if done > told:
            advance(done - told, "")
            told = done

    for record in records:
        due = started + sent / rate if rate else started
        while not stop.requested and (len(waiting) >= OUTSTANDING or clock.monotonic() < due):
            serve(IDLE_S if len(waiting) >= OUTSTANDING else min(IDLE_S, due - clock.monotonic()))
        if stop.requested:
            break
        payload = encode(record, source.plan.channels)
        waiting.add(link.publish(topics.topic(record.machine), payload, qos))
        seen.add(record.machine)
        sent += 1
        if record.failed:
            events.add(link.publish(control.topic(record.machine), REPAIR, 1))
    while (waiting or events) and not stop.requested:
        serve(IDLE_S)
    done = sent - len(waiting)
    return Replayed(done, len(seen), round(clock.monotonic() - started, 3), done == len(records))


def _connect(link: Link, stop: Stop) -> None:
    while not link.connected and not stop.requested:
        link.poll(IDLE_S)
        if link.error and not link.connected:
            raise LinkError(f"{link.error.removesuffix(AGAIN)}; start it, or name another with --broker")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in ABSENT
    return True
