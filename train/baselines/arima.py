"""ARIMA: the classical forecast, one channel at a time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.extras import needed_for
from edge.spec import Project
from train.baselines.ahead import ahead
from train.data.history import History
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task

Values = NDArray[np.float64]

ORDERS = ((0, 1, 0), (1, 0, 0), (2, 0, 1), (0, 1, 1), (2, 1, 1))
"""(p, d, q) that the validation machines choose from, for each channel; the first one, a random walk, always fits."""

TAUGHT = 5000
"""Readings that parameters are estimated from, at most: the last ones of the longest training history."""

EXAMINED = 20_000
"""Readings of the validation machines that choose an order, at most."""


def arima(project: Project, task: Task, parts: Split) -> Predict:
    """Box & Jenkins 1970: an ARIMA(p, d, q) for each channel on its own, by maximum likelihood.

    Parameters are estimated once, on a training history; a new history only runs through the Kalman filter of the
    model's state-space form (Durbin & Koopman 2012, chapter 4), so a forecast at t rests on readings up to t alone.
    Missing values are missing to it, not held. Raises MissingExtra without statsmodels.
    """
    with needed_for("the baseline ARIMA"):
        import statsmodels.tsa.statespace.sarimax  # noqa: F401 - asked for before anything is fitted

    wanted = ahead(task, "ARIMA")
    chosen = [Channel.fit(place, wanted.horizons, parts) for place in wanted.predicted]

    def predict(histories: Sequence[History]) -> list[Array]:
        # [T, horizons, channels], so that channels come side by side within each horizon.
        return [np.stack([c.forecast(h) for c in chosen], -1).reshape(len(h), -1).astype(np.float32) for h in histories]

    return predict


class Channel:
    """One channel's fitted model."""

    def __init__(self, place: int, horizons: Sequence[int], mean: float, scale: float) -> None:
        self.place = place
        self.horizons = horizons
        self.mean = mean
        self.scale = scale
        self.fitted: tuple[Any, Any] = (None, None)

    @classmethod
    def fit(cls, place: int, horizons: Sequence[int], parts: Split) -> Channel:
        """The order that forecasts the validation machines best, parameters estimated on a training machine."""
        known = np.concatenate([_known(h, place) for h in parts.train])
        mean, scale = (float(np.nanmean(known)), float(np.nanstd(known))) if np.isfinite(known).any() else (0.0, 0.0)
        # A channel that never moved is forecast to stay where it is, in its own unit.
        channel = cls(place, horizons, mean, scale if scale > 0 else 1.0)
        longest = max(parts.train, key=len)
        taught = channel._scaled(longest.window(max(0, len(longest) - TAUGHT), len(longest)))
        found = [fitted for order in (ORDERS if scale > 0 else ORDERS[:1]) if (fitted := _estimated(taught, order))]
        exam, seen = [], 0
        for history in parts.validation:
            if seen < EXAMINED:
                exam.append(history.window(0, min(len(history), EXAMINED - seen)))
                seen += len(exam[-1])

        def error(fitted: tuple[Any, Any]) -> float:
            channel.fitted = fitted
            value = float(np.mean([channel._error(h) for h in exam])) if exam else 0.0
            return value if np.isfinite(value) else float("inf")

        channel.fitted = min(found, key=error)
        return channel

    def forecast(self, history: History) -> Values:
        """[T, horizons] in the sensor's unit: what is expected so many readings after each one."""
        model, params = self.fitted
        asked = model.clone(self._scaled(history))
        asked.update(params)
        space = asked.ssm
        # Expected state one reading ahead [K, T]; each further reading is one more transition.
        state = space.filter().predicted_state[:, 1:]
        move, look = space["transition"], space["design"]
        found, reach = np.empty((len(history), len(self.horizons))), 1
        for column, horizon in sorted(enumerate(self.horizons), key=lambda pair: pair[1]):
            while reach < horizon:
                state, reach = move @ state, reach + 1
            found[:, column] = (look @ state)[0]
        return np.asarray(found * self.scale + self.mean, np.float64)

    def _scaled(self, history: History) -> Values:
        return np.asarray((_known(history, self.place) - self.mean) / self.scale, np.float64)

    def _error(self, history: History) -> float:
        """Mean squared error over what came true, in squared deviations of the channel."""
        gaps = []
        truth, forecast = _known(history, self.place), self.forecast(history)
        for column, horizon in enumerate(self.horizons):
            gap = (forecast[:-horizon, column] - truth[horizon:]) / self.scale
            gaps.append(gap[np.isfinite(gap)])
        every = np.concatenate(gaps)
        return float((every * every).mean()) if len(every) else 0.0


def _known(history: History, place: int) -> Values:
    """[T] a channel's values, NaN where there was none."""
    return np.where(history.mask[:, place], history.x[:, place], np.nan).astype(np.float64)


def _estimated(values: Values, order: tuple[int, int, int]) -> tuple[Any, Any] | None:
    """Model and parameters, or None where the likelihood has no maximum that can be found."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a start that is not stationary, a course that ends early: both are judged
        try:
            model = SARIMAX(values, order=order)
            return model, model.fit(disp=False, maxiter=50).params
        except (np.linalg.LinAlgError, ValueError, IndexError):
            return None
