"""The daemon through a real broker says exactly what the runtime says offline, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from edge.bundle import Bundle
from tests.support.broker import Broker, Listener, Served, wait_for
from tests.support.traffic import count, heard, messages, offline, stream, without_repeats

HEALTH = "plant/+/health"
STATUS = "edge/tiny/device-under-test/status"

Serve = Callable[..., Served]
Listen = Callable[..., Listener]


def last_status(listener: Listener) -> dict[str, Any]:
    return listener.statuses()[-1]


@pytest.mark.parametrize("backend", ["litert", "onnx"])
def test_fifty_machines_are_predicted_as_offline_none_missing_in_order(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve, backend: str
) -> None:
    sent = stream(50, 20)
    listener = listen(HEALTH)
    daemon = serve(bundle.path, broker, "--backend", backend).ready()
    listener.publish(messages(sent))
    wait_for("all predictions", lambda: count(heard(listener)) >= len(sent))
    assert heard(listener) == offline(bundle, sent, backend)
    assert daemon.stop() == 0


def test_killed_in_the_middle_it_resumes_and_loses_nothing(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    sent = stream(10, 60)
    listener = listen(HEALTH)
    third = len(sent) // 3
    daemon = serve(bundle.path, broker).ready()
    for part in range(3):
        listener.publish(messages(sent[part * third : (part + 1) * third]))
        daemon.kill()  # with most of this part still on its way
        daemon = serve(bundle.path, broker).ready()
    want = offline(bundle, sent)
    wait_for("all predictions", lambda: without_repeats(heard(listener)) == want or _more(listener, want))
    assert without_repeats(heard(listener)) == want
    assert daemon.stop() == 0


def _more(listener: Listener, want: dict[str, list[bytes]]) -> bool:
    """Something arrived that should not have: no use waiting."""
    return any(payload not in want[name] for name, said in heard(listener).items() for payload in said)


def test_asked_to_stop_it_finishes_says_so_and_a_restart_goes_on(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    sent = stream(5, 40)
    listener = listen(HEALTH, STATUS)
    daemon = serve(bundle.path, broker).ready()
    listener.publish(messages(sent[:100]))
    assert daemon.stop() == 0
    wait_for("the last word", lambda: listener.state() == "stopped")
    listener.publish(messages(sent[100:]))  # while nobody serves: the broker keeps them
    daemon = serve(bundle.path, broker).ready()
    wait_for("all predictions", lambda: count(without_repeats(heard(listener))) >= len(sent))
    assert without_repeats(heard(listener)) == offline(bundle, sent)
    assert "Traceback" not in daemon.log


def test_a_broker_that_is_absent_at_start_is_waited_for(
    bundle: Bundle, make_broker: Callable[..., Broker], serve: Serve
) -> None:
    broker = make_broker()
    daemon = serve(bundle.path, broker)
    wait_for("a line about the broker", lambda: daemon.lines("cannot be reached"))
    assert len(daemon.lines("cannot be reached")) == 1
    broker.start()
    daemon.ready()
    listener = Listener(broker, HEALTH)
    listener.publish(messages(stream(1, 3)))
    wait_for("predictions", lambda: count(heard(listener)) == 3)
    listener.close()


def test_a_broker_that_restarts_mid_stream_costs_nothing(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    sent = stream(5, 60)
    listener = listen(HEALTH, STATUS)
    serve(bundle.path, broker).ready()
    listener.publish(messages(sent[:150]))
    wait_for("the first half", lambda: count(heard(listener)) >= 150)
    broker.stop()
    broker.start()
    wait_for("the daemon to come back", lambda: last_status(listener).get("connections") == 2)
    listener.publish(messages(sent[150:]))
    wait_for("all predictions", lambda: count(without_repeats(heard(listener))) >= len(sent))
    assert without_repeats(heard(listener)) == offline(bundle, sent)


def test_a_wrong_password_is_one_line_and_status_four(
    bundle: Bundle, make_broker: Callable[..., Broker], serve: Serve
) -> None:
    broker = make_broker(("robin", "secret")).start()
    url = f"mqtt://robin@127.0.0.1:{broker.port}"
    wrong = serve(bundle.path, broker, "--broker", url, env={"EDGE_MQTT_PASSWORD": "wrong"})
    assert wrong.process.wait(60) == 4
    assert len(wrong.lines("refuses user `robin`")) == 1
    assert "Traceback" not in wrong.log


def test_the_right_password_from_a_file_is_accepted(
    bundle: Bundle, make_broker: Callable[..., Broker], serve: Serve, tmp_path: Any
) -> None:
    broker = make_broker(("robin", "secret")).start()
    file = tmp_path / "password"
    file.write_text("secret\n")
    url = f"mqtt://robin@127.0.0.1:{broker.port}"
    daemon = serve(bundle.path, broker, "--broker", url, "--password-file", str(file)).ready()
    assert daemon.stop() == 0


def test_a_daemon_that_vanishes_is_offline_by_its_last_will(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    listener = listen(STATUS)
    daemon = serve(bundle.path, broker).ready()
    wait_for("online", lambda: listener.state() == "online")
    daemon.kill()
    wait_for("offline", lambda: listener.state() == "offline")
    late = listen(STATUS)
    wait_for("the retained status", lambda: late.state() == "offline")
    assert late.messages[0][2]


BAD = {
    "not JSON": (b"vibration=3", "the payload is not JSON"),
    "NaN": (b'{"ts": 9000, "values": {"vibration": NaN, "temperature": 1, "pressure": 1}}', "the payload holds NaN"),
    "10 MB": (b"[" + b" " * 10_000_000 + b"]", "the payload has 10000002 bytes, more than"),
    "a list too short": (b'{"ts": 9000, "values": [1, 2]}', "the payload lists 2 values for 3 channels"),
    "no time": (b'{"ts": "noon", "values": [1, 2, 3]}', "`ts` is 'noon', which is no time"),
    "milliseconds": (b'{"ts": 1732182000123, "values": [1, 2, 3]}', "send seconds, not milliseconds"),
    "no value": (b'{"ts": 9000, "values": {}}', "no channel has a usable value"),
    "implausible": (b'{"ts": 9000, "values": [1e9, 1e9, null]}', "no channel has a plausible value"),
    "old": (b'{"ts": 3, "values": [1, 2, 3]}', "is not after"),
}
ODD = {
    "a string": (b'{"ts": 9001, "values": {"vibration": "3", "temperature": 1, "pressure": 1}}', "`vibration` is '3'"),
    "lacks a channel": (b'{"ts": 9002, "values": {"vibration": 3, "pressure": 1}}', "the payload lacks `temperature`"),
    "an extra channel": (
        b'{"ts": 9003, "values": {"vibration": 3, "temperature": 1, "pressure": 1, "oil": 1}}',
        "the payload has `oil`, which the model does not know",
    ),
}


def test_bad_input_gets_one_clear_line_and_costs_no_other_machine_its_prediction(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    good = stream(3, 30)
    listener = listen(HEALTH, STATUS)
    daemon = serve(bundle.path, broker).ready()
    listener.publish([("plant/bad/telemetry", b'{"ts": 8000, "values": [1, 2, 3]}')])
    bad = [("plant/bad/telemetry", payload) for payload, _ in (*BAD.values(), *ODD.values())]
    bad += [("plant//telemetry", b"[1, 2, 3]"), ("plant/bad/control", b'{"event": "explode"}')]
    mixed = [*messages(good[:30]), *bad, *messages(good[30:60]), *bad[:2], *messages(good[60:])]
    listener.publish(mixed)
    wait_for("all good predictions", lambda: count(heard(listener)) >= len(good) + 1 + len(ODD))
    said = heard(listener)
    assert len(said.pop("bad")) == 1 + len(ODD)
    assert said == offline(bundle, good)
    assert daemon.stop() == 0
    wait_for("the last word", lambda: listener.state() == "stopped")
    for name, (_, line) in {**BAD, **ODD}.items():
        assert len(daemon.lines(line)) == 1, f"{name}: {daemon.log}"
    assert len(daemon.lines("topic `plant//telemetry` names no machine")) == 1
    assert len(daemon.lines("a control message holds 'explode'")) == 1
    status = last_status(listener)
    rejected = status["rejected"]
    assert (rejected["topic"], rejected["late"], rejected["no_value"]) == (1, 1, 1)
    assert rejected["payload"] == len(BAD) - 2 + 2 + 1
    assert (status["problems"], status["predictions"]) == (len(ODD), len(good) + 1 + len(ODD))


def test_a_repaired_machine_starts_anew_and_the_others_do_not(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    listener = listen(HEALTH)
    serve(bundle.path, broker).ready()
    listener.publish(messages(stream(2, 10)))
    listener.publish([("plant/m00/control", b'{"event": "repaired"}')])
    listener.publish(messages(stream(2, 5, start=10)))
    wait_for("all predictions", lambda: count(heard(listener)) >= 30)
    warm = {name: [orjson.loads(p)["warm"] for p in said][10:] for name, said in heard(listener).items()}
    assert warm == {"m00": [False, False, True, True, True], "m01": [True] * 5}


def test_a_reading_without_time_is_dated_on_arrival(
    bundle: Bundle, broker: Broker, listen: Listen, serve: Serve
) -> None:
    listener = listen(HEALTH)
    serve(bundle.path, broker).ready()
    listener.publish([("plant/m/telemetry", b"[1, 2, 3]")] * 5)
    wait_for("all predictions", lambda: count(heard(listener)) >= 5)
    stamps = [orjson.loads(p)["ts"] for p in heard(listener)["m"]]
    assert stamps == sorted(set(stamps))


def test_a_second_daemon_on_the_same_store_is_refused(bundle: Bundle, broker: Broker, serve: Serve) -> None:
    serve(bundle.path, broker).ready()
    second = serve(bundle.path, broker)
    assert second.process.wait(60) == 3
    assert second.lines("is in use by another `edge run`")


def test_quality_zero_is_served_too(workshop: Any, tmp_path: Any, broker: Broker, listen: Listen, serve: Serve) -> None:
    from tests.support.tiny import PROJECT

    plain = workshop.pack(tmp_path / "plain.edge", mqtt={**PROJECT["mqtt"], "qos": 0})
    sent = stream(5, 20)
    listener = listen(HEALTH)
    daemon = serve(plain.path, broker).ready()
    listener.publish(messages(sent), qos=0)
    wait_for("all predictions", lambda: count(heard(listener)) >= len(sent))
    assert heard(listener) == offline(plain, sent)
    assert daemon.stop() == 0
