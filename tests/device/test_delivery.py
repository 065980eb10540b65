"""Killed at any moment, the daemon loses nothing: every reading's prediction is published, the same bytes each time."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import orjson
import pytest

from device.choose import open_backend
from device.daemon import Daemon, Topics
from device.health import Health
from device.payload import encode
from device.prediction import Prediction
from device.runtime import Runtime
from device.settings import DeviceSettings, StoreSettings
from device.status_socket import StatusSocket
from device.stop import Stop
from device.store import Store
from device.topics import Template
from edge.bundle import Bundle
from tests.support.scripted import Killed, MemoryBroker, ScriptedLink, SteppedClock
from tests.support.tiny import readings

TOPICS = Topics(Template("p/{machine}/in"), Template("p/{machine}/out"), Template("p/{machine}/control"), "status")
SETTINGS = DeviceSettings(store=StoreSettings(flush_readings=4, flush_s=0.0))


def sent(machines: int = 2, steps: int = 12) -> list[tuple[str, bytes]]:
    rows = {f"m{i}": readings(steps, seed=i).tolist() for i in range(machines)}
    return [
        (f"p/{name}/in", orjson.dumps({"ts": 10.0 + t, "values": rows[name][t]})) for t in range(steps) for name in rows
    ]


def offline(bundle: Bundle, messages: list[tuple[str, bytes]]) -> list[bytes]:
    runtime = Runtime(bundle, open_backend(bundle))
    said = []
    for topic, payload in messages:
        reading = orjson.loads(payload)
        answer = runtime.feed(topic.split("/")[1], reading["ts"], reading["values"])
        assert isinstance(answer, Prediction)
        said.append(encode(answer))
    return said


def live(
    bundle: Bundle, broker: MemoryBroker, folder: Path, link: ScriptedLink, settings: DeviceSettings = SETTINGS
) -> Health:
    """One life of the daemon: until everything is acknowledged, or it is killed."""
    clock = SteppedClock()
    log = logging.getLogger("test")
    health = Health({}, clock, log)
    store = Store.open(folder / "s.sqlite", bundle.manifest.model, clock.now(), 30)
    stop = Stop()
    try:
        runtime = Runtime(bundle, open_backend(bundle))
        daemon = Daemon(runtime, TOPICS, link, store, settings, clock, health, log)
        serving = link.poll

        def poll(timeout_s: float) -> list[object]:
            found = serving(timeout_s)
            clock.seconds += 0.1
            if not found and not broker.queue:
                stop.request()
            return list(found)

        link.poll = poll  # type: ignore[method-assign,assignment]
        daemon.run(stop)
    finally:
        store.close()  # as the operating system would: what was committed stays
        stop.close()
    return health


def predictions(broker: MemoryBroker) -> list[bytes]:
    return [payload for topic, payload in broker.published if topic.endswith("/out")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kill_at", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 17, 22, 31, 40, 46])
def test_killed_at_any_call_nothing_is_lost_and_no_byte_differs(
    bundle: Bundle, tmp_path: Path, kill_at: int, after: bool
) -> None:
    messages = sent()
    broker = MemoryBroker(messages)
    with pytest.raises(Killed):
        live(bundle, broker, tmp_path, ScriptedLink(broker, 3, kill_at, after))
    live(bundle, broker, tmp_path, ScriptedLink(broker, 5, None, after))
    assert list(dict.fromkeys(predictions(broker))) == offline(bundle, messages)
    assert not broker.queue


def test_what_was_never_confirmed_is_published_again_by_the_next_process(bundle: Bundle, tmp_path: Path) -> None:
    messages = sent(steps=4)
    broker = MemoryBroker(messages)
    deaf = ScriptedLink(broker, 3, 18, False, confirms=False)
    with pytest.raises(Killed):
        live(bundle, broker, tmp_path, deaf)
    broker.published.clear()  # the broker died too, and lost them
    live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False))
    assert list(dict.fromkeys(predictions(broker))) == offline(bundle, messages)


def test_a_confirmed_prediction_is_not_published_again(bundle: Bundle, tmp_path: Path) -> None:
    broker = MemoryBroker(sent(steps=3))
    live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False))
    broker.published.clear()
    broker.queue = [(1, "p/m0/in", b'{"ts": 100, "values": [1, 2, 3]}')]
    live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False))
    assert len(predictions(broker)) == 1


def test_readings_wait_at_the_broker_while_too_many_predictions_are_unconfirmed(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.delivery.UNCONFIRMED", 4)
    broker = MemoryBroker(sent(steps=6))
    deaf = ScriptedLink(broker, 3, 40, False, confirms=False)
    clock = SteppedClock()
    log = logging.getLogger("test")
    store = Store.open(tmp_path / "s.sqlite", bundle.manifest.model, 0, 30)
    runtime = Runtime(bundle, open_backend(bundle))
    daemon = Daemon(runtime, TOPICS, deaf, store, SETTINGS, clock, Health({}, clock, log), log)
    for _ in range(6):
        daemon._turn()
        clock.seconds += 1
    assert len(predictions(broker)) == 12
    assert len(broker.queue) >= 12 - 4
    store.close()


def test_a_full_disk_stops_no_prediction_and_shows_in_health(bundle: Bundle, tmp_path: Path) -> None:
    import resource
    import signal

    messages = sent(steps=10)
    broker = MemoryBroker(messages)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        Store.open(tmp_path / "s.sqlite", bundle.manifest.model, 0, 30).close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        health = live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert predictions(broker) == offline(bundle, messages)
    assert "states cannot be saved" in health.store_error
    assert not broker.queue


@pytest.mark.parametrize("full_from_the_start", [False, True])
def test_a_disk_that_has_room_again_gets_every_state(bundle: Bundle, tmp_path: Path, full_from_the_start: bool) -> None:
    import resource
    import signal

    messages = sent(steps=8)
    broker = MemoryBroker(messages[:8])
    clock, log = SteppedClock(), logging.getLogger("test")
    health = Health({}, clock, log)
    path = tmp_path / "s.sqlite"
    if not full_from_the_start:
        Store.open(path, bundle.manifest.model, 0, 30).close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        store = Store.open(path, bundle.manifest.model, 0, 30)
        runtime = Runtime(bundle, open_backend(bundle))
        link = ScriptedLink(broker, 8, None, False)
        daemon = Daemon(runtime, TOPICS, link, store, SETTINGS, clock, health, log)
        daemon._turn()
        assert health.complaints("", True, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    clock.seconds += 60
    broker.queue += [(100 + i, topic, payload) for i, (topic, payload) in enumerate(messages[8:9])]
    daemon._turn()
    clock.seconds += 1
    daemon._turn()
    assert health.complaints("", True, 0) == []
    store.close()
    again = Store.open(path, bundle.manifest.model, 0, 30)
    for machine, seq in {"m0": 5, "m1": 4}.items():
        saved = again.load(machine)
        assert saved is not None
        fresh = Runtime(bundle, open_backend(bundle))
        fresh.restore(machine, saved)
        assert fresh.machines[machine].seq == seq
    again.close()


@pytest.mark.parametrize(("synchronised", "allowed", "refused"), [(True, 3600, 1), (False, 3600, 0), (True, 0, 0)])
def test_a_reading_from_the_future_is_refused_where_the_clock_is_known_to_be_right(
    bundle: Bundle, tmp_path: Path, synchronised: bool, allowed: float, refused: int
) -> None:
    class Clock(SteppedClock):
        def synchronised(self) -> bool:
            return synchronised

    now = SteppedClock().now()
    dated = [(1, now), (2, now + 3599), (3, now + 9e7), (4, now + 3599.5)]
    broker = MemoryBroker([("p/m/in", orjson.dumps({"ts": ts, "values": [n, n, n]})) for n, ts in dated])
    clock, log = Clock(), logging.getLogger("test")
    health = Health({}, clock, log)
    store = Store.open(tmp_path / "s.sqlite", bundle.manifest.model, 0, 30)
    settings = DeviceSettings(store=SETTINGS.store, max_ahead_s=allowed)
    link = ScriptedLink(broker, 9, None, False)
    daemon = Daemon(Runtime(bundle, open_backend(bundle)), TOPICS, link, store, settings, clock, health, log)
    daemon._turn()
    store.close()
    assert dict(health.rejected) == ({"ahead": 1} if refused else {"late": 1})


def test_one_machine_too_many_is_refused_and_counted(bundle: Bundle, tmp_path: Path) -> None:
    broker = MemoryBroker(sent(machines=3, steps=2))
    small = DeviceSettings(store=SETTINGS.store, max_machines=2)
    health = live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False), small)
    assert (health.predictions, dict(health.rejected)) == (4, {"too_many_machines": 2})


def test_a_saved_state_that_is_damaged_costs_only_its_machine(bundle: Bundle, tmp_path: Path) -> None:
    messages = sent(steps=4)
    broker = MemoryBroker(messages[:4])
    live(bundle, broker, tmp_path, ScriptedLink(broker, 3, None, False))
    store = Store.open(tmp_path / "s.sqlite", bundle.manifest.model, 1.7e9, 30)
    store.commit(1.7e9, {"m0": b"rubbish"}, [], [])
    store.close()
    again = MemoryBroker(messages[4:])
    health = live(bundle, again, tmp_path, ScriptedLink(again, 3, None, False))
    sequences = [orjson.loads(p)["seq"] for p in predictions(again)]
    assert sequences == [1, 3, 2, 4]
    assert "m0: a saved state is damaged" in health.last_error


def test_an_unforeseen_error_costs_one_message_and_is_counted(bundle: Bundle, tmp_path: Path) -> None:
    class Odd(Runtime):
        def feed(self, machine: str, ts: float, values: object) -> object:  # type: ignore[override]
            if machine == "m1" and ts == 11.0:
                raise ZeroDivisionError("odd")
            return super().feed(machine, ts, values)  # type: ignore[arg-type]

    broker = MemoryBroker(sent(steps=4))
    clock, log, stop = SteppedClock(), logging.getLogger("test"), Stop()
    store = Store.open(tmp_path / "s.sqlite", bundle.manifest.model, 0, 30)
    link = ScriptedLink(broker, 3, None, False)
    health = Health({}, clock, log)
    daemon = Daemon(Odd(bundle, open_backend(bundle)), TOPICS, link, store, SETTINGS, clock, health, log)
    serving = link.poll

    def poll(timeout_s: float) -> list[object]:
        clock.seconds += 0.1
        found = serving(timeout_s)
        if not found and not broker.queue:
            stop.request()
        return list(found)

    link.poll = poll  # type: ignore[method-assign,assignment]
    daemon.run(stop)
    store.close()
    stop.close()
    assert (health.predictions, health.rejected["internal"]) == (7, 1)  # type: ignore[index]
    assert "ZeroDivisionError: odd" in health.last_error


def test_an_asker_who_wakes_an_idle_loop_is_answered_in_that_turn(bundle: Bundle, tmp_path: Path) -> None:
    clock, log = SteppedClock(), logging.getLogger("test")  # a clock that stands still: no other turn is due
    store = Store.open(tmp_path / "s.sqlite", bundle.manifest.model, clock.now(), 30)
    link, stop = ScriptedLink(MemoryBroker([]), 1, None, False), Stop()
    listening = StatusSocket(tmp_path / "status.sock")
    runtime, health = Runtime(bundle, open_backend(bundle)), Health({}, clock, log)
    daemon = Daemon(runtime, TOPICS, link, store, SETTINGS, clock, health, log, status_socket=listening)
    with socket.socket(socket.AF_UNIX) as asker:
        turns, answers = [], []

        def poll(_timeout_s: float) -> list[object]:
            turns.append(1)
            if len(turns) == 2:
                asker.connect(str(tmp_path / "status.sock"))
            if len(turns) == 3:
                stop.request()
                answers.append(asker.recv(10_000, socket.MSG_DONTWAIT))
            return []

        link.poll = poll  # type: ignore[method-assign,assignment]
        daemon.run(stop)
    assert [orjson.loads(answer)["state"] for answer in answers] == ["online"]
    listening.close()
    store.close()
    stop.close()
