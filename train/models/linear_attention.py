"""Gated linear attention: all that was ever read in one matrix of constant size, from which each reading asks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, need
from train.models.feedforward import Feedforward

FASTEST = 0.9
"""The largest share of the state that one reading replaces. What is left of it after `CHUNK` readings, 0.1 to the power
of 16, is still far above the smallest float.
"""
CHUNK = 16
"""Readings that are computed at once in `forward`."""


@dataclass(frozen=True)
class LinearAttentionOptions(FamilyOptions):
    """`dim`, how wide the stream of readings is; `heads` in each of `blocks`; `longest`, in readings: time constants of
    the state begin between 2 and this; `expand`, how many times as wide the blocks are inside; `dropout` (share,
    while fitting) of what each part adds.
    """

    dim: int = 32
    heads: int = 2
    blocks: int = 2
    longest: float = 200.0
    expand: int = 2
    dropout: float = 0.1


class GatedMemory(nn.Module):
    """Yang et al. 2023, Gated Linear Attention Transformers with Hardware-Efficient Training, section 4.1: of each head
    Sₜ = Diag(αₜ) Sₜ₋₁ + kₜ vₜᵀ and oₜ = Sₜᵀ qₜ; with α = 1 it is the recurrence of Katharopoulos et al. 2020, section
    3.4, without its normaliser.

    What is written is weighted by what the gate lets go, k (1 - α), as in HGRN2 (Qin et al. 2024), and k and v are
    bounded: the state is a weighted mean within 1, however long the history. No gate lets go of more than `FASTEST`.
    """

    def __init__(self, width: int, heads: int, longest: float) -> None:
        super().__init__()
        self.heads, self.size = heads, -(-width // heads)
        inner = heads * self.size
        self.parts = nn.Linear(width, 5 * inner)
        self.told = nn.Linear(inner, width)
        with torch.no_grad():
            share = torch.logspace(math.log10(0.5), -math.log10(longest), inner)
            self.parts.bias[-inner:] = torch.logit(share / FASTEST)
            self.parts.weight[-inner:] *= 0.1

    def init_state(self, batch: int) -> Tensor:
        """Zeros [B, N, D, D]."""
        return torch.zeros(batch, self.heads, self.size, self.size)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, width] -> [B, T, width], in chunks: within one as products over all its pairs of readings, from one
        to the next by the state (Yang et al. 2023, section 4.2).
        """
        batch, steps, _ = x.shape
        count = -(-steps // CHUNK)
        q, k, v, shown, share = self._parts(F.pad(x, (0, 0, 0, count * CHUNK - steps)))
        q, k, v, share = (
            t.reshape(batch, count, CHUNK, self.heads, self.size).transpose(2, 3) for t in (q, k, v, share)
        )
        fading = torch.log1p(-share).cumsum(-2)
        left = fading.exp()
        written = k * share
        asked = q * left
        pairs = (asked @ (written * (-fading).exp()).mT).tril()
        added = (written * (fading[..., -1:, :] - fading).exp()).mT @ v
        kept = left[..., -1, :, None]
        state = self.init_state(batch)
        before = []
        for kept_t, added_t in zip(kept.unbind(1), added.unbind(1), strict=True):
            before.append(state)
            state = kept_t * state + added_t
        out = pairs @ v + asked @ torch.stack(before, 1)
        out = out.transpose(2, 3).flatten(3).flatten(1, 2)
        return self.told(out * shown)[:, :steps]  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x_t [B, width] and the state -> (y_t [B, width], next state)."""
        q, k, v, shown, share = self._parts(x_t)
        down, across = (-1, self.heads, self.size, 1), (-1, self.heads, 1, self.size)
        state = state + share.reshape(down) * (k.reshape(down) * v.reshape(across) - state)
        out = (q.reshape(down) * state).sum(2)
        return self.told(out.reshape(-1, self.heads * self.size) * shown), state

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Query, key, value, what is shown of the answer, and the share of the state that is replaced: 1 - α."""
        q, k, v, shown, gate = self.parts(x).chunk(5, -1)
        return q, torch.sigmoid(k), torch.tanh(v), torch.sigmoid(shown) * shown, torch.sigmoid(gate) * FASTEST


class Block(nn.Module):
    """The memory, then a network for each reading, both normalised first and added to what they read."""

    def __init__(self, options: LinearAttentionOptions) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(options.dim)
        self.memory = GatedMemory(options.dim, options.heads, options.longest)
        self.feed = Feedforward(options.dim, options.expand, options.dropout)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, dim] -> the same shape."""
        return self.feed(x + self.dropout(self.memory(self.norm(x))))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x_t [B, dim] and the state -> (y_t [B, dim], next state)."""
        added, state = self.memory.step(self.norm(x_t), state)
        return self.feed(x_t + added), state


class LinearAttention(Family):
    """Blocks of gated linear attention (Yang et al. 2023, section 4.4): a transformer whose memory has no window."""

    Options = LinearAttentionOptions
    width = "dim"
    options: LinearAttentionOptions

    def __init__(self, inputs: int, outputs: int, options: LinearAttentionOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.dim <= 4096, "model.dim", "from 1 to 4096")
        need(1 <= options.heads <= 64, "model.heads", "from 1 to 64")
        need(1 <= options.blocks <= 64, "model.blocks", "from 1 to 64")
        need(2 <= options.longest <= 1e6, "model.longest", "from 2 to 1000000")
        need(1 <= options.expand <= 16, "model.expand", "from 1 to 16")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        self.entry = nn.Linear(inputs, options.dim)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(options.dim)
        self.head = nn.Linear(options.dim, outputs)

    @property
    def memory(self) -> None:
        """No bound, however fast it fades."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`memory0` … one a block."""
        return tuple(f"memory{block}" for block in range(self.options.blocks))

    @property
    def state_bounds(self) -> dict[str, float]:
        """1: a weighted mean of products within 1, and zero."""
        return dict.fromkeys(self.state_names, 1.0)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, heads, D, D] a block."""
        return tuple(block.memory.init_state(batch) for block in self._blocks())

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        x = self.entry(x)
        for block in self._blocks():
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state -> (y_t [B, O], *next state)."""
        x_t = self.entry(x_t)
        following: list[Tensor] = []
        for block, state in zip(self._blocks(), rest, strict=True):
            x_t, state = block.step(x_t, state)
            following.append(state)
        return (self.head(self.norm(x_t)), *following)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]
