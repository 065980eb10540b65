"""What a family is given, whatever it takes: for claims that are about something else."""

from __future__ import annotations

import torch
from torch import Tensor

from train.models.base import Family


def taken(family: Family, x: Tensor, draw: torch.Generator | None = None) -> tuple[Tensor, ...]:
    """Readings [..., C], and what `family` takes behind them: gaps about 1, masks with holes."""
    more = {
        "dt": 2.0 * torch.rand(*x.shape[:-1], 1, generator=draw),
        "mask": (torch.rand(x.shape, generator=draw) > 0.3).float(),
    }
    return (x, *(more[name] for name in family.takes))
