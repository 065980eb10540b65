"""The daemon: one thread, one loop, from reading to prediction; everything it needs is handed to it."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from device import payload
from device.clock import Clock
from device.delivery import Delivery
from device.health import Health
from device.messages import Link, Message
from device.notify import Notify
from device.prediction import Prediction, Reason, Rejected
from device.runtime import Runtime
from device.settings import DeviceSettings
from device.status_socket import StatusSocket
from device.stop import Stop
from device.store import Sent, Store
from device.topics import Template
from edge.errors import DataError, EdgeError

FAREWELL_S = 5.0
"""How long a stopping daemon waits for the broker to confirm what is on its way."""

GLANCE_S = 0.02
"""How often it looks for them meanwhile, and for those who ask how it is."""

BREATH_S = 0.2
"""Pause after an error nobody foresaw, so that one that repeats does not spin."""

SHOWN_TOPIC = 80


@dataclass(frozen=True)
class Topics:
    """Where messages come from and go to."""

    readings: Template
    predictions: Template
    control: Template
    status: str


class Daemon:
    """Serves one runtime on one link until it is asked to stop."""

    def __init__(
        self,
        runtime: Runtime,
        topics: Topics,
        link: Link,
        store: Store,
        settings: DeviceSettings,
        clock: Clock,
        health: Health,
        log: logging.Logger,
        notify: Notify | None = None,
        status_socket: StatusSocket | None = None,
    ) -> None:
        """All parts are opened already; `run` does not close them."""
        manifest = runtime.backend.bundle.manifest
        self._runtime = runtime
        self._topics = topics
        self._link = link
        self._store = store
        self._settings = settings
        self._clock = clock
        self._health = health
        self._log = log
        self._notify = notify or Notify()
        self._status_socket = status_socket
        self._channels = tuple(channel.name for channel in manifest.channels)
        self._backlog: deque[Message] = deque()
        self._connections = 0
        self._listening = 0
        self._looked_at = 0.0
        self._said = ""
        self._status_at = 0.0
        self._now = clock.monotonic()
        qos = manifest.project.mqtt.qos
        self._delivery = Delivery(runtime, link, store, settings.store, clock, health, qos)

    def run(self, stop: Stop) -> None:
        """Serve until `stop`; then finish what has arrived, commit, say so, and return.

        Raises LinkError where the broker refuses us at the start. Anything unforeseen is logged with its traceback,
        counted, and costs the message it happened at.
        """
        while not stop.requested:
            try:
                self._turn()
                # Here and nowhere else: a loop that hangs, or only stumbles, is a loop to restart.
                self._notify.progress(self._now)
            except EdgeError:
                raise
            except Exception as error:
                self._log.exception("unforeseen error; this message is given up, the others go on")
                self._health.reject(Reason.INTERNAL, "", f"unforeseen: {type(error).__name__}: {error}")
                stop.wait(BREATH_S)
        stop.hush()
        self._finish()

    def _turn(self) -> None:
        idle = False
        if not self._backlog:
            rest = min(self._notify.beat_s, max(0.0, self._status_at - self._now))
            self._backlog.extend(self._link.poll(self._delivery.wait_s(rest)))
            idle = not self._backlog
            self._watch_link()
        while self._backlog:
            self._take(self._backlog.popleft())
        self._delivery.confirm()
        self._now = self._clock.monotonic()
        self._delivery.flush_if_due(self._now)
        if self._now >= self._status_at:
            self._publish_status("online")
        # Looking for askers is a system call: a busy loop does it now and then, an idle one may have been woken by one.
        if idle or self._now >= self._looked_at + GLANCE_S:
            self._looked_at = self._now
            self._answer("online")

    def _take(self, message: Message) -> None:
        """One message from the broker; whatever becomes of it, it is then done with."""
        try:
            machine = self._topics.readings.machine(message.topic)
            if machine is not None:
                self._read(machine, message)
                return
            machine = self._topics.control.machine(message.topic)
            if machine is not None:
                self._control(machine, message)
                return
            topic = message.topic if message.topic.isprintable() else ascii(message.topic)
            self._health.heard()
            self._health.reject(Reason.TOPIC, "", f"topic `{topic[:SHOWN_TOPIC]}` names no machine; ignored")
        finally:
            self._delivery.done(message)

    def _read(self, machine: str, message: Message) -> None:
        self._health.heard()
        try:
            reading = payload.decode(message.payload, self._channels)
        except DataError as error:
            self._health.reject(Reason.PAYLOAD, machine, str(error))
            return
        if not self._known(machine):
            return
        ts = reading.ts
        if ts is None:
            if message.retain:
                self._health.reject(
                    Reason.UNDATED, machine, "a retained reading without `ts` is of unknown age; ignored"
                )
                return
            ts = self._arrival(machine)
        elif self._ahead(ts):
            line = f"ts {ts!r} is more than {self._settings.max_ahead_s:g} s ahead of this machine's clock; ignored"
            self._health.reject(Reason.AHEAD, machine, line)
            return
        answer = self._runtime.feed(machine, ts, reading.values)
        if isinstance(answer, Rejected):
            self._health.reject(answer.reason, machine, answer.line)
            return
        for problem in reading.problems:
            self._health.problem(machine, problem)
        self._delivery.publish(self._sent(answer))
        self._delivery.changed(machine)
        self._health.predictions += 1

    def _sent(self, prediction: Prediction) -> Sent:
        topic = self._topics.predictions.topic(prediction.machine)
        return Sent(prediction.model, prediction.machine, prediction.seq, topic, payload.encode(prediction))

    def _ahead(self, ts: float) -> bool:
        """Whether taking it would make all later readings of its machine late, as far as this machine can know."""
        longest = self._settings.max_ahead_s
        return 0 < longest < ts - self._clock.now() and self._clock.synchronised()

    def _arrival(self, machine: str) -> float:
        """The time of arrival, but after the last reading's: a clock that was set back must not silence a machine."""
        now = self._clock.now()
        known = self._runtime.machines.get(machine)
        last = known.ts if known is not None else None
        return now if last is None or now > last else math.nextafter(last, math.inf)

    def _control(self, machine: str, message: Message) -> None:
        if message.retain:
            self._health.error(machine, "a retained control message would repeat at every connection; ignored")
            return
        try:
            payload.event(message.payload)
        except DataError as error:
            self._health.reject(Reason.PAYLOAD, machine, str(error))
            return
        if not self._known(machine):
            return
        self._health.events += 1
        if self._runtime.reset(machine):
            self._delivery.changed(machine)
            self._log.info("%s: repaired, starts anew", machine)
        else:
            self._log.info("%s: repaired; nothing was known of it", machine)

    def _known(self, machine: str) -> bool:
        """Take up the machine's saved state if this is its first message; False where there is no room for another."""
        machines = self._runtime.machines
        if machine in machines:
            return True
        if len(machines) >= self._settings.max_machines:
            line = f"already {len(machines)} machines; raise max_machines in the settings file to serve more"
            self._health.reject(Reason.TOO_MANY_MACHINES, "", line)
            return False
        saved = self._store.load(machine)
        if saved is not None:
            try:
                self._runtime.restore(machine, saved)
            except DataError as error:
                self._health.error(machine, str(error))
        return True

    def _watch_link(self) -> None:
        """Log what happened to the connection, and say online after each new one."""
        link = self._link
        if link.error and link.error != self._said:
            self._log.warning("%s", link.error)
            self._health.last_error = link.error
        self._said = link.error
        if link.connected and link.connections != self._connections:
            self._connections = link.connections
            self._status_at = self._clock.monotonic()
        if link.listening != self._listening:
            self._listening = link.listening
            self._log.info("connected; readings from %s", self._topics.readings.filter)

    def _publish_status(self, state: str) -> None:
        self._status_at = self._clock.monotonic() + self._settings.status_every_s
        status = self._status(state)
        self._notify.say(f"STATUS={_in_short(status)}")
        if not self._link.connected:
            return  # nobody hears it, and a queue of old statuses would be read as news
        self._link.publish(self._topics.status, payload.encode_status(status), 1, retain=True)

    def _answer(self, state: str) -> None:
        """To whoever asks by now how we are."""
        if self._status_socket is not None:
            self._status_socket.serve(lambda: payload.encode_status(self._status(state)))

    def _status(self, state: str) -> dict[str, object]:
        reasons = self._health.complaints(self._link.error, self._link.connected, self._settings.silence_s)
        return self._health.status(
            state,
            healthy=not reasons,
            reasons=reasons,
            connected=self._link.connected,
            machines=len(self._runtime.machines),
            values_held=self._runtime.values_held,
            unconfirmed=self._delivery.unconfirmed,
            connections=self._link.connections,
        )

    def _finish(self) -> None:
        """What has arrived is answered and committed; what arrives from now on stays with the broker."""
        self._notify.say("STOPPING=1", "STATUS=stopping")
        while self._backlog:
            self._take(self._backlog.popleft())
        self._delivery.retry_now()
        self._delivery.flush()
        self._publish_status("stopped")
        deadline = self._clock.monotonic() + FAREWELL_S
        while self._link.connected and self._delivery.unconfirmed and self._clock.monotonic() < deadline:
            self._link.poll(GLANCE_S)
            self._delivery.confirm()
            self._answer("stopping")
        self._delivery.retry_now()
        self._delivery.flush()
        self._log.info(
            "stopped: %d readings, %d predictions, %d machines",
            self._health.readings,
            self._health.predictions,
            len(self._runtime.machines),
        )


def _in_short(status: Mapping[str, object]) -> str:
    """One line for a person who looks at the service."""
    reasons = status["reasons"]
    how = "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else "healthy"
    return f"{how}; {status['machines']} machines, {status['readings']} readings, {status['predictions']} predictions"
