"""Gated recurrent units: small, unbounded memory, the cheapest step that forgets and keeps at will."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.models.recurrent import Recurrent


class GRU(Recurrent):
    """Cho et al. 2014 in the form of Chung et al. 2014, as torch.nn.GRU has it (reset gate behind the product)."""

    gates = 3

    def _layers(self, dropout: float) -> nn.RNNBase:
        return nn.GRU(self.inputs, self.options.hidden, self.options.layers, batch_first=True, dropout=dropout)

    @property
    def state_bounds(self) -> dict[str, float]:
        """1: a state is a mixture of its predecessor and a tanh, and begins at zero."""
        return dict.fromkeys(self.state_names, 1.0)

    def _cell(self, x: Tensor, h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x_reset, x_update, x_new = x.chunk(3, -1)
        h_reset, h_update, h_new = h.chunk(3, -1)
        reset = torch.sigmoid(x_reset + h_reset)
        update = torch.sigmoid(x_update + h_update)
        new = torch.tanh(x_new + reset * h_new)
        return (new + update * (state[0] - new),)
