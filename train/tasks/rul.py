"""Remaining useful life: how many readings, or how much time, is left before the failure, counted up to a cap."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from edge.errors import ProjectError
from edge.spec import Project
from train.baselines import constant, life_ridge, ridge
from train.baselines.health_states import health_states
from train.baselines.mean_life import mean_life
from train.data.history import History, machines
from train.picture import by_history, lives, two_panels
from train.tasks.base import Array, IntervalOptions, Labels, Reach, Task, counted
from train.tasks.measure import Costs, Measure, cost, root_mean, total
from train.tasks.tail import Stateless, Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.evaluate import Judged

CUT_OFFS = 10
"""Random cut-offs at which a held-out life that ran to failure is judged."""

CUT_LEAST = 10
"""Readings before the first of them, where the life has so many: who has seen nothing can know nothing."""

CUT_SEED = 20
"""Seed of those cut-offs: the same for every model that is ever compared."""

USUAL_CAP = 125.0
"""The cap of the literature on C-MAPSS, at which the NASA score is the published one."""


@dataclass(frozen=True)
class RulOptions(IntervalOptions):
    """`cap`: beyond so many readings a healthy machine says nothing about its end; `unit` names a reading. With
    `count = "time"` a life is what the clock says, in multiples of `timing.period_s`, whatever was recorded of it.
    """

    cap: float = 125.0
    unit: str = "cycles"
    count: str = "readings"


class RemainingUsefulLife(Task):
    """Piecewise linear life (Heimes 2008): min(readings left, cap). A censored life teaches a lower bound.

    The family's raw output is the life as a share of the cap. A label at the cap means "at least the cap", as the bound
    of a censored life does; a prediction above a bound is not wrong, and `units` cuts it off at the cap.
    """

    Options = RulOptions
    alarm_keys = ("raise_below", "clear_above")
    baselines = {"ridge": ridge, "life ridge": life_ridge, "constant": constant}  # noqa: RUF012
    yardsticks = {"HMM": health_states, "mean life": mean_life}  # noqa: RUF012
    notes = ("ridges learn from those that told when to stop, too, once these have chosen the penalty",)
    options: RulOptions

    def __init__(self, options: RulOptions, project: Project) -> None:
        super().__init__(options, project)
        if not options.cap > 0:
            raise ProjectError(f"`task.cap` must be above 0 {options.unit}, not {options.cap:g}")
        self.period_s = counted(options.count, project)
        self.alarm_within(0, options.cap, f"0 to task.cap = {options.cap:g} {options.unit}")
        self.outputs = (("rul", options.unit),)
        score = "NASA score" if options.cap == USUAL_CAP else f"NASA score, scaled to cap {options.cap:g}"
        self.measures = (
            Measure("capped", "RMSE capped, at cut-offs", options.unit, cost(self._capped), root_mean),
            Measure("raw", "RMSE raw, at cut-offs", options.unit, cost(_raw), root_mean),
            Measure("score", score, "", cost(self._score), total),
            Measure("every", "RMSE capped, every reading", options.unit, cost(self._capped), root_mean, at="every"),
        )

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """The life, if the project asks; "at least the cap" is held by an interval that ends at the cap."""
        share = self.options.interval
        return (Reach("rul", share, 0.0, self.options.cap),) if share else ()

    def labels(self, history: History) -> Labels:
        """Its end known: min(left, cap), exact below the cap. Censored: at least the readings seen behind each one."""
        value = np.minimum(history.behind(self.period_s), self.options.cap).astype(np.float32)
        censored = (value >= self.options.cap) | (history.left is None)
        # "at least 0 left" is known of every machine; it would only dilute the mean.
        weight = np.where(censored & (value <= 0), 0.0, 1.0).astype(np.float32)
        return Labels(value[:, None], weight[:, None], censored)

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Mean squared error in shares of the cap, one-sided where censored: only falling below the bound costs."""
        gap = raw - batch.value / self.options.cap
        gap = torch.where(batch.censored.unsqueeze(-1), gap.clamp(max=0.0), gap)
        return (gap * gap * batch.weight).sum() / batch.weight.sum().clamp(min=1.0)

    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """The headline: RMSE of the capped life, at every reading asked for."""
        errors = [(self.units(raw) - batch.value)[asked] for raw, batch, asked in answers]
        return float(torch.cat(errors).double().square().mean().sqrt())

    def tail(self) -> Tail:
        """No state: a share of the cap becomes readings."""
        return Stateless(self.units)

    def units(self, raw: Tensor) -> Tensor:
        """Share of the cap, cut to 0 … 1, in readings."""
        return self.options.cap * (1.0 - torch.relu(1.0 - torch.relu(raw)))

    def truth(self, history: History) -> Array | None:
        """What is left at every reading, not capped [T, 1]."""
        return None if history.left is None else history.behind(self.period_s).astype(np.float32)[:, None]

    def judged(self, history: History) -> list[int]:
        """The last reading of a record that was cut before the failure; random cut-offs of one that was not."""
        if history.left is None:
            return []
        if not history.failed:
            return [len(history) - 1]
        rng = np.random.default_rng([CUT_SEED, zlib.crc32(history.machine.encode()), history.life])
        return sorted(int(i) for i in rng.integers(min(CUT_LEAST, len(history) - 1), len(history), CUT_OFFS))

    def said(self, histories: Sequence[History]) -> str:
        """How many cut-offs there are, and where."""
        drawn = [len(self.judged(h)) for h in histories if h.failed]
        last = sum(len(self.judged(h)) for h in histories if not h.failed)
        parts = [f"{sum(drawn)} drawn in {len(drawn)} lives that ran to failure"] if drawn else []
        parts += [f"the last reading of {last} records that end before it"] if last else []
        return f"{sum(drawn) + last} cut-offs: {' and '.join(parts)}"

    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """Does it see the end coming, and how much history does it need?"""
        unit, (left, right) = self.options.unit, two_panels(drawing)
        judges = [(h, p) for h, p in zip(histories, predictions, strict=True) if self.judged(h)]
        pairs = [(t[:, 0], p[:, 0]) for h, p in judges if (t := self.truth(h)) is not None]
        title = f"{len(machines([h for h, _ in judges]))} machines it never saw, on their way to failure"
        lives(left, pairs, next(iter(judged)), title)
        left.set(xlabel=f"true {unit} left", ylabel=f"predicted {unit} left")
        by_history(right, judged)

    def _capped(self, predicted: Costs, truth: Costs) -> Costs:
        return _raw(predicted, np.minimum(truth, self.options.cap))

    def _score(self, predicted: Costs, truth: Costs) -> Costs:
        """PHM08 challenge (Saxena et al. 2008, eq. 8) of the capped truth: being late costs more than being early.

        Its constants, 13 and 10 cycles, belong to engines with the cap of 125 that is usual for them; they grow with
        the cap, or the exponential would run away on machines that live a hundred times as many readings.
        """
        late = (predicted[:, 0] - np.minimum(truth[:, 0], self.options.cap)) * (USUAL_CAP / self.options.cap)
        return np.asarray(np.exp(np.where(late < 0, -late / 13.0, late / 10.0)) - 1.0, np.float64)


def _raw(predicted: Costs, truth: Costs) -> Costs:
    return np.asarray((predicted[:, 0] - truth[:, 0]) ** 2, np.float64)
