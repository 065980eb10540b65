"""Being asked to stop, by a signal, in a way that wakes whoever waits."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Stop:
    """`requested` turns true once and stays so; `fd` becomes readable at that moment."""

    def __init__(self) -> None:
        self.requested = False
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    @property
    def fd(self) -> int:
        """What to wait on."""
        return self._reader.fileno()

    def request(self) -> None:
        """Ask to stop."""
        if not self.requested:
            self.requested = True
            self._writer.send(b"\0")

    def hush(self) -> None:
        """The request was understood: nobody needs to be woken any more."""
        with suppress(BlockingIOError):
            self._reader.recv(1, socket.MSG_DONTWAIT)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond a request."""
        select.select([self._reader], [], [], seconds)

    def close(self) -> None:
        """Give the sockets back."""
        self._reader.close()
        self._writer.close()


@contextmanager
def on_signals() -> Iterator[Stop]:
    """A Stop that SIGTERM and SIGINT request, while the block runs."""
    stop = Stop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.request()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


@contextmanager
def undisturbed() -> Iterator[None]:
    """What would end this process, or a child it starts meanwhile, is not listened to. For the main thread."""
    # A mask would not do: the kernel would hand the signal to a thread of the engine's, and Python to this one.
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
