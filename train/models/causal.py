"""One causal convolution in its two forms, for the families that are made of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def reach(conv: nn.Conv1d) -> int:
    """How many readings before the present one `conv` looks at, those it skips included: the length of its buffer."""
    return (conv.kernel_size[0] - 1) * conv.dilation[0]


def along(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """x [B, in, T] -> [B, out, T]; before the first reading there were zeros."""
    y: Tensor = conv(F.pad(x, (reach(conv), 0)))
    return y


def tap(conv: nn.Conv1d, x_t: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """x_t [B, in] and the inputs before it [B, in, reach] -> (output [B, out], the buffer moved on by one).

    A matrix product over the taps that are needed, which integer recipes know how to quantize.
    """
    window = torch.cat([past, x_t.unsqueeze(-1)], -1)
    taps = window[:, :, :: conv.dilation[0]].flatten(1)
    return F.linear(taps, conv.weight.flatten(1), conv.bias), window[:, :, 1:]
