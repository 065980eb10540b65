"""The link to the broker: MQTT 3.1.1 with a loop of our own, so that nothing runs behind the daemon's back."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from device.backoff import Pauses
from device.clock import Clock
from device.messages import Message
from device.read_ahead import ReadAhead, ReadAheadClient
from device.settings import BrokerSettings
from device.tls import asks, context, explain
from edge.errors import LinkError

CONNECT_TIMEOUT_S = 5.0
FIRST_PAUSE_S = 0.5
MISC_EVERY_S = 1.0
"""How often the client looks after its keep-alive."""

RECEIPT_BYTES, SECURE_RECEIPT_BYTES = 4, 33
"""Length of a PUBACK, and of its record in TLS 1.2 (1.3: 26); all else a broker says of its own accord is longer, but
for the answer to a ping."""

LATE_S = 0.1
"""How late a receipt that nothing follows is noticed, or the last few bytes of a packet that came in two."""

BATCH = 200
"""Packets read at one go before the daemon gets its turn."""

INFLIGHT = 1000
"""Predictions on their way to the broker before later ones wait in the queue."""

REFUSED_FOR_GOOD = frozenset(
    {"Unsupported protocol version", "Client identifier not valid", "Bad user name or password", "Not authorized"}
)
"""Answers of a broker that no repetition will change."""

BROKEN = (OSError, ValueError, IndexError, struct.error, MQTTException)
"""What reading from a broken stream, or from a stranger's, can raise."""

BRIEF_S = 3.0
"""A connection that ends this soon was probably taken over by a client of the same name."""

_CORK: int | None = getattr(socket, "TCP_CORK", None)  # Linux


AGAIN = "; trying again until it can"
"""How a line about a broker ends that is not there, where whoever waits has time."""


class Will(NamedTuple):
    """What the broker publishes, retained, if we vanish."""

    topic: str
    payload: bytes


class MqttLink:
    """Link by paho-mqtt: subscribes at every connection, keeps its session at the broker, acknowledges on demand."""

    def __init__(
        self,
        settings: BrokerSettings,
        client_id: str,
        password: str | None,
        subscriptions: Sequence[tuple[str, int]],
        will: Will | None,
        clock: Clock,
        wake_fds: Sequence[int] = (),
        keep_session: bool = True,
        receipts_wait: bool = False,
        keep_trying: bool = False,
    ) -> None:
        """`subscriptions` are (filter, QoS). `poll` returns when one of `wake_fds` becomes readable; an attempt to
        connect is not cut short by it. With `keep_trying` a refusal is an error like any other, and no LinkError.

        With `keep_session` the broker keeps what we were not there to read. With `receipts_wait` a lone receipt does
        not end a `poll`, but is taken with whatever comes next or at the timeout: half the wake-ups of a daemon that
        answers each reading with one message.
        """
        self.connected = False
        self.connections = 0
        self.listening = 0
        self.error = ""
        self._settings = settings
        self._subscriptions = list(subscriptions)
        self._clock = clock
        self._wake_fds = tuple(wake_fds)
        self._keep_trying = keep_trying
        self._receipts_wait = receipts_wait
        self._inbox: list[Message] = []
        self._confirmed: list[int] = []
        self._pauses = Pauses(FIRST_PAUSE_S, settings.reconnect_max_s)
        self._attempt_at = clock.monotonic()
        self._misc_at = 0.0
        self._refused: str | None = None
        self._denied: str | None = None
        self._broken = False
        self._answered = False
        self._since = 0.0
        self._id = client_id
        self._poller = select.poll()
        self._polled = -1
        self._sock: ReadAhead | None = None
        self._writing = False
        self._client = ReadAheadClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=not keep_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if settings.tls:
            self._client.context = context(settings)
        if settings.user or password is not None:
            self._client.username_pw_set(settings.user, password)
        if will is not None:
            self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_inflight_messages_set(INFLIGHT)
        self._client.max_queued_messages_set(0)
        self._client.on_socket_open = self._on_socket_open
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    def poll(self, timeout_s: float) -> list[Message]:
        """As Link."""
        if self._broken or self._client.socket() is None:
            self._reconnect(timeout_s)
        else:
            self._serve(timeout_s)
        if self._refused is not None and self.connections == 0 and not self._keep_trying:
            raise LinkError(self._refused)
        if self._denied is not None and self.connections == 1 and not self._keep_trying:
            raise LinkError(self._denied)
        inbox, self._inbox = self._inbox, []
        return inbox

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> int:
        """As Link."""
        return self._client.publish(topic, payload, qos, retain).mid

    def confirmed(self) -> list[int]:
        """As Link."""
        confirmed, self._confirmed = self._confirmed, []
        return confirmed

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """As Link. What an earlier connection brought is not ours to acknowledge: the broker delivers it again."""
        with self._one_packet():
            for message in messages:
                if message.qos and message.connection == self.connections and self.connected:
                    self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """As Link."""
        self._client.disconnect()
        self.connected = False

    @contextmanager
    def _one_packet(self) -> Iterator[None]:
        """Collect what is written meanwhile: a packet of its own for each 4-byte receipt costs 40 µs and more each."""
        sock: Any = self._client.socket()
        if sock is None or _CORK is None:
            yield
            return
        with suppress(OSError):  # a socket that is broken is noticed where it is read
            sock.setsockopt(socket.IPPROTO_TCP, _CORK, 1)
        try:
            yield
        finally:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _CORK, 0)

    def _serve(self, timeout_s: float) -> None:
        writing = self._client.want_write()
        if writing is not self._writing:
            self._writing = writing
            self._poller.modify(self._polled, select.POLLIN | select.POLLOUT if writing else select.POLLIN)
        try:
            if self._receipts_wait:
                timeout_s = min(timeout_s, LATE_S)
            ahead = self._sock is not None and self._sock.pending() > 0  # of a batch that was full: no poll shows it
            events = self._poller.poll(0 if ahead else max(0.0, timeout_s) * 1000)
            if ahead or not events or any(fd == self._polled and what & ~select.POLLOUT for fd, what in events):
                self._read()
            if self._client.want_write():
                self._client.loop_write()
            now = self._clock.monotonic()
            if now >= self._misc_at:
                self._misc_at = now + MISC_EVERY_S
                self._client.loop_misc()
            if not self._answered and now >= self._since + CONNECT_TIMEOUT_S:
                self._broken = True
                self._lost(f"{self._where} takes connections but does not answer; is this an MQTT port?")
        except BROKEN as error:
            self._broken = True
            self._lost(f"the connection to {self._where} broke: {_reason(error)}")

    def _read(self) -> None:
        """Read what has arrived; the client reads as many packets a call as it waits for receipts, at least one."""
        for _ in range(BATCH):
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            sock: Any = self._client.socket()
            if not sock.pending():
                return

    def _reconnect(self, timeout_s: float) -> None:
        pause = self._attempt_at - self._clock.monotonic()
        if pause > 0:
            select.select(self._wake_fds, [], [], min(pause, timeout_s))
            return
        self._broken = self._answered = False
        try:
            self._since = self._clock.monotonic()
            self._client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and self._client.greeting:
                self._lost(explain(error, self._where, self._settings))
            else:
                self._lost(f"{self._where} cannot be reached ({_reason(error)}){AGAIN}")

    def _lost(self, line: str) -> None:
        """Note `line` and set the time of the next attempt, which also drops what is left of this connection."""
        self.error = line
        self.connected = False
        self._attempt_at = self._clock.monotonic() + self._pauses.next()

    @property
    def _where(self) -> str:
        return f"the broker at {self._settings.host}:{self._settings.port}"

    def _on_socket_open(self, _client: mqtt.Client, _data: Any, sock: Any) -> None:
        # Without it the second of two small packets waits for the peer's delayed acknowledgement: 10 ms and more.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._poller, self._polled, self._writing = select.poll(), sock.fileno(), False
        self._poller.register(self._polled, select.POLLIN)
        for fd in self._wake_fds:
            self._poller.register(fd, select.POLLIN)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        self._answered = True
        if reason.is_failure:
            who = f"user `{self._settings.user}`" if self._settings.user else "an anonymous client"
            self.error = f"{self._where} refuses {who}: {reason}; check --broker and --password-file"
            if str(reason) in REFUSED_FOR_GOOD:
                self._refused = self.error
            return
        self.connected, self.error, self._refused = True, "", None
        self.connections += 1
        self._since = self._clock.monotonic()
        if self._receipts_wait:
            sock: Any = client.socket()
            receipt = SECURE_RECEIPT_BYTES if self._settings.tls else RECEIPT_BYTES
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, receipt + 1)
        if self._subscriptions:
            client.subscribe(self._subscriptions)

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        denied = [topic for (topic, _), reason in zip(self._subscriptions, reasons, strict=False) if reason.is_failure]
        if not denied:
            self.listening += 1
        else:
            who = f"user `{self._settings.user}`" if self._settings.user else "an anonymous client"
            self.error = self._denied = (
                f"{self._where} does not let {who} read {', '.join(denied)}; check its access list"
            )

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        broke = self._sock.broke if self._sock is not None else None
        if isinstance(broke, ssl.SSLError):
            self._lost(explain(broke, self._where, self._settings))
            return
        if not self._answered:
            suspect = (
                "is this an MQTT port" if self._settings.tls else "is this an MQTT port, or one for TLS (mqtts://)"
            )
            self._lost(f"{self._where} closed the connection before it answered; {suspect}{asks(self._settings)}?")
            return
        if not self.connected:  # refused: what to say is known already
            self._attempt_at = self._clock.monotonic() + self._pauses.next()
            return
        lasted = self._clock.monotonic() - self._since
        if lasted > BRIEF_S:
            self._pauses.reset()
        hint = "" if lasted > BRIEF_S else f"; is there another client called `{self._id}`?"
        self._lost(f"{self._where} closed the connection{hint}")

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # matches no template, so it is counted there
        one = Message(topic, bytes(message.payload), message.qos, message.retain, message.mid, self.connections)
        self._inbox.append(one)

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._confirmed.append(mid)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
