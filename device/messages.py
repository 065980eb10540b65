"""What a daemon needs of a broker, whatever the broker is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One message that arrived. `connection` and `mid` are what acknowledging it needs."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int
    connection: int


class Link(Protocol):
    """What the daemon needs of a broker. Nothing calls back: everything that happened is the answer of `poll`."""

    connected: bool
    connections: int
    """How often a connection was made."""
    listening: int
    """How often a broker confirmed that we get what we asked to read; before, it may pass messages by."""
    error: str
    """The last thing that went wrong, one line; empty while nothing has."""

    def poll(self, timeout_s: float) -> list[Message]:
        """Wait up to `timeout_s` for something to happen, keep the connection alive or make it again; what arrived.

        Raises LinkError where the broker refuses us before it has ever accepted us.
        """
        ...

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> int:
        """Send or, while there is no connection, queue a message; the number `confirmed` will name for QoS 1."""
        ...

    def confirmed(self) -> list[int]:
        """Numbers of published messages whose receipt the broker has confirmed since the last call."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these messages need not be delivered again."""
        ...

    def close(self) -> None:
        """Leave the broker in good order: no last will."""
        ...
