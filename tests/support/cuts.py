"""A stretch of cable that can be cut: forwards to a port of this machine, and hangs up in the middle of a packet."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


class Cable:
    """The n-th connection is cut after `lasts[n]` bytes of what the far end says; later ones are left alone.

    With `drip_s` bytes of the far end come one by one, that much apart.
    """

    def __init__(self, listening: socket.socket, to: int, lasts: Sequence[int], drip_s: float) -> None:
        self.port: int = listening.getsockname()[1]
        self.cuts = 0
        self._listening = listening
        self._to = to
        self._lasts = list(lasts)
        self._drip_s = drip_s
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def run(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                lasts = self._lasts.pop(0) if self._lasts else None
                self._open += [near, far]
                for source, sink, limit in ((near, far, None), (far, near, lasts)):
                    thread = threading.Thread(target=self._carry, args=(source, sink, limit))
                    thread.start()
                    self._threads.append(thread)

    def _carry(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        with suppress(OSError):
            carried = 0
            while piece := source.recv(4096):
                if limit is not None and carried + len(piece) >= limit:
                    sink.sendall(piece[: limit - carried])
                    self.cuts += 1
                    break
                self._pass(piece, sink, source)
                carried += len(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass(self, piece: bytes, sink: socket.socket, source: socket.socket) -> None:
        if not self._drip_s or source.getpeername()[1] != self._to:
            sink.sendall(piece)
            return
        for byte in piece:
            sink.sendall(bytes([byte]))
            time.sleep(self._drip_s)

    def close(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()


@contextmanager
def cable(to: int, lasts: Sequence[int] = (), drip_s: float = 0.0) -> Iterator[Cable]:
    """A Cable to port `to` while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Cable(listening, to, lasts, drip_s)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            made.close()
