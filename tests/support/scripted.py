"""A broker of our own making, in one process and without time: for moments no real broker can be stopped at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from device.messages import Message


class Killed(BaseException):
    """The process ends here."""


class SteppedClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1.7e9 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def synchronised(self) -> bool:
        return True


class MemoryBroker:
    """Keeps what was not acknowledged, delivers it again to the next link, and remembers what was published."""

    def __init__(self, readings: Iterable[tuple[str, bytes]]) -> None:
        self.queue = [(mid, topic, payload) for mid, (topic, payload) in enumerate(readings, start=1)]
        self.published: list[tuple[str, bytes]] = []


class ScriptedLink:
    """A Link to a MemoryBroker that raises Killed at the n-th thing asked of it, before or after doing it."""

    def __init__(
        self, broker: MemoryBroker, batch: int, kill_at: int | None, after: bool, confirms: bool = True
    ) -> None:
        self.connected = True
        self.connections = 1
        self.listening = 1
        self.error = ""
        self._broker = broker
        self._batch = batch
        self._kill_at = kill_at
        self._after = after
        self._confirms = confirms
        self._delivered: set[int] = set()
        self._to_confirm: list[int] = []
        self._calls = 0
        self._number = 0

    def poll(self, timeout_s: float) -> list[Message]:
        waiting = [item for item in self._broker.queue if item[0] not in self._delivered][: self._batch]
        self._delivered.update(mid for mid, _, _ in waiting)
        return [Message(topic, payload, 1, False, mid, 1) for mid, topic, payload in waiting]

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> int:
        self._step(before=True)
        self._number += 1
        self._broker.published.append((topic, payload))
        self._to_confirm.append(self._number)
        self._step(before=False)
        return self._number

    def confirmed(self) -> list[int]:
        if not self._confirms:
            return []
        done, self._to_confirm = self._to_confirm, []
        return done

    def acknowledge(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._step(before=True)
            self._broker.queue = [item for item in self._broker.queue if item[0] != message.mid]
            self._step(before=False)

    def close(self) -> None:
        self.connected = False

    def _step(self, before: bool) -> None:
        if before:
            self._calls += 1
        if self._calls == self._kill_at and before is not self._after:
            raise Killed
