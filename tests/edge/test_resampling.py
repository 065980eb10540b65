"""One reading a period: made of the past of that period alone, whatever came before, behind, or in which file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.checks import WAYS
from edge.readers.base import Record
from edge.readers.moments import merge
from edge.readers.resample import AGGREGATES, resample

OPEN = ((-math.inf, math.inf),)
LIMITS = ((-1e9, 1e9),)


def record(ts: float, value: float, failed: bool = False) -> Record:
    return Record("m", ts, [value], failed, "h.csv", 1)


def one(records: Sequence[Record], period: float, way: str = "mean") -> list[tuple[float, float, bool]]:
    return [(r.ts, r.values[0], r.failed) for r in resample(records, period, (way,), LIMITS)]


VALUE = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(2e9))
ROWS = st.lists(st.tuples(st.integers(-50, 500), VALUE, st.booleans()), min_size=1, max_size=60)


def records(rows: Sequence[tuple[int, float, bool]]) -> list[Record]:
    return merge([record(float(ts), value, failed) for ts, value, failed in rows], LIMITS).records


def same(left: Sequence[Record], right: Sequence[Record]) -> bool:
    return repr([(r.ts, r.values, r.failed) for r in left]) == repr([(r.ts, r.values, r.failed) for r in right])


def test_every_way_has_an_aggregate() -> None:
    assert set(AGGREGATES) == set(WAYS)


@pytest.mark.parametrize(("way", "value"), [("mean", 2.0), ("median", 1.0), ("last", 4.0), ("min", 1.0), ("max", 4.0)])
def test_a_period_is_what_came_behind_the_one_before(way: str, value: float) -> None:
    rows = [record(10, 9), record(11, 1), record(15, 1), record(20, 4), record(20.5, 7)]
    assert one(rows, 10, way) == [(10, 9, False), (20, value, False), (30, 7, False)]


def test_gaps_stay_gaps_and_absurd_values_do_not_count() -> None:
    rows = [record(1, 1), record(2, 2e9), record(3, math.nan), record(1000, 5), record(1001, math.nan)]
    found = one(rows, 1)
    assert [ts for ts, _, _ in found] == [1, 2, 3, 1000, 1001]
    assert [value == value for _, value, _ in found] == [True, False, False, True, False]


def test_a_failure_ends_its_period() -> None:
    rows = [record(11, 1), record(13, 3, True), record(14, 100), record(25, 7)]
    assert one(rows, 10) == [(20, 2, True), (30, 7, False)]


def test_tenths_of_seconds_since_1970_fall_into_their_periods() -> None:
    start = 1_772_323_200
    rows = [record(start + i / 10, i) for i in range(5000)]
    assert [(r[0], r[1]) for r in one(rows, 0.1)] == [(round(start + i / 10, 6), i) for i in range(5000)]


@given(ROWS, st.integers(0, 59), st.floats(-1e6, 1e6), st.sampled_from(WAYS), st.sampled_from([1.0, 3.0, 7.0, 60.0]))
def test_what_comes_later_never_changes_what_was(
    rows: list[tuple[int, float, bool]], at: int, value: float, way: str, period: float
) -> None:
    whole = records(rows)
    changed = whole[at % len(whole)]
    other = [replace(r, values=[value]) if r is changed else r for r in whole]
    cut = [r for r in whole if r.ts < changed.ts]
    before = [[r for r in resample(h, period, (way,), LIMITS) if r.ts < changed.ts] for h in (whole, other, cut)]
    assert same(before[0], before[1]) and same(before[0], [r for r in before[2] if r.ts < changed.ts])


@given(ROWS, st.sampled_from(WAYS), st.sampled_from([1.0, 3.0, 60.0]))
def test_what_is_regular_already_stays_as_it_is(rows: list[tuple[int, float, bool]], way: str, period: float) -> None:
    once = resample(records(rows), period, (way,), LIMITS)
    assert same(once, resample(once, period, (way,), LIMITS))


@given(ROWS, st.sampled_from([1.0, 3.0, 60.0]))
def test_stamps_rise_by_whole_periods_and_never_lie_before_their_readings(
    rows: list[tuple[int, float, bool]], period: float
) -> None:
    whole = records(rows)
    found = resample(whole, period, ("mean",), LIMITS)
    stamps = [r.ts for r in found]
    assert stamps == sorted(set(stamps)) and all(ts % period == 0 for ts in stamps)
    assert {math.ceil(r.ts / period) * period for r in whole} == set(stamps)
    assert sum(r.failed for r in found) <= sum(r.failed for r in whole)


@given(ROWS, st.integers(1, 400))
def test_a_piece_of_a_history_gives_a_piece_of_its_readings(rows: list[tuple[int, float, bool]], cut: int) -> None:
    whole = records(rows)
    start = cut - cut % 10
    late = resample([r for r in whole if r.ts > start], 10.0, ("mean",), LIMITS)
    assert same(late, [r for r in resample(whole, 10.0, ("mean",), LIMITS) if r.ts > start])


@given(ROWS, st.randoms())
def test_rows_may_come_in_any_order(rows: list[tuple[int, float, bool]], random: object) -> None:
    apart = list({ts: (ts, value, failed) for ts, value, failed in rows}.values())
    shuffled = sorted(apart, key=lambda row: hash((row[0] * 7919) % 31))
    assert same(resample(records(apart), 7.0, ("mean",), LIMITS), resample(records(shuffled), 7.0, ("mean",), LIMITS))


def test_rows_of_one_moment_fill_each_other_up() -> None:
    nan, open_two = math.nan, (*OPEN, *OPEN)
    rows = [Record("m", 1.0, [nan, 2.0], False, "a", 2), Record("m", 1.0, [5.0, nan], True, "b", 2)]
    found = merge([*rows, Record("m", 1.0, [6.0, 2.0], False, "c", 2), *rows], open_two)
    assert [(r.values, r.failed) for r in found.records] == [([5.0, 2.0], True)]
    assert (found.same, found.different) == (2, 1)
