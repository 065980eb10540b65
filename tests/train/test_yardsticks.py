"""Claims about the baselines that only a ranking asks: right where the answer is known, and blind to the future."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import MissingExtra, ProjectError
from edge.spec import Project, parse_project
from train.baselines import constant
from train.baselines.arima import arima
from train.baselines.health_states import Chain, health_states
from train.baselines.mean_life import mean_life
from train.baselines.persistence import persistence
from train.baselines.window_ridge import window_ridge
from train.build import build_task
from train.data.history import History
from train.data.split import Split
from train.tasks.base import Array, Baseline, Predict, Task

TABLE = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}, "b": {}}}


def project(kind: str = "rul", **options: float) -> Project:
    return parse_project({**TABLE, "task": {"kind": kind, **options}})


def forecasting() -> Task:
    """Both channels, the second one first."""
    return build_task(
        parse_project({**TABLE, "task": {"kind": "forecast", "horizons": [1, 4], "channels": ["b", "a"]}})
    )


def record(x: Array, name: str = "m", mask: Array | None = None) -> History:
    ts = np.arange(len(x), dtype=float)
    return History(name, 0, ts, x, True, 0.0, None, np.isfinite(x) if mask is None else mask.astype(bool))


def wandering(steps: int, seed: int) -> History:
    """`a` an AR(1) with 0.9 about 50, `b` a random walk."""
    rng = np.random.default_rng(seed)
    a, b = np.zeros(steps), np.cumsum(rng.normal(size=steps))
    for t in range(1, steps):
        a[t] = 0.9 * a[t - 1] + rng.normal()
    return record(np.stack([50 + a, b], 1).astype(np.float32), f"m{seed}")


@pytest.fixture(scope="module")
def wanderers() -> Split:
    return Split([wandering(3000, 0), wandering(200, 1)], [wandering(1500, 2)], [wandering(300, 3)])


@pytest.fixture(scope="module")
def forecasts(wanderers: Split) -> Predict:
    return arima(project(), forecasting(), wanderers)


def test_persistence_says_the_last_value_at_every_horizon_in_the_order_of_the_outputs(wanderers: Split) -> None:
    history = wanderers.test[0]
    found = persistence(project(), forecasting(), wanderers)([history])[0]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, history.x[:, [1, 0, 1, 0]])


def test_persistence_says_the_training_mean_before_the_first_value(wanderers: Split) -> None:
    x = wanderers.test[0].x.copy()
    x[:5, 0] = np.nan
    found = persistence(project(), forecasting(), wanderers)([record(x)])[0]
    mean = np.concatenate([h.x[:, 0] for h in wanderers.train]).mean()
    np.testing.assert_allclose(found[:5, 1], mean, rtol=1e-4)
    np.testing.assert_array_equal(found[5:, 1], x[5:, 0])


def test_arima_forecasts_an_autoregression_and_a_random_walk_as_theory_does(
    wanderers: Split, forecasts: Predict
) -> None:
    history = wanderers.test[0]
    found = forecasts([history])[0]
    assert found.shape == (len(history), 4) and found.dtype == np.float32
    a, b = history.x[:, 0].astype(float), history.x[:, 1].astype(float)
    for column, horizon in ((1, 1), (3, 4)):
        right = 50 + 0.9**horizon * (a - 50)
        stays = np.abs(a - right)[20:].mean()
        assert np.abs(found[20:, column] - right[20:]).mean() < 0.4 * stays, "far nearer than persistence"
    for column in (0, 2):
        assert np.abs(found[20:, column] - b[20:]).mean() < 0.1, "a tenth of one step of the walk"


def test_arima_beats_persistence_where_a_channel_returns_to_its_mean(wanderers: Split, forecasts: Predict) -> None:
    history = wanderers.test[0]
    truth = history.x[4:, 0]
    models = (forecasts, persistence(project(), forecasting(), wanderers))
    by_arima, by_persistence = (np.square(model([history])[0][:-4, 3] - truth).mean() for model in models)
    assert by_arima < 0.9 * by_persistence, "theory says 0.83"


def test_the_ridge_on_a_window_forecasts_what_returns_to_its_mean_and_what_swings(wanderers: Split) -> None:
    history = wanderers.test[0]
    found = window_ridge(project(), forecasting(), wanderers)([history])[0]
    a, b = history.x[:, 0].astype(float), history.x[:, 1].astype(float)
    right = 50 + 0.9**4 * (a - 50)
    assert np.abs(found[100:, 3] - right[100:]).mean() < 0.5 * np.abs(a - right)[100:].mean()
    assert np.abs(found[100:, 2] - b[100:]).mean() < 0.5 * np.abs(np.diff(b)).mean(), "a walk stays"


def test_the_ridge_learns_from_what_is_known_where_values_are_missing(wanderers: Split) -> None:
    rng = np.random.default_rng(0)

    def thinned(history: History) -> History:
        gone = rng.random(history.x.shape) < 0.4
        gone[0] = False
        held = np.maximum.accumulate(np.where(gone, 0, np.arange(len(gone))[:, None]), axis=0)
        return replace(history, x=np.take_along_axis(history.x, held, 0), mask=~gone)

    few = Split([thinned(wanderers.train[1])], [thinned(h) for h in wanderers.validation], [])
    history = thinned(wanderers.test[0])
    models = (window_ridge(project(), forecasting(), few), persistence(project(), forecasting(), few))
    truth, known = history.x[4:, 0], history.mask[4:, 0]
    ours, stays = (np.square(model([history])[0][:-4, 3] - truth)[known].mean() for model in models)
    assert np.isfinite(ours) and ours < stays


def test_arima_takes_what_is_missing_for_missing(wanderers: Split, forecasts: Predict) -> None:
    history = wanderers.test[0]
    mask = np.ones_like(history.x)
    mask[100:140, 0] = 0
    held = history.x.copy()
    held[100:140, 0] = held[99, 0]
    found = forecasts([record(held, mask=mask)])[0]
    assert abs(found[99, 1] - 50) > 1.0, "the stretch begins away from the mean"
    assert abs(found[139, 1] - 50) < 0.5, "forty readings without news: back at the mean"
    assert np.isfinite(found).all()


def test_arima_says_what_a_dead_channel_always_said() -> None:
    dead = record(np.tile(np.array([7.0, 3.0], np.float32), (120, 1)))
    parts = Split([dead], [dead], [])
    found = arima(project(), forecasting(), parts)([dead])[0]
    np.testing.assert_allclose(found[5:], np.tile([3.0, 7.0, 3.0, 7.0], (115, 1)), rtol=1e-4)


def wearing(count: int, seed: int) -> list[History]:
    """Machines with three plateaus of wear, each of its own length."""
    rng, made = np.random.default_rng(seed), []
    for m in range(count):
        level = np.repeat([0.0, 5.0, 10.0], rng.integers(15, 25, 3))
        x = np.stack([level, level[::-1] * 0], 1) + rng.normal(scale=0.5, size=(len(level), 2))
        made.append(record(x.astype(np.float32), f"w{seed}-{m}"))
    return made


def changed_behind(history: History, at: int) -> History:
    """The same record with another future."""
    x = history.x.copy()
    x[at:] = x[at:] * -3 + 11
    return replace(history, x=x)


@pytest.mark.parametrize("fitted_by", [health_states, mean_life])
def test_what_reads_lives_sees_no_future(fitted_by: Baseline) -> None:
    of = project(cap=50)
    predict = fitted_by(of, build_task(of), Split(wearing(8, 0), wearing(3, 1), []))
    history = wearing(1, 2)[0]
    was, other = (predict([h])[0] for h in (history, changed_behind(history, 30)))
    np.testing.assert_array_equal(was[:30], other[:30])
    assert fitted_by is mean_life or not np.array_equal(was[30:], other[30:])


@pytest.mark.parametrize("name", ["persistence", "ridge", "ARIMA"])
def test_what_forecasts_sees_no_future(name: str, wanderers: Split, forecasts: Predict) -> None:
    by = {"persistence": persistence, "ridge": window_ridge}.get(name)
    predict = forecasts if by is None else by(project(), forecasting(), wanderers)
    history = wanderers.test[0]
    was, other = (predict([h])[0] for h in (history, changed_behind(history, 60)))
    np.testing.assert_allclose(was[:60], other[:60], rtol=1e-6)
    assert not np.allclose(was[60:], other[60:])


def test_health_states_know_which_plateau_a_machine_is_on() -> None:
    of = project(cap=200)
    task = build_task(of)
    predict = health_states(of, task, Split(wearing(12, 0), wearing(4, 1), []))
    judges = wearing(6, 2)
    always, age = (by(of, task, Split(wearing(12, 0), wearing(4, 1), [])) for by in (constant, mean_life))
    assert task.error(judges, predict(judges)) < 0.6 * task.error(judges, always(judges))
    middle = [h.window(30, len(h)) for h in judges]
    assert task.error(middle, predict(middle)) < 0.25 * task.error(middle, age(middle))


def test_health_states_answer_how_often_a_state_led_to_a_failure() -> None:
    of = project("failure", horizon=20)
    predict = health_states(of, build_task(of), Split(wearing(12, 0), wearing(4, 1), []))
    for found in predict(wearing(4, 2)):
        assert found.shape[1] == 1 and found.min() >= 0 and found.max() <= 1
        assert found[5, 0] < 0.05 and found[-1, 0] > 0.7


def test_a_filter_is_the_product_of_what_was_likely() -> None:
    chain = Chain(np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.0, 1.0]]), np.array([[0.0], [2.0]]), np.ones((2, 1)))
    x = np.array([[0.3], [1.7]])
    density = np.exp(-0.5 * (x - chain.means.T) ** 2)
    first = chain.start * density[0] / (chain.start * density[0]).sum()
    second = (first @ chain.moves) * density[1]
    np.testing.assert_allclose(chain.filtered(x), [first, second / second.sum()], rtol=1e-12)
    far = chain.filtered(np.array([[1e8], [-1e8], [0.0]]))
    assert np.isfinite(far).all()
    np.testing.assert_allclose(far.sum(1), 1.0)


def test_age_alone_says_the_mean_of_those_that_lived_as_long() -> None:
    of = project(cap=1000)
    lives = [record(np.zeros((steps, 2), np.float32)) for steps in (10, 20)]
    found = mean_life(of, build_task(of), Split(lives, [], []))([record(np.zeros((30, 2), np.float32))])[0][:, 0]
    np.testing.assert_allclose(found[:10], (np.arange(9, -1, -1) + np.arange(19, 9, -1)) / 2)
    np.testing.assert_allclose(found[10:20], np.arange(9, -1, -1))
    np.testing.assert_allclose(found[20:], 0)


@pytest.mark.parametrize(("fitted_by", "library"), [(arima, "statsmodels"), (health_states, "hmmlearn")])
def test_who_lacks_the_library_hears_which_extra_brings_it(
    fitted_by: Callable[..., Predict], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(library), *sys.meta_path])
    with pytest.raises(MissingExtra, match=rf"needs `{library}`.*edgestep\[rank\]"):
        fitted_by(project(), forecasting(), Split(wearing(3, 0), wearing(1, 1), []))


class Absent:
    """A finder for which one library is not installed."""

    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises for the library, as an import of what is not there does."""
        if name.partition(".")[0] == self.library:
            raise ModuleNotFoundError(f"No module named {self.library!r}", name=self.library)


def test_a_task_that_forecasts_nothing_has_no_such_baseline() -> None:
    with pytest.raises(ProjectError, match="ARIMA forecasts readings, which is not what this task predicts"):
        arima(project(), build_task(project()), Split(wearing(3, 0), wearing(1, 1), []))
