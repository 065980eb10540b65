"""Readings in, predictions out, one state a machine. No clock, no files, no network: same readings, same bytes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from device.backends.base import Backend
from device.prediction import Prediction, Reason, Rejected
from device.snapshot import Snapshot, pack, unpack
from edge.bundle import Bundle
from edge.clean import clean, limits_of, present
from edge.decide import AlarmState, decide
from edge.intervals import around, keys


@dataclass(slots=True)
class Machine:
    """What is remembered of a machine. `held` [C] are the last good values; `readings` counts since a reset."""

    state: Any
    held: array[float]
    ts: float | None = None
    seq: int = 0
    readings: int = 0
    alarm: AlarmState = field(default_factory=AlarmState)


class Runtime:
    """Serves one bundle through one backend. Used by the daemon and, offline, by everything that must agree with it."""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        """`backend` runs a file of `bundle`."""
        manifest = bundle.manifest
        self.model = manifest.model
        self.backend = backend
        self.machines: dict[str, Machine] = {}
        self.values_held = 0
        """Values, over all machines, that were missing or implausible and replaced by the last good one."""
        self._outputs = tuple(output.name for output in manifest.outputs)
        tables = {interval.output: around(interval) for interval in manifest.intervals}
        self._around = tuple((name, tables.get(name), *keys(name)) for name in self._outputs) if tables else ()
        self._fill = array("f", [channel.fill for channel in manifest.channels])
        self._limits = limits_of([channel.name for channel in manifest.channels], manifest.project.signals)
        self._takes = manifest.takes
        self._timing = manifest.project.timing
        self._alarm = manifest.project.alarm

    def feed(self, machine: str, ts: float, values: Sequence[float]) -> Prediction | Rejected:
        """Take a reading: `ts` in seconds, `values` [C] in channel order and sensors' units, NaN where missing.

        A reading that is not newer than the machine's last one, has no usable value, or makes the model answer with a
        number that is not finite, is rejected and leaves everything as it was.
        """
        known = self.machines.get(machine)
        one = known if known is not None else self._new()
        gap = None
        if one.ts is not None:
            gap = ts - one.ts
            if gap <= 0:
                return _not_newer(ts, one.ts)
        again = gap is not None and gap > self._timing.max_gap_s and self._timing.on_gap == "reset"
        base = self._new() if again else one
        # Cleaned in double precision, as histories are: 99.9 is not above a limit of 99.9, its float32 is.
        taken, held = list(values), base.held[:]
        replaced = clean(taken, held, self._limits)
        if replaced == len(taken):
            return Rejected(Reason.NO_VALUE, "no channel has a plausible value")
        if self._takes:
            taken += self._more(values, 0.0 if gap is None or again else gap)
        y = self.backend.step(array("f", taken), base.state)
        if y is None:
            return Rejected(Reason.NOT_FINITE, "the model's answer is not finite")
        if again:
            one.state, one.readings, one.alarm = base.state, 0, base.alarm
        self.values_held += replaced
        one.held, one.ts = held, ts
        one.seq += 1
        one.readings += 1
        if known is None:
            self.machines[machine] = one
        warm = one.readings >= self._timing.warm_up_readings
        alarm = decide(one.alarm, y[0], self._alarm) if warm else one.alarm.raised
        outputs = self._named(y, one.readings)
        rounded = None if gap is None else round(gap, 6)
        return Prediction(ts, machine, one.seq, outputs, alarm, warm, rounded, self.model)

    def _named(self, y: Sequence[float], seen: int) -> dict[str, float]:
        """Outputs by name, each with the ends of its interval behind it, where it has one; seven digits."""
        if not self._around:
            return {name: float(f"{value:.7g}") for name, value in zip(self._outputs, y, strict=True)}
        named = {}
        for (name, ends, below, above), value in zip(self._around, y, strict=True):
            named[name] = float(f"{value:.7g}")
            if ends is not None:
                low, high = ends(value, seen)
                named[below], named[above] = float(f"{low:.7g}"), float(f"{high:.7g}")
        return named

    def reset(self, machine: str) -> bool:
        """The machine was repaired: forget all but its `seq`. False where the machine is not known.

        Its last `ts` is forgotten too, which frees a machine whose clock once ran ahead.
        """
        one = self.machines.get(machine)
        if one is None:
            return False
        fresh = self._new()
        one.state, one.held, one.ts, one.readings, one.alarm = fresh.state, fresh.held, None, 0, fresh.alarm
        return True

    def snapshot(self, machine: str) -> bytes:
        """All that is remembered of a known machine, in canonical form: any backend of the same model restores it."""
        one = self.machines[machine]
        tensors = [one.held, *self.backend.dump_state(one.state)]
        return pack(Snapshot(self.model, one.ts, one.seq, one.readings, one.alarm.raised, one.alarm.streak, tensors))

    def restore(self, machine: str, content: bytes) -> None:
        """The inverse of `snapshot`. Raises DataError for a damaged snapshot, or one of another model."""
        sizes = [len(self._fill), *(state.size for state in self.backend.bundle.manifest.states)]
        saved = unpack(content, self.model, sizes)
        held, *tensors = saved.tensors
        state, alarm = self.backend.load_state(tensors), AlarmState(saved.raised, saved.streak)
        self.machines[machine] = Machine(state, held, saved.ts, saved.seq, saved.readings, alarm)

    def _more(self, values: Sequence[float], gap: float) -> list[float]:
        """What the model takes behind the channels; `gap` seconds since the reading before."""
        parts = {"dt": [gap]}
        if "mask" in self._takes:
            parts["mask"] = present(values, self._limits)
        return [value for name in self._takes for value in parts[name]]

    def _new(self) -> Machine:
        return Machine(self.backend.new_state(), self._fill[:])


def _not_newer(ts: float, last: float) -> Rejected:
    if ts == last:
        return Rejected(Reason.DUPLICATE, f"ts {ts!r} was already taken")
    way = 'if its clock once ran ahead, {"event": "repaired"} on the control topic frees it'
    return Rejected(Reason.LATE, f"ts {ts!r} is not after {last!r}, the last one taken; {way}")
