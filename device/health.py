"""What the daemon says about itself: counts since it started, and one log line for each thing that goes wrong."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping

from device.clock import Clock
from device.prediction import Reason
from edge import __version__

KNOWN_LIMIT = 1000
"""Different problems that get a line of their own; strangers who invent names cannot fill the log."""

_DIGITS = re.compile(r"\d+")


class Health:
    """Counters and the last error. Everything here goes into the status message; nothing is lost without a count."""

    def __init__(self, facts: Mapping[str, object], clock: Clock, log: logging.Logger) -> None:
        """`facts` stay the same for the life of the process: project, model, backend, …"""
        self.readings = 0
        self.reading_at: float | None = None
        """When the last of them came (monotonic)."""
        self.predictions = 0
        self.problems = 0
        """Readings that were taken although something was wrong with them."""
        self.events = 0
        self.store_error = ""
        self.last_error = ""
        self.rejected: Counter[Reason] = Counter()
        self._facts = facts
        self._clock = clock
        self._log = log
        self._started = clock.monotonic()
        self._known: set[tuple[str, str]] = set()

    def heard(self) -> None:
        """A message came where readings come."""
        self.readings += 1
        self.reading_at = self._clock.monotonic()

    def complaints(self, link_error: str, connected: bool, silence_s: float) -> list[str]:
        """Why this daemon is not healthy, one line each; nothing where it is. `silence_s` 0: silence is no fault."""
        found = []
        if link_error or not connected:  # connected, with an error: what was asked for is denied
            found.append(link_error or "not connected to the broker yet")
        if self.store_error:
            found.append(self.store_error)
        silent_s = self._silent_s()
        if silence_s and silent_s > silence_s:
            ever = "" if self.reading_at is not None else " and none since the start"
            found.append(f"no reading for {silent_s:.0f} s{ever}; silence_s allows {silence_s:g}")
        return found

    def reject(self, reason: Reason, machine: str, line: str) -> None:
        """Count a message that got no prediction, and say why, once for each machine and kind of line."""
        self.rejected[reason] += 1
        if reason is not Reason.DUPLICATE:  # redelivery is the broker keeping its promise: counted, not said
            self.error(machine, line)

    def problem(self, machine: str, line: str) -> None:
        """Count a reading that was taken but is not as it should be."""
        self.problems += 1
        self._say(machine, line)

    def error(self, who: str, line: str) -> None:
        """Keep `line` as the last error and log it, the first time; `who` is the machine, or empty."""
        self.last_error = f"{who}: {line}" if who else line
        self._say(who, line)

    def status(self, state: str, **now: object) -> dict[str, object]:
        """The status message; `now` are the figures others keep."""
        return {
            "state": state,
            **self._facts,
            "version": __version__,
            "at": round(self._clock.now(), 3),
            "uptime_s": round(self._clock.monotonic() - self._started, 1),
            "readings": self.readings,
            "silent_s": round(self._silent_s(), 1),
            "predictions": self.predictions,
            "rejected": {str(reason): count for reason, count in sorted(self.rejected.items())},
            "problems": self.problems,
            "events": self.events,
            **now,
            "store": self.store_error or "ok",
            "last_error": self.last_error,
        }

    def _silent_s(self) -> float:
        """Seconds since the last reading, or since the start."""
        return self._clock.monotonic() - (self._started if self.reading_at is None else self.reading_at)

    def _say(self, who: str, line: str) -> None:
        seen = (who, _DIGITS.sub("#", line))  # a time or a size that differs is no news
        if seen in self._known or len(self._known) > KNOWN_LIMIT:
            return
        self._known.add(seen)
        if len(self._known) > KNOWN_LIMIT:
            self._log.warning("more than %d different problems; further ones are only counted", KNOWN_LIMIT)
            return
        self._log.warning("%s%s", f"{who}: " if who else "", line)
