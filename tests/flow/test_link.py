"""The link outlives brokers that misbehave, and never dies silently."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from device.clock import SystemClock
from device.link import MqttLink, Will
from device.settings import BrokerSettings
from edge.errors import LinkError
from tests.support.broker import Broker, Listener, wait_for

QUICK = 0.05


def link_to(port: int, user: str = "", password: str | None = None, name: str = "link-under-test") -> MqttLink:
    settings = BrokerSettings(port=port, user=user, reconnect_max_s=QUICK)
    return MqttLink(settings, name, password, [("in", 1)], Will("status", b"offline"), SystemClock())


@contextmanager
def server(answer: bytes) -> Iterator[tuple[int, list[int]]]:
    """Accepts everyone, reads the greeting, says `answer`, and hangs up; counts the calls."""
    calls: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = listening.accept()
                    with caller:
                        calls.append(len(caller.recv(1000)))
                        caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], calls
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


ACCEPTED = b"\x20\x02\x00\x00"
DENIED = b"\x90\x03\x00\x01\x80"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ACCEPTED,
        ACCEPTED + b"\x40\x01\x00",
        ACCEPTED + b"\x30\x05\xff\xff\x00\x00\x00",
    ],
    ids=["nothing", "another protocol", "then hangs up", "a short receipt", "a topic beyond the packet"],
)
def test_a_broker_that_talks_nonsense_is_tried_again(answer: bytes) -> None:
    with server(answer) as (port, calls):
        link = link_to(port)

        def tried() -> bool:
            assert link.poll(QUICK) == []
            return len(calls) >= 3

        wait_for("a third attempt", tried)
        link.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_that_is_no_brokers_is_named(answer: bytes) -> None:
    with server(answer) as (port, _):
        link = link_to(port)
        wait_for("a line", lambda: link.poll(QUICK) or link.error)
        assert f"127.0.0.1:{port}" in link.error


def test_a_port_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.link.CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = link_to(silent.getsockname()[1])
        wait_for("a line", lambda: link.poll(QUICK) or link.error)
        assert "does not answer; is this an MQTT port?" in link.error


def test_a_broker_that_denies_the_subscription_is_an_error() -> None:
    with server(ACCEPTED + DENIED) as (port, _):
        link = link_to(port)
        with pytest.raises(LinkError, match=r"does not let an anonymous client read in; check its access list"):
            wait_for("a refusal", lambda: bool(link.poll(QUICK)))


def test_a_refusal_after_having_been_accepted_is_no_reason_to_stop(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(("robin", "secret")).start()
    link = link_to(broker.port, "robin", "secret")
    wait_for("the connection", lambda: link.poll(QUICK) or link.connected)
    broker.stop()
    passwords = broker.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "robin", "changed"], check=True, capture_output=True)
    broker.start()
    wait_for("the refusal", lambda: link.poll(QUICK) or "refuses user `robin`" in link.error)
    broker.stop()
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "robin", "secret"], check=True, capture_output=True)
    broker.start()
    wait_for("the connection", lambda: link.poll(QUICK) or link.connected)
    assert link.connections == 2
    link.close()


def test_a_refusal_at_the_start_is_an_error(make_broker: Callable[..., Broker]) -> None:
    link = link_to(make_broker(("robin", "secret")).start().port)

    def refused() -> bool:
        try:
            link.poll(QUICK)
        except LinkError as error:
            return "refuses an anonymous client" in str(error)
        return False

    wait_for("the refusal", refused)


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(
    broker: Broker, listen: Callable[..., Listener]
) -> None:
    link = link_to(broker.port)
    wait_for("the connection", lambda: link.poll(QUICK) or link.connected)
    listen().publish([("in", b"one"), ("in", b"two")])
    got = []
    wait_for("both", lambda: got.extend(link.poll(QUICK)) or len(got) == 2)  # type: ignore[func-returns-value]
    link.acknowledge(got[:1])
    link.poll(QUICK)
    link.close()
    again = link_to(broker.port)
    late = []
    wait_for("the second", lambda: late.extend(again.poll(QUICK)) or late)  # type: ignore[func-returns-value]
    assert [message.payload for message in late] == [b"two"]
    again.close()


def test_a_client_of_the_same_name_is_suspected(broker: Broker) -> None:
    one, two = link_to(broker.port), link_to(broker.port)
    wait_for("one", lambda: one.poll(QUICK) or one.connected)

    def fights() -> bool:
        two.poll(QUICK)
        one.poll(QUICK)
        return "is there another client called `link-under-test`?" in one.error + two.error

    wait_for("the suspicion", fights)
    one.close()
    two.close()


def test_what_is_published_without_a_connection_is_sent_with_the_next(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker()
    link = link_to(broker.port)
    number = link.publish("out", b"early", 1)
    broker.start()
    listener = Listener(broker, "out")
    confirmed: list[int] = []
    wait_for("the receipt", lambda: link.poll(QUICK) or confirmed.extend(link.confirmed()) or number in confirmed)  # type: ignore[func-returns-value]
    wait_for("the message", lambda: listener.messages)
    link.close()
    listener.close()


def test_what_a_full_batch_left_behind_is_read_before_the_link_waits(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.link.BATCH", 3)
    asked, asking = socket.socketpair()
    with asked, asking:
        asking.send(b"x")  # wakes every poll, so that none takes what was read ahead for want of anything else
        settings = BrokerSettings(port=broker.port, reconnect_max_s=QUICK)
        link = MqttLink(settings, "link-under-test", None, [("in", 0)], None, SystemClock(), [asked.fileno()])
        wait_for("the subscription", lambda: link.poll(QUICK) or link.listening)
        listener = Listener(broker)
        wanted = [str(i).encode() for i in range(100)]
        listener.publish([("in", payload) for payload in wanted], qos=0)
        got: list[bytes] = []

        def read() -> bool:
            got.extend(message.payload for message in link.poll(0.0))
            return len(got) == len(wanted)

        wait_for("all of them", read)
        assert got == wanted
        link.close()
        listener.close()
