"""Causal attention over a window of readings, in both forms: in blocks over time, and over keys that roll by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = -1e9
"""Added to the score of what must not be seen: its weight is then zero exactly, not nearly."""


def banded(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of every reading over the last W: q, k [B, N, T, D], v [B, N, T, E], `bias` [N, W] -> [B, N, T, E].

    `bias` is added to the scores by place in the window, the present last. Time is cut into blocks of W readings, each
    of which looks at itself and the block before it, so that cost grows with T · W and not with T².
    """
    steps, window = q.shape[2], bias.shape[1]
    count = -(-steps // window)
    padded = [F.pad(t, (0, 0, 0, count * window - steps)) for t in (q, k, v)]
    blocks = [t.reshape(*t.shape[:2], count, window, -1) for t in padded]
    keys, values = (torch.cat([F.pad(t, (0, 0, 0, 0, 1, 0))[:, :, :-1], t], 3) for t in blocks[1:])
    lag = torch.arange(window)[:, None] + window - torch.arange(2 * window)
    band = bias[:, (window - 1 - lag).clamp(0, window - 1)].masked_fill((lag < 0) | (lag >= window), HIDDEN)
    before = torch.zeros(count, 1, 2 * window)
    before[0, :, :window] = HIDDEN
    weights = torch.softmax(blocks[0] @ keys.mT + (band[:, None] + before), -1)
    return (weights @ values).flatten(2, 3)[:, :, :steps]


class WindowAttention(nn.Module):
    """Multi-head attention of each reading over the last `window`, itself included (Vaswani et al. 2017, section 3.2),
    with a learned bias for each head and distance (Raffel et al. 2020, section 2.1) in place of positions.

    Heads have whole sizes whatever the width: together they are a little wider where it is no multiple of `heads`.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window, self.size = heads, window, -(-width // heads)
        inner = heads * self.size
        self.asked = nn.Linear(width, 3 * inner, bias=False)
        self.told = nn.Linear(inner, width)
        self.bias = nn.Parameter(torch.zeros(heads, window))

    def init_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """Keys [B, N, D, W - 1] and values [B, N, W - 1, D] of the readings before; zeros where there was none."""
        past = self.window - 1
        return torch.zeros(batch, self.heads, self.size, past), torch.zeros(batch, self.heads, past, self.size)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, width] -> [B, T, width]."""
        q, k, v = (t.reshape(*x.shape[:2], self.heads, self.size).transpose(1, 2) for t in self.asked(x).chunk(3, -1))
        seen = banded(q * self.size**-0.5, k, v, self.bias)
        return self.told(seen.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, empty: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x_t [B, width], `empty` [B, W] (see `fill`), and the state -> (y_t [B, width], weights [B, N, W], next
        keys, next values).
        """
        q, k, v = self.asked(x_t).chunk(3, -1)
        keys = torch.cat([keys, k.reshape(-1, self.heads, self.size, 1)], -1)
        values = torch.cat([values, v.reshape(-1, self.heads, 1, self.size)], 2)
        scores = (q * self.size**-0.5).reshape(-1, self.heads, 1, self.size) @ keys
        weights = torch.softmax(scores + self.bias.unsqueeze(1) + empty[:, None, None], -1)
        seen = (weights @ values).reshape(-1, self.heads * self.size)
        return self.told(seen), weights.reshape(-1, self.heads, self.window), keys[..., 1:], values[:, :, 1:]


def init_seen(batch: int, window: int) -> Tensor:
    """A window [B, W - 1] that no reading has come to."""
    return torch.zeros(batch, window - 1)


def fill(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Which places before the present hold a reading, 1 or 0 [B, W - 1] -> what is added to all scores [B, W], and the
    places as the next reading must know them.
    """
    places = torch.cat([seen, torch.ones_like(seen[:, :1])], -1)
    return (1.0 - places) * HIDDEN, places[:, 1:]
