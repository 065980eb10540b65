"""The clock as the daemon sees it, so that a test can bring its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


class Clock(Protocol):
    """Two times: one to write down, one to measure with."""

    def now(self) -> float:
        """Seconds since 1970; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        ...

    def synchronised(self) -> bool:
        """Whether `now` is known to be right. A Pi has no clock battery: until a time server answers, it is not."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """As Clock."""
        return time.time()

    def monotonic(self) -> float:
        """As Clock."""
        return time.monotonic()

    def synchronised(self) -> bool:
        """As Clock; by the word of systemd-timesyncd, which Raspberry Pi OS runs."""
        return SYNCHRONISED.exists()
