"""From predictions to an alarm: hysteresis, so that it does not flicker, and hold, so that no outlier raises it."""

from __future__ import annotations

from dataclasses import dataclass

from edge.spec import AlarmSpec


@dataclass(slots=True)
class AlarmState:
    """One machine's alarm: `raised`, and how many predictions in a row (`streak`) asked for the opposite."""

    raised: bool = False
    streak: int = 0


def decide(state: AlarmState, value: float, spec: AlarmSpec) -> bool:
    """Take one warm prediction (the task's unit), advance `state` in place, and say whether the alarm is raised.

    Raised after `hold_readings` in a row below `raise_below` or above `raise_above`; cleared after as many that are
    above `clear_above` and below `clear_below`. A clear level that is not given is the raise level.
    """
    opposite = _clears(value, spec) if state.raised else _raises(value, spec)
    state.streak = state.streak + 1 if opposite else 0
    if state.streak >= spec.hold_readings:
        state.raised, state.streak = not state.raised, 0
    return state.raised


def _raises(value: float, spec: AlarmSpec) -> bool:
    below, above = spec.raise_below, spec.raise_above
    return (below is not None and value < below) or (above is not None and value > above)


def _clears(value: float, spec: AlarmSpec) -> bool:
    # At the raise level itself there is no alarm, so without a clear level equality clears; beyond one it does not.
    low = value > spec.clear_above if spec.clear_above is not None else not _raises(value, spec)
    high = value < spec.clear_below if spec.clear_below is not None else not _raises(value, spec)
    if spec.raise_below is None:
        return high
    return low if spec.raise_above is None else low and high
