"""Claims about the search for the widest model that a budget allows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ProjectError
from train.sizing import WIDEST, largest, widest


@given(st.integers(1, 40), st.integers(0, 100), st.integers(1, 12), st.integers(1, 3000), st.integers(0, 200_000))
@settings(max_examples=200)
def test_the_largest_width_is_the_one_that_trying_all_would_find(
    slope: int, base: int, multiple: int, limit: int, most: int
) -> None:
    def sized(width: int) -> int | None:
        return None if width % multiple or width > limit else base + slope * width + width * width // 7

    fits = [w for w in range(1, limit + 1) if (n := sized(w)) is not None and n <= most]
    assert largest(sized, most) == (fits[-1] if fits else None)
    assert largest(lambda width: 1, most=1) == WIDEST


def test_refusals_are_told_only_where_no_width_was_accepted() -> None:
    def size(width: int) -> int:
        if width < 300:
            raise ProjectError(f"{width} is too narrow")
        return width

    assert widest(size, 500) == 500 and widest(size, 100) is None
    with pytest.raises(ProjectError, match=r"^1 is refused"):
        widest(refuse, 100)


def test_what_no_width_mends_is_told_soon() -> None:
    asked = []

    def size(width: int) -> int:
        asked.append(width)
        return refuse(width)

    with pytest.raises(ProjectError):
        widest(size, 100)
    assert len(asked) < 1000


def refuse(width: int) -> int:
    raise ProjectError(f"{width} is refused")


def test_a_search_draws_no_random_number_of_anybody_else() -> None:
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    assert widest(lambda width: torch.nn.Linear(width, 2).weight.numel(), 20) == 10
    assert torch.equal(torch.rand(3), want)
