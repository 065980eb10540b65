"""Claims about who teaches, who tells when to stop, and who judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from edge.spec import Project, parse_project
from train.data.history import History, machines
from train.data.split import cuts, folds, split


def project(**train: Any) -> Project:
    return parse_project(
        {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}}, "task": {"kind": "rul"}, "train": train}
    )


def fleet(failed: int, censored: int = 0, lives: int = 2, length: int = 30) -> list[History]:
    """Machines with `lives` lives each, the last of which failed or not."""
    made = []
    for m in range(failed + censored):
        for life in range(lives):
            x = np.full((length, 1), m, np.float32)
            made.append(
                History(f"m{m}", life, np.arange(length, dtype=float), x, m < failed, 0.0 if m < failed else None)
            )
    return made


def names(histories: Sequence[History]) -> set[str]:
    return set(machines(histories))


@given(st.integers(3, 40), st.integers(0, 20), st.floats(0.05, 0.3), st.floats(0.05, 0.3), st.integers(0, 99))
def test_every_machine_is_in_one_group_with_all_its_lives(
    failed: int, censored: int, validation: float, test: float, seed: int
) -> None:
    histories = fleet(failed, censored)
    parts = split(histories, project(validation_share=validation, test_share=test, seed=seed))
    groups = [parts.train, parts.validation, parts.test]
    assert sum(len(g) for g in groups) == len(histories)
    assert sum(len(names(g)) for g in groups) == failed + censored
    assert all(any(h.failed for h in g) for g in groups)


def test_seeds_reproduce_and_differ() -> None:
    histories = fleet(30)
    drawn = [names(split(histories, project(seed=s)).test) for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_given_test_files_take_no_machine_away() -> None:
    other = fleet(2)
    parts = split(fleet(10), project(), other)
    assert parts.test == other and len(names(parts.train) | names(parts.validation)) == 10


@pytest.mark.parametrize(
    ("failed", "tables", "says"),
    [
        (2, {}, "2 of 12 machines ran to failure"),
        (0, {}, "0 of 10 machines"),
        (9, {"validation_share": 0.0}, "train.validation_share"),
        (9, {"test_share": 0.0}, "train.test_share"),
    ],
)
def test_too_few_machines_are_an_error_that_says_so(failed: int, tables: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        split(fleet(failed, 10), project(**tables))


def test_a_share_that_cannot_help_is_not_offered() -> None:
    with pytest.raises(DataError) as few:
        split(fleet(2), project())
    with pytest.raises(DataError) as shares:
        split(fleet(4), project(validation_share=0.5, test_share=0.5))
    assert "lower train" not in str(few.value) and "lower train.validation_share" in str(shares.value)


def test_folds_hold_every_machine_once_and_share_none() -> None:
    histories = fleet(11, 7)
    held = []
    for others, fold in folds(histories, 5, 0):
        assert not names(others) & names(fold) and len(others) + len(fold) == len(histories)
        held += sorted(names(fold))
    assert sorted(held) == sorted(names(histories))


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(DataError, match="5 folds need 10 machines"):
        list(folds(fleet(9), 5, 0))


def test_cut_offs_are_inside_the_life_and_hang_on_the_machine_alone() -> None:
    histories = fleet(6, lives=1)
    drawn = cuts(histories, 5, 3, 4, 10, True)
    assert len(drawn) == 6 * 12
    assert all(c.start >= 0 and c.start + 10 <= c.stop <= 30 for c in drawn)
    alone = cuts(histories[4:5], 5, 3, 4, 10, True)
    assert [(c.start, c.stop) for c in alone] == [(c.start, c.stop) for c in drawn if c.index == 4]


def test_without_mid_life_a_cut_off_begins_at_the_first_reading() -> None:
    assert {c.start for c in cuts(fleet(3), 5, 1, 9, 50, False)} == {0}


def lives(count: int, open_end: bool, machine: str = "m") -> list[History]:
    """Lives of one machine, one behind the other; the last one may not have ended."""
    made = []
    for life in range(count):
        failed = life < count - 1 or not open_end
        ts = np.arange(20, dtype=float) + 100 * life
        made.append(History(machine, life, ts, np.zeros((20, 1), np.float32), failed, 0.0 if failed else None))
    return made


@given(st.integers(4, 30), st.booleans(), st.integers(0, 3))
def test_in_time_lives_stay_whole_and_later_ones_judge(count: int, open_end: bool, others: int) -> None:
    histories = lives(count, open_end) + [h for m in range(others) for h in lives(2, False, f"o{m}")]
    parts = split(histories, project(split="time"))
    mine = [[h.life for h in part if h.machine == "m"] for part in (parts.train, parts.validation, parts.test)]
    assert mine[0] + mine[1] + mine[2] == list(range(count)) and all(mine)
    assert all(any(h.failed for h in part) for part in (parts.train, parts.validation, parts.test))
    assert sum(map(len, (parts.train, parts.validation, parts.test))) == len(histories)


def test_in_time_a_single_life_cannot_judge_itself() -> None:
    with pytest.raises(DataError, match="not every group holds a life that ran to failure"):
        split(lives(1, False), project(split="time"))
