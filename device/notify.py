"""Say to the service manager how we are: systemd's notification protocol, a datagram of lines to a socket.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

FEEDINGS = 4
"""How often a watchdog is fed in the time it waits."""


class Notify:
    """Speaks where a service manager listens, and to nobody elsewhere. Never waits, never raises."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address` is a path, or begins with @ for Linux's abstract sockets; `watchdog_s` 0: there is none."""
        self.beat_s = watchdog_s / FEEDINGS if watchdog_s > 0 else float("inf")
        """A loop that makes progress should say so this often."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._fed_at = float("-inf")
        self._socket: socket.socket | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Notify:
        """What the service manager has asked for."""
        # A watchdog that was meant for our parent is not ours to feed.
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "") if ours else ""
        watchdog_s = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    def say(self, *lines: str) -> bool:
        """Send lines such as `READY=1`; False where nobody took them."""
        if not self._address:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def progress(self, now: float) -> None:
        """A turn of the loop was completed at `now` (monotonic): feed the watchdog, if it is time to."""
        if now >= self._fed_at + self.beat_s and self.say("WATCHDOG=1"):
            self._fed_at = now

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
