"""Claims about conformal prediction over machines: it holds what it promises, and says where it cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intervals import ends, problem
from train.conformal import ENOUGH, LEVELS, STAGES, Asked, interval_of, least, quantile
from train.intervals import held
from train.tasks.base import Reach

LIFE = Reach("rul", 0.9, 0.0, 100.0)
FREE = Reach("rul", 0.9)


def fleet(rng: np.random.Generator, machines: int, readings: int = 20, level: float = 0.0) -> Asked:
    """Machines with an error of their own beside that of each reading; with `level` both grow with the prediction."""
    machine = np.repeat(np.arange(machines), readings)
    predicted = rng.uniform(0, 100, machines * readings)
    error = rng.normal(size=machines)[machine] + 0.5 * rng.normal(size=len(machine))
    truth = predicted + error * (1 + level * predicted)
    seen = np.tile(np.arange(1, readings + 1), machines)
    ones = np.ones(len(machine))
    return Asked(machine.astype(str), seen, ones > 0, ones, predicted, truth)


def coverage(reach: Reach, machines: int, draws: int, level: float = 0.0) -> float:
    """Of one reading of one more machine, over many fleets."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(draws):
        table = interval_of(fleet(rng, machines, level=level), reach)
        assert table is not None and problem(table) == ""
        inside.append(held(table, fleet(rng, 40, 1, level))[0].mean())
    return float(np.mean(inside))


@pytest.mark.parametrize("machines", [9, 10, 19, 37])
def test_one_reading_a_machine_gives_the_textbook_quantile(machines: int) -> None:
    scores = np.random.default_rng(machines).normal(size=machines)
    place = math.ceil((machines + 1) * 0.9) - 1
    assert quantile(scores, np.arange(machines), np.ones(machines), 0.9) == np.sort(scores)[place]


def test_fewer_machines_than_the_share_needs_have_no_bound() -> None:
    assert [least(share) for share in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    for share in (0.5, 0.8, 0.9, 0.95):
        for machines in (least(share) - 1, least(share)):
            bound = quantile(np.arange(machines, dtype=np.float64), np.arange(machines), np.ones(machines), share)
            assert math.isinf(bound) == (machines < least(share))


def test_a_machine_counts_once_however_many_readings_it_has() -> None:
    scores, machine = np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4)
    told_often = np.repeat([0, 1, 2, 3], [1, 1, 1, 500])
    assert quantile(scores[told_often], machine[told_often], np.ones(503), 0.5) == quantile(
        scores, machine, np.ones(4), 0.5
    )


@pytest.mark.parametrize("machines", [9, 15, ENOUGH, 60])
def test_the_share_is_held_for_a_machine_that_is_exchangeable(machines: int) -> None:
    draws = 100
    # Of a fleet, coverage varies as a Beta does; the typical error, taken from the same fleet, costs up to 0.01.
    assert coverage(FREE, machines, draws) > 0.9 - 0.01 - 3 * math.sqrt(0.09 / machines / draws)


@pytest.mark.parametrize("machines", [30, 90])
def test_it_is_hardly_wider_than_it_must_be(machines: int) -> None:
    assert 0.89 < coverage(FREE, machines, 40) < 0.95


def test_each_level_of_the_prediction_holds_the_share() -> None:
    rng = np.random.default_rng(5)
    table = interval_of(fleet(rng, 400, level=0.1), FREE)
    assert table is not None and len(table.stages) == STAGES and len(table.stages[0].at) == LEVELS
    asked = fleet(rng, 2000, 5, level=0.1)
    inside, width = held(table, asked)
    low = asked.predicted < 20
    high = asked.predicted > 80
    assert 0.87 < inside[low].mean() < 0.94 and 0.87 < inside[high].mean() < 0.94
    assert width[high].mean() > 3 * width[low].mean()


def test_errors_that_lean_to_one_side_make_a_lopsided_interval() -> None:
    asked = fleet(np.random.default_rng(0), 60)
    late = Asked(asked.machine, asked.seen, asked.late, asked.weight, asked.predicted, asked.truth + 5.0)
    table = interval_of(late, FREE)
    assert table is not None and all(a > b + 5 for s in table.stages for a, b in zip(s.above, s.below, strict=True))


def test_too_few_machines_give_the_whole_range_or_none() -> None:
    few = fleet(np.random.default_rng(0), least(0.9) - 1)
    whole = interval_of(few, LIFE)
    assert whole is not None and problem(whole) == ""
    assert all(ends(whole, value, 1) == (0.0, 100.0) for value in (0.0, 33.0, 100.0))
    assert interval_of(few, FREE) is None


def test_a_small_fleet_has_fewer_parts() -> None:
    table = interval_of(fleet(np.random.default_rng(0), ENOUGH - 1), FREE)
    assert table is not None and [len(stage.at) for stage in table.stages] == [1]
    assert table.stages[0].below == table.stages[0].above


def test_a_truth_beyond_the_range_is_held_by_an_interval_that_ends_there() -> None:
    asked = fleet(np.random.default_rng(0), 60)
    beyond = Asked(asked.machine, asked.seen, asked.late, asked.weight, np.full(1200, 99.0), np.full(1200, 5000.0))
    table = interval_of(beyond, LIFE)
    assert table is not None and ends(table, 99.0, 5)[1] == 100.0 and held(table, beyond)[0].all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 12), st.sampled_from([0.0, 0.3]))
def test_every_table_can_be_served(seed: int, machines: int, readings: int, level: float) -> None:
    table = interval_of(fleet(np.random.default_rng(seed), machines, readings, level), LIFE)
    assert table is not None and problem(table) == ""
