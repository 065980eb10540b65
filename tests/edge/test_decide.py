"""The alarm rises after holding, clears after the hysteresis, and ignores a single outlier."""

from __future__ import annotations

import pytest

from edge.decide import AlarmState, decide
from edge.spec import AlarmSpec


def alarms(spec: AlarmSpec, values: list[float]) -> str:
    state = AlarmState()
    return "".join("x" if decide(state, value, spec) else "." for value in values)


@pytest.mark.parametrize(
    ("spec", "values", "want"),
    [
        (AlarmSpec(), [0, 1e9, -1e9], "..."),
        (AlarmSpec(raise_below=30), [31, 30, 29, 30, 31], "..x.."),
        (AlarmSpec(raise_below=30, clear_above=40), [29, 35, 40, 41, 35], "xxx.."),
        (AlarmSpec(raise_below=30, clear_above=40, hold_readings=2), [29, 31, 29, 28, 41, 39, 41, 42], "...xxxx."),
        (AlarmSpec(raise_above=0.8, clear_below=0.5), [0.8, 0.9, 0.6, 0.5, 0.4], ".xxx."),
        (AlarmSpec(raise_above=0.8), [0.9, 0.8, 0.9], "x.x"),
        (AlarmSpec(raise_below=10, raise_above=90, clear_above=20, clear_below=80), [50, 5, 15, 85, 50, 95], ".xxx.x"),
    ],
)
def test_alarm_follows_levels_hysteresis_and_hold(spec: AlarmSpec, values: list[float], want: str) -> None:
    assert alarms(spec, values) == want
