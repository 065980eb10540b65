"""The table of intervals as a device looks it up: inside the range, around the prediction, never jumping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intervals import Interval, Stage, ends, keys, problem

CAP = 125.0
STAGE = Stage(0, (10.0, 60.0, 120.0), (4.0, 20.0, 30.0), (6.0, 25.0, 2.0))
INTERVAL = Interval("rul", 0.9, 40, (STAGE, replace(STAGE, since=50, below=(1.0, 2.0, 3.0))), 0.0, CAP)

values = st.floats(0, CAP)


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """Any table whose ends do not fall."""
    at = sorted(draw(st.lists(st.integers(0, 1250), min_size=1, max_size=8, unique=True)))
    lows = sorted(draw(st.lists(st.integers(-500, 1500), min_size=len(at), max_size=len(at))))
    highs = sorted(draw(st.lists(st.integers(-500, 2500), min_size=len(at), max_size=len(at))))
    below = [max(a - low, 0) / 10 for a, low in zip(at, lows, strict=True)]
    above = [max(high - a, 0) / 10 for a, high in zip(at, highs, strict=True)]
    return Stage(0, tuple(a / 10 for a in at), tuple(below), tuple(above))


tables = st.builds(lambda stage: Interval("rul", 0.9, 40, (stage,), 0.0, CAP), stages())


@given(tables, values)
def test_an_interval_holds_its_prediction_and_stays_in_the_range(table: Interval, value: float) -> None:
    assert problem(table) == ""
    low, high = ends(table, value, 1)
    assert 0.0 <= low <= value + 1e-9 and value - 1e-9 <= high <= CAP


@given(tables, values, values)
def test_no_end_falls_where_the_prediction_rises(table: Interval, one: float, other: float) -> None:
    (low, high), (later_low, later_high) = (ends(table, value, 1) for value in sorted((one, other)))
    assert low <= later_low + 1e-9 and high <= later_high + 1e-9


@given(tables, values)
def test_a_little_more_moves_an_end_a_little(table: Interval, value: float) -> None:
    steepest = 1 + max((*table.stages[0].below, *table.stages[0].above)) / 0.1  # levels are at least 0.1 apart
    for end, moved in zip(ends(table, value, 1), ends(table, value + 1e-6, 1), strict=True):
        assert abs(moved - end) <= 1e-6 * steepest + 1e-9


def test_levels_are_joined_by_straight_lines() -> None:
    assert ends(INTERVAL, 10.0, 1) == (6.0, 16.0)
    assert ends(INTERVAL, 35.0, 1) == (35.0 - 12.0, 35.0 + 15.5)
    assert ends(INTERVAL, 2.0, 1) == (0.0, 8.0) and ends(INTERVAL, 124.0, 1) == (94.0, CAP)


def test_who_has_seen_more_is_told_from_a_later_stage() -> None:
    assert ends(INTERVAL, 10.0, 49) == (6.0, 16.0) and ends(INTERVAL, 10.0, 50) == (9.0, 16.0)


def test_an_output_without_a_range_has_ends_without_one() -> None:
    assert ends(replace(INTERVAL, low=None, high=None), 2.0, 1) == (-2.0, 8.0)


def test_the_ends_are_named_after_their_output() -> None:
    assert keys("rul") == ("rul_low", "rul_high")


CHANGES: list[tuple[Callable[[Interval], Any], str]] = [
    (lambda one: replace(one, share=1.0), "share"),
    (lambda one: replace(one, stages=()), "no stage"),
    (lambda one: replace(one, stages=one.stages[::-1]), "order"),
    (lambda one: replace(one, stages=(replace(STAGE, below=(1.0,)),)), "length"),
    (lambda one: replace(one, stages=(Stage(0, (), (), ()),)), "empty"),
    (lambda one: replace(one, stages=(replace(STAGE, above=(1.0, float("inf"), 1.0)),)), "not finite"),
    (lambda one: replace(one, stages=(replace(STAGE, at=(10.0, 10.0, 120.0)),)), "do not rise"),
    (lambda one: replace(one, stages=(replace(STAGE, below=(-1.0, 1.0, 1.0)),)), "away"),
    (lambda one: replace(one, stages=(replace(STAGE, above=(90.0, 10.0, 1.0)),)), "falls"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES, ids=[says for _, says in CHANGES])
def test_a_table_that_cannot_be_is_named(change: Callable[[Interval], Interval], says: str) -> None:
    assert problem(INTERVAL) == "" and says in problem(change(INTERVAL))
