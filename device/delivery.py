"""The promise: with QoS 1 a reading is acknowledged only when its consequences are safe.

A reading's consequences are the machine's next state and its prediction. They are committed in groups; a prediction
whose receipt the broker has confirmed by then needs no place on disk, any other goes to the outbox and is published
again by the next process. Only then are the group's readings acknowledged. Killed at any moment, nothing is lost: what
was not acknowledged is delivered again and refused by its `ts` if it was committed; what was not confirmed is published
again, byte for byte. (A reading without a `ts` cannot be told from its own redelivery: those may count twice.)
"""

from __future__ import annotations

from device.clock import Clock
from device.health import Health
from device.messages import Link, Message
from device.runtime import Runtime
from device.settings import StoreSettings
from device.store import Sent, Store, StoreFull

RETRY_S = 5.0
"""Pause before a disk that was full is tried again."""

UNCONFIRMED = 1000
"""Unconfirmed predictions above which readings are not acknowledged, so that the broker holds back new ones."""


class Delivery:
    """Publishes predictions, commits groups, acknowledges readings."""

    def __init__(
        self,
        runtime: Runtime,
        link: Link,
        store: Store,
        settings: StoreSettings,
        clock: Clock,
        health: Health,
        qos: int,
    ) -> None:
        """Publishes again what the last process left in the outbox."""
        self._runtime = runtime
        self._link = link
        self._store = store
        self._settings = settings
        self._clock = clock
        self._health = health
        self._qos = qos
        self._unacknowledged: list[Message] = []
        self._changed: dict[str, None] = {}
        self._awaiting: dict[int, Sent] = {}
        self._fresh: dict[int, Sent] = {}
        self._stored: set[Sent] = set()
        self._settled: list[Sent] = []
        self._since: float | None = None
        self._retry_at = 0.0
        for sent in store.outbox():
            self._awaiting[link.publish(sent.topic, sent.payload, 1)] = sent
            self._stored.add(sent)

    @property
    def unconfirmed(self) -> int:
        """Predictions whose receipt the broker has not confirmed."""
        return len(self._awaiting)

    def publish(self, sent: Sent) -> None:
        """Send a prediction now; it is kept until the broker confirms it."""
        number = self._link.publish(sent.topic, sent.payload, self._qos)
        if self._qos:
            self._awaiting[number] = sent
            self._fresh[number] = sent

    def changed(self, machine: str) -> None:
        """The machine's state moved: it belongs to the next group."""
        self._changed[machine] = None
        self._begin()

    def done(self, message: Message) -> None:
        """All that `message` asks for was done in memory; acknowledge it with the next group."""
        if message.qos:
            self._unacknowledged.append(message)
            self._begin()

    def confirm(self) -> None:
        """Take note of what the broker has confirmed."""
        for number in self._link.confirmed():
            sent = self._awaiting.pop(number, None)
            if sent is None:
                continue
            self._fresh.pop(number, None)
            if sent in self._stored:
                self._stored.discard(sent)
                self._settled.append(sent)
                self._begin()
            elif self._unacknowledged:
                self._begin()

    def wait_s(self, longest_s: float) -> float:
        """How long the daemon may sleep before `flush_if_due` has something to do, at most `longest_s`."""
        if self._since is None:
            return longest_s
        return min(longest_s, max(0.0, self._since + self._settings.flush_s - self._clock.monotonic()))

    def flush_if_due(self, now: float) -> None:
        """Commit and acknowledge, if enough readings wait or the first has waited long enough at `now`."""
        if self._since is None:
            return
        full = len(self._unacknowledged) >= self._settings.flush_readings
        if full or now >= self._since + self._settings.flush_s:
            self.flush()

    def flush(self) -> None:
        """Commit the group, then acknowledge its readings."""
        self._since = None
        self._commit()
        if len(self._awaiting) > UNCONFIRMED:
            return
        waiting, self._unacknowledged = self._unacknowledged, []
        self._link.acknowledge(waiting)

    def retry_now(self) -> None:
        """There is no later: the next flush tries the disk again, however recently it was full."""
        self._retry_at = 0.0

    def _begin(self) -> None:
        if self._since is None:
            self._since = self._clock.monotonic()

    def _begin_anew(self) -> None:
        """There is no file, or somebody removed it: all that is known goes into a new one. Raises StoreFull."""
        self._store.renew()
        self._changed = dict.fromkeys(self._runtime.machines)
        self._fresh = dict(self._awaiting)
        self._stored.clear()
        self._settled.clear()
        self._health.error("", f"the states' file was not there; begun anew with {len(self._changed)} machines")

    def _commit(self) -> None:
        if not (self._changed or self._fresh or self._settled) or self._clock.monotonic() < self._retry_at:
            return
        try:
            if not self._store.lasting:
                self._begin_anew()
            states = {machine: self._runtime.snapshot(machine) for machine in self._changed}
            fresh = list(self._fresh.values())
            self._store.commit(self._clock.now(), states, fresh, self._settled)
        except StoreFull as error:
            # Predictions are worth more than their insurance: readings are acknowledged, states stay in memory.
            self._retry_at = self._clock.monotonic() + RETRY_S
            self._health.store_error = str(error)
            self._health.error("", str(error))
            return
        self._health.store_error = ""
        self._stored.update(fresh)
        self._changed.clear()
        self._fresh.clear()
        self._settled.clear()
