"""Forecast: what the signals will be, so many readings from now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from edge.ahead import output_of
from edge.errors import DataError, ProjectError
from edge.registry import suggest
from edge.spec import Project
from train.ahead_picture import by_horizon, paths
from train.baselines import constant
from train.baselines.arima import arima
from train.baselines.persistence import persistence
from train.baselines.window_ridge import window_ridge
from train.data.history import History, inputs
from train.data.scale import Scaler
from train.picture import two_panels
from train.tasks.alarms import Flags, failures_warned, lead, standing
from train.tasks.base import Array, IntervalOptions, Labels, Question, Reach, Task
from train.tasks.measure import Costs, Measure, mean, ratio, root_mean
from train.tasks.tail import Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.evaluate import Judged

Take = Callable[[History, Costs, Costs], Costs]
"""As `Measure.take`."""

SHOWN = 4
"""Horizons that a report shows an error for, at most: from the nearest to the furthest."""


@dataclass(frozen=True)
class ForecastOptions(IntervalOptions):
    """`horizons`: how many readings ahead, in rising order; one number n is all of 1 … n. `channels`: which signals (or
    regime columns), by default all signals; the first one at the nearest horizon decides the alarm. `unit` names a
    reading.
    """

    horizons: int | tuple[int, ...] = (1, 6, 24)
    channels: tuple[str, ...] = ()
    unit: str = "readings"


class Change(Tail):
    """The present reading and, for each horizon, by how many deviations it will have changed: no state.

    Sums and products by element only, so that integer recipes leave the present reading as exact as it came.
    """

    def __init__(self, scaler: Scaler, predicted: Sequence[int], horizons: int) -> None:
        """P channels at places `predicted` among C, at H `horizons`."""
        super().__init__()
        self.scaler = scaler
        self.predicted = tuple(predicted)
        self.horizons = horizons

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """Scaled readings [..., C] and changes [..., H · P] -> predictions [..., H · P] in the sensors' units."""
        now, deviation = self.scaler.inverse(x)
        now, deviation = (self._picked(t) for t in (now, deviation))
        return torch.cat([now + change * deviation for change in _by_horizon(raw, self.horizons)], -1)

    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """As Tail."""
        return (self(x_t, raw_t),)

    def _picked(self, values: Tensor) -> Tensor:
        return torch.cat([values[..., i : i + 1] for i in self.predicted], -1)


class Forecast(Task):
    """Every predicted channel at every horizon, in the sensor's unit: output h · P + c is channel c at horizon h.

    `horizons` are readings ahead, `predicted` places among the project's channels. The family says by how many
    deviations a channel will differ from the present reading, so that what has learnt nothing says that all stays as it
    is. What lies behind the end of a record, or was missing when its time came, neither teaches nor judges.
    Predictions count from `timing.warm_up_readings` on.
    """

    Options = ForecastOptions
    alarm_keys = ("raise_above", "clear_below", "raise_below", "clear_above")
    baselines = {"ridge": window_ridge, "persistence": persistence, "constant": constant}  # noqa: RUF012
    yardsticks = {"ARIMA": arima}  # noqa: RUF012
    questions = {  # noqa: RUF012
        "whole records": Question(1, 1, False),
        "switched on in the middle": Question(5, 1, True),
    }
    notes = ("errors of different signals are compared in deviations of the training readings",)
    lasting = False
    options: ForecastOptions

    def __init__(self, options: ForecastOptions, project: Project, scaler: Scaler | None = None) -> None:
        """Changes and errors are in deviations of `scaler`; without one they are in the sensors' units."""
        super().__init__(options, project)
        self.project = project
        self.horizons = _horizons(options.horizons)
        self.predicted = _places(options.channels, project)
        names = [project.channels[i] for i in self.predicted]
        units = [project.signals[name].unit if name in project.signals else "" for name in names]
        self.outputs = tuple(
            (output_of(name, ahead), unit) for ahead in self.horizons for name, unit in zip(names, units, strict=True)
        )
        self.warm_up = project.timing.warm_up_readings
        self.scaler = Scaler(len(project.channels)) if scaler is None else scaler
        some = sorted({round(i) for i in np.linspace(0, len(self.horizons) - 1, SHOWN)})
        measures = [
            Measure("mse", "MSE in z-scores", "", self._squares(), mean, "record", whole=1.0),
            Measure("mae", "MAE in z-scores", "", self._sizes, mean, "record"),
            Measure("skill", "share of persistence's MSE saved (more is better)", "", self._saved, ratio, "record"),
        ]
        if len(some) > 1:
            measures += [
                Measure(f"mse_in_{self.horizons[h]}", f"MSE, {self.horizons[h]} {options.unit} ahead", "",
                        self._squares(h), mean, "record") for h in some
            ]  # fmt: skip
        self.horizon_keys = {self.horizons[h]: measures[3 + i].key for i, h in enumerate(some)} if len(some) > 1 else {}
        measures += [
            Measure(f"rmse_{name}", f"RMSE {name}", unit, self._rmse(c), root_mean, "record")
            for c, (name, unit) in enumerate(zip(names, units, strict=True))
        ]
        if project.data.failure is not None and (self.alarm.raise_above, self.alarm.raise_below) != (None, None):
            measures += [failures_warned(self._by), lead(self._by, options.unit, None)]
        self.measures = tuple(measures)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """Every output, if the project asks, without a range: a signal may go where it never was."""
        share = self.options.interval
        return tuple(Reach(name, share) for name, _ in self.outputs) if share else ()

    @property
    def exam_unit(self) -> str:
        """Squared deviations: the headline."""
        return ""

    def scaled_by(self, scaler: Scaler) -> Forecast:
        """Changes and errors are in its deviations."""
        return Forecast(self.options, self.project, scaler)

    def labels(self, history: History) -> Labels:
        """The readings to come, in the sensors' units; weight 0 behind the end and where a value was missing."""
        steps, wide = len(history), len(self.predicted)
        value = np.zeros((steps, len(self.horizons), wide), np.float32)
        weight = np.zeros_like(value)
        present = history.mask[:, list(self.predicted)]
        come = np.where(present, np.nan_to_num(history.x[:, list(self.predicted)]), 0.0)
        for h, ahead in enumerate(self.horizons):
            value[: max(steps - ahead, 0), h] = come[ahead:]
            weight[: max(steps - ahead, 0), h] = present[ahead:]
        flat = (steps, len(self.outputs))
        return Labels(value.reshape(flat), weight.reshape(flat), np.zeros(steps, np.bool_))

    def check_taught(self, training: Sequence[History]) -> None:
        """Raises DataError for a horizon that no training record reaches: what it says would not be learnt."""
        taught = np.any([self.labels(h).weight.any(0) for h in training], axis=0)
        for (name, _), known in zip(self.outputs, taught, strict=True):
            if not known:
                raise DataError(
                    f"no training record tells what `{name}` should be: the longest has {max(map(len, training))} "
                    "readings; lower task.horizons, or add longer records"
                )

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Mean squared error in z-scores."""
        gap = self._apart(raw, batch)
        return (gap * gap * batch.weight).sum() / batch.weight.sum().clamp(min=1.0)

    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """The headline, at every reading asked for."""
        total = count = 0.0
        for raw, batch, asked in answers:
            weight = batch.weight * asked.unsqueeze(-1)
            total += float((self._apart(raw, batch).square() * weight).double().sum())
            count += float(weight.double().sum())
        return total / max(count, 1.0)

    def tail(self) -> Change:
        """Changes become readings."""
        return Change(self.scaler, self.predicted, len(self.horizons))

    def truth(self, history: History) -> Array | None:
        """The readings to come, NaN where nobody knows."""
        labels = self.labels(history)
        return np.where(labels.weight > 0, labels.value, np.nan).astype(np.float32) if labels.weight.any() else None

    def judged(self, history: History) -> list[int]:
        """Every reading any label of which is known."""
        return [int(i) for i in np.flatnonzero(self.labels(history).weight.any(1))]

    def said(self, histories: Sequence[History]) -> str:
        """How many readings there are, and how far ahead they look."""
        every = sum(len(h) for h in histories)
        ahead = f"{self.horizons[0]} … {self.horizons[-1]}" if len(self.horizons) > 1 else f"{self.horizons[0]}"
        return (
            f"{every} readings of {len(histories)} records, {ahead} {self.options.unit} ahead, "
            f"from the {self.warm_up}. reading of a record on"
        )

    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """A few forecasts of the first channel beside what came, and what it costs to look further ahead."""
        left, right = two_panels(drawing)
        longest = max(range(len(histories)), key=lambda i: len(histories[i]))
        name, unit = self.outputs[0][0].rpartition("_in_")[0], self.outputs[0][1]
        came = histories[longest].x[:, self.predicted[0]]
        paths(left, came, predictions[longest][:, :: len(self.predicted)], self.horizons, self.warm_up - 1)
        left.set(xlabel="reading", ylabel=f"{name} ({unit})" if unit else name)
        by_horizon(right, judged, self.horizon_keys or {self.horizons[0]: "mse"}, self.options.unit)

    def _apart(self, raw: Tensor, batch: Batch) -> Tensor:
        """What raw changes [B, T, H · P] are off by, in deviations."""
        mean, scale = self.scaler.around(batch.x)
        places = list(self.predicted)
        mean, scale, now = mean[..., places], scale[..., places], batch.x[..., places]
        gaps = [
            now + change - (value - mean) * scale
            for change, value in zip(*(_by_horizon(t, len(self.horizons)) for t in (raw, batch.value)), strict=True)
        ]
        return torch.cat(gaps, -1)

    def _by(self, values: Costs) -> Flags:
        return standing(values, self.alarm, self.warm_up)

    def _gaps(self, predicted: Costs, truth: Costs) -> Costs:
        """[N, H, P] of the warm readings, in the sensors' units; NaN where nobody knows."""
        first = min(self.warm_up - 1, len(predicted))
        return (predicted - truth)[first:].reshape(-1, len(self.horizons), len(self.predicted))

    def _scaled(self, history: History, gaps: Costs) -> Costs:
        """Gaps [N, H, P] of the last N readings, in deviations."""
        with torch.no_grad():
            scale = self.scaler.around(self.scaler(torch.from_numpy(inputs(history, self.scaler.fill))))[1].numpy()
        usual = np.broadcast_to(scale, history.x.shape)[len(history) - len(gaps) :, list(self.predicted)]
        return np.asarray(gaps * usual[:, None], np.float64)

    def _squares(self, horizon: int | None = None) -> Take:
        def take(history: History, predicted: Costs, truth: Costs) -> Costs:
            gaps = self._scaled(history, self._gaps(predicted, truth))
            return _known(gaps if horizon is None else gaps[:, horizon]) ** 2

        return take

    def _rmse(self, channel: int) -> Take:
        return lambda history, predicted, truth: _known(self._gaps(predicted, truth)[..., channel]) ** 2

    def _sizes(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        return np.abs(_known(self._scaled(history, self._gaps(predicted, truth))))

    def _saved(self, history: History, predicted: Costs, truth: Costs) -> Costs:
        now = inputs(history, self.scaler.fill)[:, list(self.predicted)].astype(np.float64)
        stays = np.tile(now, (1, len(self.horizons)))
        lost, usual = (
            float((_known(self._scaled(history, self._gaps(guess, truth))) ** 2).sum()) for guess in (predicted, stays)
        )
        return np.array([[usual - lost, usual]])


def _by_horizon(values: Tensor, horizons: int) -> tuple[Tensor, ...]:
    """[..., H · P] -> H times [..., P]; a single one is passed on, as TFLite cannot cut a tensor into one piece."""
    return values.chunk(horizons, -1) if horizons > 1 else (values,)


def _known(gaps: Costs) -> Costs:
    """[n, 1]: those that somebody knows."""
    return gaps[~np.isnan(gaps)][:, None]


def _horizons(asked: int | tuple[int, ...]) -> tuple[int, ...]:
    found = tuple(range(1, asked + 1)) if isinstance(asked, int) else asked
    if not found or found[0] < 1 or any(b <= a for a, b in pairwise(found)):
        raise ProjectError(
            "`task.horizons` must be readings ahead in rising order, such as [1, 6, 24], or a number from 1 on for all "
            f"up to it, not {list(asked) if isinstance(asked, tuple) else asked}"
        )
    return found


def _places(names: Sequence[str], project: Project) -> tuple[int, ...]:
    for name in names:
        if name not in project.channels:
            raise ProjectError(f"`task.channels` names `{name}`, no channel{suggest(name, list(project.channels))}")
        if names.count(name) > 1:
            raise ProjectError(f"`task.channels` names `{name}` twice")
    return tuple(project.channels.index(name) for name in (names or project.signals))
