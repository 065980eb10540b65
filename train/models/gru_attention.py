"""GRU whose head looks back: what was decisive some readings ago need not be carried to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edge.manifest import Extra
from train.models.attention import HIDDEN, banded
from train.models.base import Family, Place, Units, need
from train.models.gru import GRU
from train.models.recurrent import RecurrentOptions

NOWHERE = 2.0
"""What an empty place of the window holds: no hidden state, which is within 1, can be it."""


@dataclass(frozen=True)
class GruAttentionOptions(RecurrentOptions):
    """Beside those of all recurrent networks: `window`, how many hidden states the head looks at."""

    window: int = 16


class GRUAttention(Family):
    """Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, eqs. 5, 7 and 8,
    over a window as in section 3.2: the last hidden state asks the last `window` of them, itself included, by the
    general score hₜᵀ W hₛ, and the head reads tanh(W [context; hₜ]). A learned bias says how much a distance counts.

    The state keeps these hidden states in a buffer that shifts by one a step.
    """

    Options = GruAttentionOptions
    width = "hidden"
    options: GruAttentionOptions

    def __init__(self, inputs: int, outputs: int, options: GruAttentionOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(2 <= options.window <= 4096, "model.window", "from 2 to 4096")
        self.gru = GRU(inputs, options.hidden, options)
        self.gru.add_module("head", nn.Identity())  # its output is its hidden state
        self.asked = nn.Linear(options.hidden, options.hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(1, options.window))
        self.now = nn.Linear(options.hidden, options.hidden)
        self.past = nn.Linear(options.hidden, options.hidden, bias=False)
        self.head = nn.Linear(options.hidden, outputs)

    @property
    def memory(self) -> None:
        """No bound."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h0` … of the layers, and `past`, the last layer's states at the readings before."""
        return (*self.gru.state_names, "past")

    @property
    def state_bounds(self) -> dict[str, float]:
        """As a GRU's; of the window, what an empty place holds."""
        return {**self.gru.state_bounds, "past": NOWHERE}

    @property
    def extras(self) -> tuple[Extra, ...]:
        """`attention`: the weights of the window, the present last."""
        return (Extra("attention", (1, self.options.window)),)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden] a layer, and a window [batch, hidden, window - 1] of empty places."""
        window = torch.full((batch, self.options.hidden, self.options.window - 1), NOWHERE)
        return (*self.gru.init_state(batch), window)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        h = self.gru(x)
        context = banded(self.asked(h)[:, None], h[:, None], h[:, None], self.bias)[:, 0]
        return self._told(h, context)

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state -> (y_t [B, O], weights [B, window], *next state)."""
        h, *following = self.gru.step(x_t, *rest[:-1])
        states = torch.cat([rest[-1], h.unsqueeze(-1)], -1)
        empty = torch.relu(states[:, :1] - (1 + NOWHERE) / 2) * (2 * HIDDEN)
        scores = (self.asked(h).unsqueeze(-1) * states).sum(1, keepdim=True)
        weights = torch.softmax(scores + self.bias + empty, -1)
        context = (weights * states).sum(-1)
        return (self._told(h, context), weights.reshape(-1, self.options.window), *following, states[..., 1:])

    def units(self) -> tuple[Units, ...]:
        """The layers' groups, of which the last is read by the attention, too; and what the head reads."""
        *below, top = (
            Units(g.name, tuple(map(_inside, g.makes)), tuple(map(_inside, g.reads))) for g in self.gru.units()
        )
        own = [place for place in top.reads if not place.weight.endswith("head.weight")]
        looks = (Place("asked.weight", 0), Place("asked.weight", 1), Place("now.weight", 1), Place("past.weight", 1))
        mixed = tuple(Place(name, 0) for name in ("now.weight", "now.bias", "past.weight"))
        return (*below, replace(top, reads=(*own, *looks)), Units("mixed", mixed, (Place("head.weight", 1),)))

    def _told(self, h: Tensor, context: Tensor) -> Tensor:
        return self.head(torch.tanh(self.now(h) + self.past(context)))  # type: ignore[no-any-return]


def _inside(place: Place) -> Place:
    return replace(place, weight=f"gru.{place.weight}")
