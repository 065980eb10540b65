"""Simple recurrent network: the smallest step there is, and the shortest-lived memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.models.base import need
from train.models.recurrent import Recurrent, RecurrentOptions

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


@dataclass(frozen=True)
class RnnOptions(RecurrentOptions):
    """Beside those of all recurrent networks: `activation`, tanh or relu."""

    activation: str = "tanh"


class RNN(Recurrent):
    """Elman 1990, Finding Structure in Time: h' = f(W x + U h + b), as torch.nn.RNN has it.

    With ReLU, U begins as the identity (Le, Jaitly & Hinton 2015), or the state soon grows without bound.
    """

    Options = RnnOptions
    gates = 1
    options: RnnOptions

    def _layers(self, dropout: float) -> nn.RNNBase:
        need(self.options.activation in ACTIVATIONS, "model.activation", " or ".join(ACTIVATIONS))
        cells = nn.RNN(
            self.inputs,
            self.options.hidden,
            self.options.layers,
            self.options.activation,
            batch_first=True,
            dropout=dropout,
        )
        if self.options.activation == "relu":
            for layer in range(self.options.layers):
                nn.init.eye_(getattr(cells, f"weight_hh_l{layer}"))
        return cells

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 with tanh."""
        return dict.fromkeys(self.state_names, 1.0) if self.options.activation == "tanh" else {}

    def _cell(self, x: Tensor, h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return (ACTIVATIONS[self.options.activation](x + h),)
