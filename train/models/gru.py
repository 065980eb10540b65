"""Gated recurrent units: small, unbounded memory, the cheapest step of all families."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, Place, Units, need


@dataclass(frozen=True)
class GruOptions(FamilyOptions):
    """`hidden` units a layer, `layers` on top of each other, `dropout` (share, while fitting) behind each layer."""

    hidden: int = 32
    layers: int = 1
    dropout: float = 0.0


class GRU(Family):
    """Cho et al. 2014 in the form of Chung et al. 2014, as torch.nn.GRU has it (reset gate behind the product).

    `forward` is torch's fused loop; `step` is written out. Reading and state go through matrix products of their own,
    never through one product of their concatenation, so that their quantized scales stay independent.
    """

    Options = GruOptions
    width = "hidden"
    options: GruOptions

    def __init__(self, inputs: int, outputs: int, options: GruOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(options.layers >= 1, "model.layers", "at least 1")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        between = options.dropout if options.layers > 1 else 0.0
        self.cells = nn.GRU(inputs, options.hidden, options.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.hidden, outputs)

    @property
    def memory(self) -> None:
        """A gate can hold a value for ever."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h0` … one a layer."""
        return tuple(f"h{layer}" for layer in range(self.options.layers))

    @property
    def state_bounds(self) -> dict[str, float]:
        """1: a state is a mixture of its predecessor and a tanh, and begins at zero."""
        return dict.fromkeys(self.state_names, 1.0)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden] a layer."""
        return tuple(torch.zeros(batch, self.options.hidden) for _ in range(self.options.layers))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        return self.head(self.dropout(self.cells(x)[0]))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and one h [B, H] a layer -> (y_t [B, O], *next h)."""
        following = []
        for layer, h in enumerate(state):
            x_t = self._cell(layer, x_t, h)
            following.append(x_t)
        return (self.head(x_t), *following)

    def units(self) -> tuple[Units, ...]:
        """One group a layer: a unit's rows in its three gates, and its columns in what reads it."""
        groups = []
        for layer in range(self.options.layers):
            rows = (f"cells.{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            above = "head.weight" if layer == self.options.layers - 1 else f"cells.weight_ih_l{layer + 1}"
            reads = (Place(f"cells.weight_hh_l{layer}", 1), Place(above, 1))
            groups.append(Units(f"h{layer}", tuple(Place(row, 0, 3) for row in rows), reads))
        return tuple(groups)

    def _cell(self, layer: int, x: Tensor, h: Tensor) -> Tensor:
        weights = (getattr(self.cells, f"{name}_l{layer}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh"))
        w_x, b_x, w_h, b_h = weights
        x_reset, x_update, x_new = F.linear(x, w_x, b_x).chunk(3, -1)
        h_reset, h_update, h_new = F.linear(h, w_h, b_h).chunk(3, -1)
        reset = torch.sigmoid(x_reset + h_reset)
        update = torch.sigmoid(x_update + h_update)
        new = torch.tanh(x_new + reset * h_new)
        return new + update * (h - new)
