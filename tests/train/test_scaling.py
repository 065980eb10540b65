"""Claims about scaling, with and without operating regimes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import DataError
from edge.spec import Project, parse_project
from train.data.history import History, inputs
from train.data.scale import Scaler


def project(**tables: Any) -> Project:
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x.csv"},
            "signals": {"a": {}, "b": {}},
            "task": {"kind": "rul"},
            **tables,
        }
    )


def history(x: Any, machine: str = "m") -> History:
    values: NDArray[np.float32] = np.asarray(x, np.float32)
    return History(machine, 0, np.arange(len(values), dtype=np.float64), values, True, 0.0)


def three_regimes(seed: int = 0, rows: int = 900) -> NDArray[np.float32]:
    """Columns a, b, load: level and spread of a and b hang on the load (0, 5 or 20)."""
    rng = np.random.default_rng(seed)
    load = rng.choice([0.0, 5.0, 20.0], rows)
    a = load * 100 + rng.normal(size=rows) * (1 + load)
    b = -load + rng.normal(size=rows)
    return np.stack([a, b, load], 1).astype(np.float32)


REGIME = {"regime": {"columns": ["load"], "count": 6}}


def test_scaled_training_data_has_zero_mean_and_unit_variance() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2)) * [3, 0.01] + [1000, -5]
    scaled = Scaler.fit([history(x)], project())(torch.tensor(x, dtype=torch.float32))
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-2)


def test_every_regime_is_normalised_on_its_own() -> None:
    x = three_regimes()
    scaled = Scaler.fit([history(x)], project(**REGIME))(torch.from_numpy(x)).numpy()
    for load in (0.0, 5.0, 20.0):
        within = scaled[x[:, 2] == load][:, :2]
        np.testing.assert_allclose(within.mean(0), 0, atol=0.05)
        np.testing.assert_allclose(within.std(0), 1, atol=0.05)


def test_the_regime_column_itself_stays_visible() -> None:
    x = three_regimes()
    scaled = Scaler.fit([history(x)], project(**REGIME))(torch.from_numpy(x)).numpy()
    assert len({round(float(v), 3) for v in scaled[:, 2]}) == 3


def test_no_more_regimes_than_conditions() -> None:
    assert len(Scaler.fit([history(three_regimes())], project(**REGIME)).centres) == 3


@pytest.mark.parametrize("tables", [{}, REGIME], ids=["plain", "regimes"])
def test_one_reading_scales_as_a_whole_history_does(tables: dict[str, Any]) -> None:
    x = three_regimes(rows=60)[:, : 3 if tables else 2]
    scaler = Scaler.fit([history(x)], project(**tables))
    whole = scaler(torch.from_numpy(x)[None])
    for t in range(len(x)):
        assert torch.equal(scaler(torch.from_numpy(x[t])[None]), whole[:, t])


@pytest.mark.parametrize("tables", [{}, REGIME], ids=["plain", "regimes"])
def test_a_constant_channel_becomes_zero_and_stays_finite(tables: dict[str, Any]) -> None:
    x = three_regimes()
    x[:, 1] = 518.67
    scaler = Scaler.fit([history(x[:, : 3 if tables else 2])], project(**tables))
    moved = torch.from_numpy(x[:, : 3 if tables else 2].copy())
    moved[:, 1] += 1.0
    assert not scaler(moved)[:, 1].any()


@pytest.mark.parametrize("tables", [{}, REGIME], ids=["plain", "regimes"])
def test_a_scaler_comes_back_from_its_state(tables: dict[str, Any]) -> None:
    x = three_regimes()[:, : 3 if tables else 2]
    scaler = Scaler.fit([history(x)], project(**tables))
    again = Scaler.blank(project(**tables), scaler.state_dict())
    again.load_state_dict(scaler.state_dict())
    assert torch.equal(again(torch.from_numpy(x)), scaler(torch.from_numpy(x)))


def test_missing_beginnings_are_filled_with_the_training_mean() -> None:
    x = np.array([[np.nan, 1.0], [2.0, 1.5], [4.0, np.nan]])
    scaler = Scaler.fit([history(x)], project())
    assert scaler.fill.tolist() == [3.0, 1.25]
    filled = inputs(history(x), scaler.fill)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled, [[3.0, 1.0], [2.0, 1.5], [4.0, 1.25]])


def test_a_channel_that_only_held_out_machines_have_is_named_with_the_way_out() -> None:
    x = np.array([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(DataError, match=r"`b` has no usable value on any training machine.*take `b` out"):
        Scaler.fit([history(x)], project())


def test_only_buffers_so_that_nothing_is_learnt() -> None:
    assert not list(Scaler.fit([history(three_regimes())], project(**REGIME)).parameters())


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30), st.integers(1, 8))
def test_scaling_is_finite_whatever_the_load(loads: list[float], count: int) -> None:
    x = np.stack([np.arange(len(loads)), np.ones(len(loads)), loads], 1).astype(np.float32)
    scaler = Scaler.fit([history(x)], project(regime={"columns": ["load"], "count": count}))
    outside = np.concatenate([x, x * 10 + 3])
    assert torch.isfinite(scaler(torch.from_numpy(outside))).all()
    share = scaler.membership(torch.from_numpy(outside))
    np.testing.assert_allclose(share.sum(-1), 1, atol=1e-5)


def test_held_values_neither_move_the_mean_nor_shrink_the_deviation() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(10, 2, (400, 2)).astype(np.float32)
    mask = np.ones((400, 2), np.bool_)
    held, mask[50:350, 0] = x.copy(), False
    held[50:350, 0] = x[49, 0]
    one = History("m", 0, np.arange(400.0), held, True, 0.0, mask=mask)
    scaler = Scaler.fit([one], project())
    present = x[mask[:, 0], 0].astype(np.float64)
    np.testing.assert_allclose(scaler.mean[0], present.mean(), rtol=1e-6)
    np.testing.assert_allclose(scaler.scale[0], 1 / present.std(), rtol=1e-6)


def test_a_regime_that_is_held_is_the_one_that_was_last_seen() -> None:
    x = three_regimes()
    mask = np.ones(x.shape, np.bool_)
    mask[1::2, 2] = False
    held = x.copy()
    held[1::2] = held[0::2]  # condition and sensors of the reading before
    fitted = Scaler.fit([History("m", 0, np.arange(900.0), held, True, 0.0, mask=mask)], project(**REGIME))
    assert len(fitted.centres) == 3


@pytest.mark.parametrize("columns", [(), ("load",)], ids=["plain", "regimes"])
def test_the_inverse_gives_the_readings_back(columns: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    load = rng.choice([60.0, 100.0], 400)
    x = np.stack([101_325 + 10 * rng.normal(size=400) + load, np.full(400, 7.0), load], 1).astype(np.float32)
    history = History("m", 0, np.arange(400, dtype=float), x, False, None)
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "task": {"kind": "forecast"}}
    of = parse_project({**table, "signals": {"a": {}, "b": {}, "load": {}}, "regime": {"columns": list(columns)}})
    scaler = Scaler.fit([history], of)
    back, deviation = scaler.inverse(scaler(torch.from_numpy(x)))
    np.testing.assert_allclose(back.numpy(), x, rtol=1e-6)
    assert (deviation.broadcast_to(back.shape)[:, 1] == 0).all() and (deviation[..., 0] > 1).all()
