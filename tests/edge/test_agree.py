"""Agreement: finite first, then length, then tolerance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.agree import agree

FINITE = st.floats(-1e6, 1e6)


@given(st.lists(FINITE, min_size=1), st.data())
def test_one_nan_or_infinity_anywhere_never_agrees(values: list[float], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values) - 1))
    bad = list(values)
    bad[at] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    assert not agree(bad, values, math.inf).ok
    assert not agree(values, bad, math.inf).ok
    assert not agree(bad, bad, math.inf).ok


@given(st.lists(FINITE, min_size=1), st.floats(0, 10))
def test_the_worst_difference_decides(values: list[float], tolerance: float) -> None:
    moved = [*values[:-1], values[-1] + 5.0]
    found = agree(moved, values, tolerance)
    assert found.ok == (abs(moved[-1] - values[-1]) <= tolerance)
    assert found.worst == pytest.approx(abs(moved[-1] - values[-1]))


def test_a_missing_row_is_a_difference() -> None:
    found = agree([1.0, 2.0], [1.0, 2.0, 3.0], 1.0)
    assert not found.ok and "2 values where 3" in found.why


def test_nothing_agrees_with_nothing_and_no_tolerance_is_none() -> None:
    assert not agree([], [], 1.0).ok
    assert not agree([1.0], [1.0], math.nan).ok
