"""Linear ridge regression on a window: what a forecast by a network must beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from edge.spec import Project
from train.baselines.ahead import ahead
from train.baselines.ridge import CELLS, ROWS
from train.baselines.statistics import Rows, scaled
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Array, Predict, Task

WINDOWS = (24, 96, 336)
"""Readings to look back, the present one not counted, that the validation machines choose from, for each channel."""

PENALTIES = (1.0, 100.0, 10_000.0)
"""Ridge penalties that they choose from."""

TAUGHT = 10
"""Rows for each reading of the window: where fewer are known at every horizon, each horizon is fitted to its own."""


def window_ridge(project: Project, task: Task, parts: Split) -> Predict:
    """The change of a channel to each horizon, in deviations, as a linear map of its present reading and of how the
    last ones differ from it: NLinear (Zeng et al. 2023, section 4) in closed form, each channel on its own.

    Readings from before the first differ by nothing.
    """
    scaler = Scaler.fit(parts.train, project)
    wanted = ahead(task, "the ridge")
    tail = task.scaled_by(scaler).tail()
    judges = parts.validation or parts.train
    chosen = []
    for column, place in enumerate(wanted.predicted):
        futures = Futures(task, scaler, column, place)
        maps = [made for window in WINDOWS for made in Map.fit(futures, parts.train, window)]
        chosen.append(min(maps, key=lambda made: made.error(judges)))

    def predict(histories: Sequence[History]) -> list[Array]:
        found = []
        for history in histories:
            raw = np.stack([made.changes(history) for made in chosen], -1).reshape(len(history), -1)
            now = torch.from_numpy(scaled(history, scaler).astype(np.float32))
            with torch.no_grad():
                found.append(tail(now, torch.from_numpy(raw.astype(np.float32))).numpy())
        return found

    return predict


@dataclass(frozen=True)
class Futures:
    """A channel as the ridge sees it: number `column` among the predicted ones, at `place` among all."""

    task: Task
    scaler: Scaler
    column: int
    place: int

    def past(self, history: History, window: int) -> Rows:
        """[T, W + 1] how the readings before each one differ from it, oldest first, and itself; in deviations."""
        x = scaled(history, self.scaler)[:, self.place]
        before = sliding_window_view(np.concatenate([np.full(window, np.nan), x])[:-1], window)
        return np.concatenate([np.nan_to_num(before - x[:, None]), x[:, None]], 1)

    def change(self, history: History) -> Rows:
        """[T, H] how the readings to come differ from the present one, in its deviations; NaN where nobody knows."""
        labels = self.task.labels(history)
        come = np.where(labels.weight > 0, labels.value, np.nan)
        come = come.reshape(len(history), -1, len(ahead(self.task, "the ridge").predicted))[..., self.column]
        with torch.no_grad():
            now, usual = self.scaler.inverse(torch.from_numpy(scaled(history, self.scaler).astype(np.float32)))
        deviation = usual.expand_as(now)[:, self.place, None].double().numpy()
        # A channel that never moved has none: it stays where it is.
        return np.asarray((come - now[:, self.place, None].numpy()) / np.where(deviation > 0, deviation, np.inf))


@dataclass(frozen=True)
class Map:
    """Weights [W + 1, H], and what is always added [H]."""

    futures: Futures
    weights: Rows
    offset: Rows

    @classmethod
    def fit(cls, futures: Futures, histories: Sequence[History], window: int) -> Iterator[Map]:
        """One for each penalty, by least squares; a horizon that nobody knows changes nothing."""
        rng = np.random.default_rng(0)
        share = min(ROWS, CELLS // window) / sum(map(len, histories))
        rows, wanted = [], []
        for history in histories:
            kept = rng.random(len(history)) < share
            rows.append(futures.past(history, window)[kept])
            wanted.append(futures.change(history)[kept])
        past, change = np.concatenate(rows), np.concatenate(wanted)
        known = ~np.isnan(change)
        horizons = range(change.shape[1])
        whole = known.all(1)
        groups = [(list(horizons), whole)] if whole.sum() >= TAUGHT * window else [([h], known[:, h]) for h in horizons]
        weights = np.zeros((len(PENALTIES), window + 1, change.shape[1]))
        offset = np.zeros((len(PENALTIES), change.shape[1]))
        for columns, use in (group for group in groups if group[1].any()):
            x, y = past[use], change[use][:, columns]
            mean, level = x.mean(0), y.mean(0)
            square, product = (x - mean).T @ (x - mean), (x - mean).T @ (y - level)
            for i, penalty in enumerate(PENALTIES):
                weights[i][:, columns] = np.linalg.solve(square + penalty * np.eye(window + 1), product)
                offset[i][columns] = level - mean @ weights[i][:, columns]
        yield from (cls(futures, *found) for found in zip(weights, offset, strict=True))

    def changes(self, history: History) -> Rows:
        """[T, H] by how many deviations the channel will differ from the present reading."""
        return np.asarray(self.futures.past(history, len(self.weights) - 1) @ self.weights + self.offset)

    def error(self, histories: Sequence[History]) -> float:
        """Mean squared error, in squared deviations, where the future is known."""
        gaps = np.concatenate([self.changes(h) - self.futures.change(h) for h in histories])
        known = gaps[~np.isnan(gaps)]
        return float(np.square(known).mean()) if len(known) else 0.0
