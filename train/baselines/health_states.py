"""Health states of a hidden Markov model: what a reliability engineer would try."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.extras import needed_for
from edge.spec import Project
from train.baselines.statistics import Rows, scaled
from train.data.scale import Scaler
from train.data.split import Split

if TYPE_CHECKING:
    from train.tasks.base import Predict, Task

STATES = (4, 8, 12)
"""Numbers of health states that the validation machines choose from."""

ROUNDS = 20
"""Rounds of expectation maximisation."""

LEAST = 1e-3
"""Least variance of a scaled channel within a state: a state that one reading made would otherwise explain nothing."""


def health_states(project: Project, task: Task, parts: Split) -> Predict:
    """A left-right Gaussian hidden Markov model (Rabiner 1989) of scaled readings: a machine passes through states of
    health and never back. Each state has the mean label of the training readings it explains.

    An answer weighs those means by what the readings so far say of the state: forward probabilities alone (equation
    19), never the backward ones, which know the future. A record may begin in any state, each as probable as it is
    among training readings. Machines whose label is known teach. Raises MissingExtra without hmmlearn.
    """
    with needed_for("the baseline HMM"):
        import hmmlearn.hmm  # noqa: F401 - asked for before anything is fitted

    scaler = Scaler.fit(parts.train, project)
    taught = [h for h in parts.train if task.truth(h) is not None]
    lives = [scaled(h, scaler) for h in taught]

    def answering(states: int) -> Predict:
        chain = Chain.fit(lives, states, project.train.seed)
        shares = np.concatenate([chain.filtered(x) for x in lives])
        labels = [task.labels(h) for h in taught]
        value, weight = (np.concatenate([getattr(of, name) for of in labels]) for name in ("value", "weight"))
        whole = (value * weight).sum(0) / np.maximum(weight.sum(0), 1.0)
        # A state that explains next to nothing says what all readings say.
        means = (shares.T @ (value * weight) + whole) / (shares.T @ weight + 1.0)
        return lambda histories: [(chain.filtered(scaled(h, scaler)) @ means).astype(np.float32) for h in histories]

    shortest = min(len(x) for x in lives)
    found: list[Predict] = [answering(n) for n in STATES if n <= max(shortest, STATES[0])]
    judges = [h for h in parts.validation if task.judged(h)]
    return min(found, key=lambda predict: task.error(judges, predict(judges))) if judges else found[0]


class Chain:
    """States with a start [K], moves [K, K], and a Gaussian with a diagonal covariance each: its mean and variance
    [K, C].
    """

    def __init__(self, start: Rows, moves: Rows, means: Rows, variances: Rows) -> None:
        self.start = start
        self.moves = moves
        self.means = means
        self.variances = variances

    @classmethod
    def fit(cls, lives: Sequence[Rows], states: int, seed: int) -> Chain:
        """By expectation maximisation over `lives` [T, C], each cut into equal stretches to begin with."""
        from hmmlearn.hmm import GaussianHMM

        model: Any = GaussianHMM(
            states, "diag", min_covar=LEAST, n_iter=ROUNDS, random_state=seed, init_params="", params="tmc"
        )
        stretch = [np.minimum(np.arange(len(x)) * states // len(x), states - 1) for x in lives]
        every, place = np.concatenate(lives), np.concatenate(stretch)
        stay = 1.0 - states / max(len(every) / len(lives), states + 1.0)
        model.startprob_ = np.full(states, 1.0 / states)
        model.transmat_ = np.diag(np.append(np.full(states - 1, stay), 1.0)) + np.diag(np.full(states - 1, 1 - stay), 1)
        model.means_ = np.array([_mean(every, place == k) for k in range(states)])
        model.covars_ = np.array([every[place == k].var(0) if (place == k).sum() > 1 else every.var(0)
                                  for k in range(states)]) + LEAST  # fmt: skip
        with _silent("hmmlearn.base"):
            model.fit(every, [len(x) for x in lives])
        variances = np.diagonal(model.covars_, axis1=1, axis2=2)
        chain = cls(model.startprob_, model.transmat_, model.means_, np.maximum(variances, LEAST))
        chain.start = np.concatenate([chain.filtered(x) for x in lives]).mean(0) + LEAST
        chain.start /= chain.start.sum()
        return chain

    def filtered(self, x: Rows) -> Rows:
        """[T, K] how probable each state is, given the readings [T, C] up to each one and none behind it."""
        # -((x - m)² / v + log v) / 2, multiplied out: no array of T x K x C.
        precision = 1.0 / self.variances
        square = (x * x) @ precision.T - 2.0 * x @ (self.means * precision).T
        fit = -0.5 * (square + (self.means**2 * precision + np.log(self.variances)).sum(1))
        likely = np.exp(fit - fit.max(1, keepdims=True))
        found: Rows = np.empty_like(likely)
        state = self.start
        for t, here in enumerate(likely):
            state = (state @ self.moves if t else state) * (here + np.finfo(np.float64).tiny)
            state = state / state.sum()
            found[t] = state
        return found


def _mean(rows: Rows, chosen: Any) -> Rows:
    return np.asarray(rows[chosen].mean(0) if chosen.any() else rows.mean(0), np.float64)


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Hold back what a library logs meanwhile: an end before convergence is no fault here."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
