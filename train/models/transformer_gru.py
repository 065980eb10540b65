"""Attention over a short window that feeds a GRU: what just happened is read as a whole, the rest is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from edge.manifest import Extra
from train.models.attention import WindowAttention, fill, init_seen
from train.models.base import Family, need
from train.models.gru import GRU
from train.models.recurrent import RecurrentOptions


@dataclass(frozen=True)
class TransformerGruOptions(RecurrentOptions):
    """Beside those of all recurrent networks: `heads` of the attention, over a `window` of readings."""

    heads: int = 2
    window: int = 16


class TransformerGRU(Family):
    """The attention of Vaswani et al. 2017 over a window, normalised first and added to what it reads, below the GRU of
    Cho et al. 2014.

    Attention compares readings that lie close together and costs the same at each step; the GRU carries what it finds
    on for as long as it matters.
    """

    Options = TransformerGruOptions
    width = "hidden"
    options: TransformerGruOptions

    def __init__(self, inputs: int, outputs: int, options: TransformerGruOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.heads <= 64, "model.heads", "from 1 to 64")
        need(2 <= options.window <= 4096, "model.window", "from 2 to 4096")
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        self.entry = nn.Linear(inputs, options.hidden)
        self.norm = nn.LayerNorm(options.hidden)
        self.attention = WindowAttention(options.hidden, options.heads, options.window)
        self.dropout = nn.Dropout(options.dropout)
        self.gru = GRU(options.hidden, outputs, options)

    @property
    def memory(self) -> None:
        """No bound: the GRU's."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`seen`, which places of the window hold a reading; its `keys` and `values`; `h0` … of the GRU."""
        return ("seen", "keys", "values", *self.gru.state_names)

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 for `seen`, and as a GRU's."""
        return {"seen": 1.0, **self.gru.state_bounds}

    @property
    def extras(self) -> tuple[Extra, ...]:
        """`attention`: the weights of each head over the window, the present last."""
        return (Extra("attention", (1, self.options.heads, self.options.window)),)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """An empty window, zeros in the shapes of WindowAttention, and of the GRU."""
        seen = init_seen(batch, self.options.window)
        return (seen, *self.attention.init_state(batch), *self.gru.init_state(batch))

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        x = self.entry(x)
        return self.gru(x + self.dropout(self.attention(self.norm(x))))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state -> (y_t [B, O], weights [B, heads, window], *next state)."""
        empty, seen = fill(rest[0])
        x_t = self.entry(x_t)
        added, weights, *past = self.attention.step(self.norm(x_t), empty, *rest[1:3])
        y_t, *following = self.gru.step(x_t + added, *rest[3:])
        return (y_t, weights, seen, *past, *following)
