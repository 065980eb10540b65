"""The control chart behind a forecast: one score, and one for each signal, of what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from train.tasks.tail import Tail

CLIP = 3.0
"""Residuals and scaled readings count up to so many deviations: one wild value must not cost a machine its memory."""

SQUARE = 9.0
"""And their squares up to so many variances."""

QUIET = 0.2
"""Least noise of a signal, in deviations of its readings: what is forecast closer than that is not held to more, or the
rounding of int8 would shout: with 0.1 a slow signal's score of the valve example was 5 % of its range off.
"""

SHRINK = 0.3
"""How much of the covariance's off-diagonal is given up, because few independent readings are behind it."""

STEADY = 0.5
"""A statistic is not trusted to vary less than this share of what it would on white noise."""

BLOCK = 256
"""Readings that are smoothed at once."""


def expected(x: Tensor, raw: Tensor) -> Tensor:
    """The next scaled reading [..., C] of this one and the family's raw output [..., 2 C].

    A value, and a share of the present reading: slow signals stay where they are, which no small network learns well.
    """
    value, share = raw.chunk(2, -1)
    return value + torch.sigmoid(share) * x


class Chart(Tail):
    """A multivariate EWMA chart (Lowry et al. 1992) of three statistics for each signal.

    With residual e = (reading - what was expected of it) / noise and everything smoothed exponentially by `rate`: the
    mean of e (an offset, or a drift), the variance of e about that mean against the usual one as (v - 1) / (v + 1) (it
    became noisy, or stuck), and the mean reading itself (a level no healthy machine had, which a forecast may follow).
    The score is their squared Mahalanobis distance from what healthy readings have, in shares of `limit`; a signal's
    own score is that of its three statistics without the covariance. Elementwise products and sums only, so that int8
    recipes leave it in float. A new machine starts at the healthy mean, so the chart is quiet until it has seen enough.
    """

    noise: Tensor
    usual: Tensor
    centre: Tensor
    precision: Tensor
    whiten: Tensor
    limit: Tensor
    limits: Tensor

    def __init__(self, channels: int, rate: float, highest: float) -> None:
        super().__init__()
        self.channels = channels
        self.rate = rate
        self.highest = highest
        self.register_buffer("noise", torch.ones(channels))
        self.register_buffer("usual", torch.ones(channels))
        self.register_buffer("centre", torch.zeros(3 * channels))
        self.register_buffer("precision", torch.ones(3 * channels))
        self.register_buffer("whiten", torch.eye(3 * channels))
        self.register_buffer("limit", torch.ones(1))
        self.register_buffer("limits", torch.ones(channels))

    @property
    def state_names(self) -> tuple[str, ...]:
        """What was expected, whether anything was, and the three statistics."""
        return ("expected", "begun", "offset", "spread", "place")

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Nothing seen, and everything as usual."""
        zeros = torch.zeros(batch, self.channels)
        return zeros, torch.zeros(batch, 1), zeros.clone(), torch.ones(batch, self.channels), zeros.clone()

    def memory(self, family: int | None) -> None:
        """Exponential smoothing forgets nothing entirely."""
        return

    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], raw_t [B, 2 C] and the state -> ([B, 1 + C], *next state)."""
        awaited, begun, offset, spread, place = state
        residual = _clip((x_t - awaited) / self.noise, CLIP) * begun
        square = self._square(residual, offset)
        offset = offset + self.rate * (residual - offset)
        spread = spread + self.rate * begun * (square - spread)
        place = place + self.rate * (_clip(x_t, CLIP) - place)
        return (
            self._cut(self._score(offset, spread, place)),
            expected(x_t, raw_t),
            begun * 0.0 + 1.0,
            offset,
            spread,
            place,
        )

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """x [B, T, C], raw [B, T, 2 C] -> [B, T, 1 + C]."""
        return self._cut(self._score(*self.statistics(x, raw)))

    def statistics(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Offset, spread and place of each signal at each reading, [B, T, C] each."""
        residual = torch.zeros_like(x)
        residual[:, 1:] = _clip((x[:, 1:] - expected(x, raw)[:, :-1]) / self.noise, CLIP)
        offset = _smooth(residual, self.rate, 0.0)
        before = torch.cat([torch.zeros_like(offset[:, :1]), offset[:, :-1]], 1)
        square = self._square(residual, before)
        square = torch.cat([torch.ones_like(square[:, :1]), square[:, 1:]], 1)
        return offset, _smooth(square, self.rate, 1.0), _smooth(_clip(x, CLIP), self.rate, 0.0)

    def _square(self, residual: Tensor, offset: Tensor) -> Tensor:
        far = (residual - offset) * (residual - offset)
        return (SQUARE - torch.relu(SQUARE - far)) / self.usual

    def _apart(self, offset: Tensor, spread: Tensor, place: Tensor) -> Tensor:
        """The statistics [..., 3 C] as deviations from what is healthy."""
        changed = (spread - 1.0) / (spread + 1.0)
        return (torch.cat([offset, changed, place], -1) - self.centre) * self.precision

    def _score(self, offset: Tensor, spread: Tensor, place: Tensor) -> Tensor:
        apart = self._apart(offset, spread, place)
        white = (apart.unsqueeze(-2) * self.whiten).sum(-1)
        score = (white * white).sum(-1, keepdim=True) / self.limit
        first, second, third = (apart * apart).chunk(3, -1)
        return torch.cat([score, (first + second + third) / self.limits], -1)

    def _burn(self, readings: int) -> int:
        """Readings of a stretch before the chart has settled; half of a short one."""
        return min(round(1 / self.rate), readings // 2)

    def _cut(self, scores: Tensor) -> Tensor:
        return self.highest - torch.relu(self.highest - scores)

    def learn(self, stretches: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Fit noise, usual variance, centre and covariance to healthy stretches (x [1, T, C], raw [1, T, 2 C])."""
        with torch.no_grad():
            gaps = torch.cat([(x[0, 1:] - expected(x, raw)[0, :-1]) for x, raw in stretches])
            self.noise.copy_(gaps.square().mean(0).sqrt().clamp(min=QUIET))
            self.usual.fill_(1.0)
            squares = []
            for x, raw in stretches:
                residual = _clip((x[:, 1:] - expected(x, raw)[:, :-1]) / self.noise, CLIP)
                offset = _smooth(residual, self.rate, 0.0)
                squares.append(self._square(residual[:, 1:], offset[:, :-1])[0])
            self.usual.copy_(torch.cat(squares).mean(0).clamp(min=QUIET**2))
            self.centre.zero_()
            self.precision.fill_(1.0)
            settled = []
            for x, raw in stretches:
                settled.append(self._apart(*self.statistics(x, raw))[0, self._burn(x.shape[1]) :])
            seen = torch.cat(settled).double().numpy()
        white = np.sqrt(self.rate / (2 - self.rate))
        deviation = np.maximum(seen.std(0), STEADY * white)
        cross = np.cov(((seen - seen.mean(0)) / deviation).T).reshape(len(deviation), -1)
        shared = (1 - SHRINK) * cross + SHRINK * np.diag(np.diag(cross))
        np.fill_diagonal(shared, np.maximum(np.diag(shared), SHRINK))
        whiten = np.linalg.cholesky(np.linalg.inv(shared)).T
        for buffer, value in ((self.centre, seen.mean(0)), (self.precision, 1 / deviation), (self.whiten, whiten)):
            buffer.copy_(torch.from_numpy(value))

    def level(self, stretches: Sequence[tuple[Tensor, Tensor]], share: float, unwarm: int) -> None:
        """Make 1 the level that `share` of the readings of these healthy stretches stay below, each score for itself.

        The first `unwarm` readings of a stretch do not count, nor do those in which the chart is quieter than later.
        """
        self.limit.fill_(1.0)
        self.limits.fill_(1.0)
        with torch.no_grad():
            runs = [self._score(*self.statistics(x, raw))[0] for x, raw in stretches]
        scores = torch.cat([run[min(max(unwarm, self._burn(len(run))), len(run) - 1) :] for run in runs])
        levels = torch.quantile(scores.double(), share, dim=0).clamp(min=1e-3)
        self.limit.copy_(levels[:1])
        self.limits.copy_(levels[1:])


def _clip(x: Tensor, most: float) -> Tensor:
    return torch.relu(x + most) - torch.relu(x - most) - most


def _smooth(x: Tensor, rate: float, start: float) -> Tensor:
    """s_t = s_(t-1) + rate (x_t - s_(t-1)) over time, x [B, T, K], from s = start; in blocks, each a matrix product."""
    at = torch.arange(BLOCK, dtype=torch.float64)
    kept = (1.0 - rate) ** (at + 1)
    weights = torch.tril(rate * (1.0 - rate) ** (at[:, None] - at).clamp(min=0))
    carried = torch.full_like(x[:, :1], start).double()
    blocks = []
    for block in torch.split(x.double(), BLOCK, 1):
        steps = block.shape[1]
        smoothed = weights[:steps, :steps] @ block + kept[:steps, None] * carried
        carried = smoothed[:, -1:]
        blocks.append(smoothed)
    return torch.cat(blocks, 1).to(x.dtype)
