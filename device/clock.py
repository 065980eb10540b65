"""The clock as the daemon sees it, so that a test can bring its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two times: one to write down, one to measure with."""

    def now(self) -> float:
        """Seconds since 1970; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """As Clock."""
        return time.time()

    def monotonic(self) -> float:
        """As Clock."""
        return time.monotonic()
