"""What the device says about one reading: a pure function of the readings, the same bytes however often it is said."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Prediction(NamedTuple):
    """The answer to one reading of one machine.

    `ts` is the reading's, in seconds; `seq` counts the machine's predictions from 1; `outputs` are in the task's units,
    by name and in the manifest's order, the ends of an interval (`rul_low`, `rul_high`) behind the output it is around;
    `gap_s` is the time since the previous reading (None for the first); `warm` says whether the outputs count yet;
    `model` is the bundle's.
    """

    ts: float
    machine: str
    seq: int
    outputs: dict[str, float]
    alarm: bool
    warm: bool
    gap_s: float | None
    model: str

    def table(self) -> dict[str, object]:
        """The message's keys and values, in the message's order."""
        return {
            "ts": self.ts,
            "machine": self.machine,
            "seq": self.seq,
            **self.outputs,
            "alarm": self.alarm,
            "warm": self.warm,
            "gap_s": self.gap_s,
            "model": self.model,
        }


class Reason(StrEnum):
    """Why a reading got no prediction; the value is its name in the status message."""

    DUPLICATE = "duplicate"
    LATE = "late"
    AHEAD = "ahead"
    NO_VALUE = "no_value"
    NOT_FINITE = "not_finite"
    PAYLOAD = "payload"
    TOPIC = "topic"
    TOO_MANY_MACHINES = "too_many_machines"
    UNDATED = "undated"
    INTERNAL = "internal"


class Rejected(NamedTuple):
    """A reading that got no prediction and left the machine's state as it was: its kind, and one clear line."""

    reason: Reason
    line: str
