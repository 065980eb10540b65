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
            "predictions": self.predictions,
            "rejected": {str(reason): count for reason, count in sorted(self.rejected.items())},
            "problems": self.problems,
            "events": self.events,
            **now,
            "store": self.store_error or "ok",
            "last_error": self.last_error,
        }

    def _say(self, who: str, line: str) -> None:
        seen = (who, _DIGITS.sub("#", line))  # a time or a size that differs is no news
        if seen in self._known or len(self._known) > KNOWN_LIMIT:
            return
        self._known.add(seen)
        if len(self._known) > KNOWN_LIMIT:
            self._log.warning("more than %d different problems; further ones are only counted", KNOWN_LIMIT)
            return
        self._log.warning("%s%s", f"{who}: " if who else "", line)
