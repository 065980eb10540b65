"""Scaling inside the model: z-scores, or z-scores within each operating regime, fitted on training machines only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import DataError
from edge.spec import Project
from train.data.history import History, inputs

FLAT = 1e-6
"""A channel whose deviation is below this share of its largest magnitude is constant: float32 cannot say more."""

TINY = 1e-20
"""And one whose deviation is below this, in its unit, is noise of the number format."""

SQUARE = 1e-37
"""Far below the square of any inverse deviation but 0, whose inverse it makes 0."""

LEAST_SPREAD = 0.05
"""Smallest deviation of a regime about its centre, in z-scores: keeps the softmax finite when conditions repeat
exactly.
"""


class Scaler(nn.Module):
    """Raw readings [..., C] -> about zero mean and unit variance [..., C]; the same numbers for [B, T, C] and [B, C].

    Everything is a buffer: `fill` [C] is the training mean in the sensors' units; `mean` and `scale` (1 / deviation, 0
    for a constant channel) are [C], or [K, C] with K operating regimes. Regimes are the centres `centres` [K, R] of
    k-means over the z-scored regime columns; a reading belongs to each by softmax(-d² / 2σ²), the posterior of an equal
    mixture of spherical Gaussians (Bishop 2006, eq. 9.13), so the change between regimes is smooth. The regime columns
    themselves keep one scale, or the model would not see the condition. `pace` [1] is 1 / the median time between
    readings in seconds. Elementwise products and sums only: int8
    recipes quantize matrix products, and scaling must stay float.
    """

    fill_value: Tensor
    mean: Tensor
    scale: Tensor
    centres: Tensor
    column_mean: Tensor
    column_scale: Tensor
    sharpness: Tensor
    pace: Tensor

    def __init__(self, channels: int, columns: Sequence[int] = (), regimes: int = 0) -> None:
        """An unfitted scaler for C channels whose places `columns` describe K = `regimes` operating conditions."""
        super().__init__()
        self.columns = tuple(columns) if regimes else ()
        shape = (regimes, channels) if regimes else (channels,)
        self.register_buffer("fill_value", torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("centres", torch.zeros(regimes, len(self.columns)))
        self.register_buffer("column_mean", torch.zeros(len(self.columns)))
        self.register_buffer("column_scale", torch.ones(len(self.columns)))
        self.register_buffer("sharpness", torch.ones(1))
        self.register_buffer("pace", torch.ones(1))

    @property
    def fill(self) -> NDArray[np.float32]:
        """[C] what stands in until a channel's first good value: its training mean, in the sensor's unit."""
        return self.fill_value.numpy().copy()

    @classmethod
    def fit(cls, histories: Sequence[History], project: Project) -> Scaler:
        """A scaler of these histories, training machines only. Raises DataError for a channel without a value."""
        # Held values repeat themselves; they would shrink the deviation and move the mean.
        x = np.concatenate([np.where(h.mask, h.x, np.nan) for h in histories]).astype(np.float64)
        for i, channel in enumerate(project.channels):
            if np.isnan(x[:, i]).all():
                raise DataError(
                    f"column `{channel}` has no usable value on any training machine, only on machines held out; "
                    f"add histories that have one, or take `{channel}` out of the project file"
                )
        mean = np.nanmean(x, axis=0)
        scale = _inverse(np.nanstd(x, axis=0), x)
        columns = [project.channels.index(c) for c in project.regime.columns]
        # Conditions nearer to each other than a fraction of the least spread are one.
        seen = np.concatenate([inputs(h, mean.astype(np.float32)) for h in histories])[:, columns]
        z = ((seen - mean[columns]) * scale[columns]).round(2)
        count = min(project.regime.count, len(np.unique(z, axis=0))) if columns else 0
        scaler = cls(len(mean), columns, count)
        if count:
            centres, sharpness, share = _regimes(z, count, project.train.seed)
            mean_of, scale_of = _within(x, share, mean, scale, columns)
            scaler.set(centres=centres, sharpness=[sharpness], column_mean=mean[columns], column_scale=scale[columns])
            scaler.set(mean=mean_of, scale=scale_of, fill_value=mean)
        else:
            scaler.set(mean=mean, scale=scale, fill_value=mean)
        scaler.set(pace=[1.0 / np.median(np.concatenate([np.diff(h.ts) for h in histories]))])
        return scaler

    @classmethod
    def blank(cls, project: Project, state: dict[str, Tensor]) -> Scaler:
        """An unfitted scaler of the shape that the buffers in `state` (names without a prefix) have."""
        columns = [project.channels.index(c) for c in project.regime.columns]
        return cls(len(project.channels), columns, len(state["centres"]))

    def set(self, **values: object) -> None:
        """Write buffers from arrays."""
        for name, value in values.items():
            getattr(self, name).copy_(torch.as_tensor(np.asarray(value), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., C] in the sensors' units -> [..., C]."""
        if not self.columns:
            return (x - self.mean) * self.scale
        share = self.membership(x).unsqueeze(-1)
        return (x - (share * self.mean).sum(-2)) * (share * self.scale).sum(-2)

    def beside(self, **more: Tensor) -> dict[str, Tensor]:
        """What a family takes behind x: `dt` in multiples of what is usual, all else as it is."""
        return {name: values * self.pace if name == "dt" else values for name, values in more.items()}

    def membership(self, x: Tensor) -> Tensor:
        """x [..., C] -> how much each regime explains it [..., K], summing to 1."""
        picked = torch.cat([x[..., i : i + 1] for i in self.columns], -1)
        return self._share((picked - self.column_mean) * self.column_scale)

    def around(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled readings [..., C] -> what each was scaled by: mean and 1 / deviation, [..., C] or [C]."""
        if not self.columns:
            return self.mean, self.scale
        # The regime columns have one scale in every regime, so scaled they are the z-scores that regimes are told by.
        share = self._share(torch.cat([z[..., i : i + 1] for i in self.columns], -1)).unsqueeze(-1)
        return (share * self.mean).sum(-2), (share * self.scale).sum(-2)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled readings [..., C] -> the readings in the sensors' units, and the deviation there, [..., C] or [C].

        A constant channel is its mean, with a deviation of 0.
        """
        mean, scale = self.around(z)
        deviation = scale / (scale * scale + SQUARE)
        return mean + z * deviation, deviation

    def _share(self, z: Tensor) -> Tensor:
        """Z-scored regime columns [..., R] -> memberships [..., K]."""
        # -d² without its z² part, which all regimes share: no square of a reading, so none that is far off overflows.
        near = (z.unsqueeze(-2) * (self.centres * 2.0)).sum(-1) - (self.centres * self.centres).sum(-1)
        return torch.softmax(near * self.sharpness, -1)


def _inverse(deviation: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / deviation, and 0 for a constant channel, so that a sensor that wakes up later cannot shout."""
    flat = deviation <= np.maximum(FLAT * np.nanmax(np.abs(x), axis=0), TINY)
    return np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, deviation))


def _regimes(z: NDArray[np.float64], count: int, seed: int) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Centres [K, R] of k-means over z [N, R], 1 / 2σ² of their shared spherical variance, and memberships [N, K]."""
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=4, random_state=seed).fit(z)
    centres = np.asarray(fitted.cluster_centers_, np.float64)
    variance = max(float(fitted.inertia_) / z.size, LEAST_SPREAD**2)
    logits = -((z[:, None, :] - centres) ** 2).sum(-1) / (2 * variance)
    share = np.exp(logits - logits.max(-1, keepdims=True))
    return centres, 1.0 / (2 * variance), share / share.sum(-1, keepdims=True)


def _within(
    x: NDArray[np.float64],
    share: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    columns: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and inverse deviation [K, C] of every channel in every regime; global ones where a regime knows none."""
    means, scales = [], []
    for weight in share.T:
        known = ~np.isnan(x) * weight[:, None]
        total = known.sum(0)
        safe = np.where(total > 0, total, 1.0)
        centre = np.where(total > 0, np.nansum(known * np.nan_to_num(x), 0) / safe, mean)
        deviation = np.sqrt(np.nansum(known * np.nan_to_num((x - centre) ** 2), 0) / safe)
        within = np.where(total > 0, _inverse(deviation, x), scale)
        centre[columns], within[columns] = mean[columns], scale[columns]
        means.append(centre)
        scales.append(within)
    return np.array(means), np.array(scales)
