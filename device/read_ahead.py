"""Fewer system calls for a client that reads every packet in three small pieces."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import paho.mqtt.client as mqtt

CHUNK = 64 << 10


class ReadAhead:
    """A non-blocking socket whose small reads are served from one large one; `pending` bytes are left of it.

    Of a TLS socket one read gives at most one record, and what it holds back of that record no poll would show, so it
    counts as pending too. Everything else is the socket's own.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Takes `sock` over."""
        self._sock = sock
        self._ahead = b""
        self._at = 0
        self._secure = sock if isinstance(sock, ssl.SSLSocket) else None
        self.broke: OSError | None = None
        """What reading failed with in the end."""

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end of the stream. Raises BlockingIOError where there is nothing yet."""
        at = self._at
        if at == len(self._ahead):
            try:
                if size >= CHUNK:
                    return self._sock.recv(size)
                self._ahead, at = self._sock.recv(CHUNK), 0
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except OSError as error:
                self.broke = error
                raise
        piece = self._ahead[at : at + size]
        self._at = at + len(piece)
        return piece

    def pending(self) -> int:
        """Bytes that `recv` will give without asking the system."""
        return len(self._ahead) - self._at + (0 if self._secure is None else self._secure.pending())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class ReadAheadClient(mqtt.Client):
    """The MQTT client, reading through a ReadAhead: one system call for what was seven, a reading and a receipt."""

    context: ssl.SSLContext | None = None
    """With what to greet the broker in TLS; None: plain."""

    greeting = False
    """Whether the last attempt came as far as the greeting."""

    def _create_socket(self) -> Any:
        self.greeting = False
        sock = self._create_socket_connection()
        return ReadAhead(sock if self.context is None else self._greet(sock, self.context))

    def _greet(self, sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        self.greeting = True
        secure = context.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            secure.settimeout(self.connect_timeout)  # of the whole greeting, not of each of its packets
            secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure
