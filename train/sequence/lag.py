"""How far back an output feels its inputs: the norm of its gradient by lag."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from train.models.base import Family

SIGNS = 0
"""Seed of the signs that outputs are summed with."""


def feed(family: Family, x: Tensor) -> tuple[Tensor, ...]:
    """x [B, T, C] and what else the family takes: readings that come evenly, with nothing missing."""
    dt = torch.ones_like(x[..., :1])
    dt[:, 0] = 0.0
    more = {"dt": dt, "mask": torch.ones_like(x)}
    return (x, *(more[name] for name in family.takes))


def gradient_by_lag(family: Family, x: Tensor) -> list[float]:
    """For lag k = 0 … T - 1 the norm of d y_T / d x_{T-k}, root of its mean square over the sequences x [B, T, C].

    The norm is that of the whole Jacobian (Frobenius), estimated by one product with random signs per sequence
    (Hutchinson 1990): exact for one output. Where it falls to nothing with k, nothing that long ago can be learnt from
    (Bengio, Simard & Frasconi 1994, theorem 4).
    """
    was = family.training
    family.eval()
    x = x.detach().clone().requires_grad_(True)
    with torch.backends.cudnn.flags(enabled=False):  # its recurrent networks go backward in training mode alone
        last = family(*feed(family, x))[:, -1]
    signs = torch.randint(0, 2, last.shape, generator=torch.Generator().manual_seed(SIGNS), device="cpu") * 2.0 - 1.0
    (gradient,) = torch.autograd.grad((last * signs.to(last.device)).sum(), x)
    family.train(was)
    norms: list[float] = gradient.double().square().sum(-1).mean(0).sqrt().flip(0).tolist()
    return norms


def shown(length: int) -> list[int]:
    """Lags for a table: 0, then by powers of ten, and the last."""
    powers = [10**i for i in range(math.ceil(math.log10(max(length, 1))) + 1)]
    return sorted({0, *(lag for lag in powers if lag < length - 1), length // 2, length - 1})


def reach(norms: list[float], share: float = 0.01) -> int:
    """The longest lag whose gradient is at least this `share` of the largest."""
    top = max(norms)
    return max((lag for lag, norm in enumerate(norms) if norm >= share * top and norm > 0), default=0)
