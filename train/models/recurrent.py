"""What the classical recurrent networks share: torch's fused loop to fit with, a cell written out to step with."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, Place, Units, need


@dataclass(frozen=True)
class RecurrentOptions(FamilyOptions):
    """`hidden` units a layer, `layers` on top of each other, `dropout` (share, while fitting) behind each layer."""

    hidden: int = 32
    layers: int = 1
    dropout: float = 0.0


class Recurrent(Family):
    """Layers of recurrent cells and a linear head.

    Reading and state go through matrix products of their own, never through one product of their concatenation, so that
    their quantized scales stay independent.
    """

    Options = RecurrentOptions
    width = "hidden"
    kinds: ClassVar[tuple[str, ...]] = ("h",)
    """The tensors [B, H] of one layer's state; the first is what is read above."""
    gates: ClassVar[int]
    """How many times a unit has a row in each weight."""
    options: RecurrentOptions

    def __init__(self, inputs: int, outputs: int, options: RecurrentOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(options.layers >= 1, "model.layers", "at least 1")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        self.cells = self._layers(options.dropout if options.layers > 1 else 0.0)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.hidden, outputs)

    @abstractmethod
    def _layers(self, dropout: float) -> nn.RNNBase:
        """Torch's module of all layers, batch first."""

    @abstractmethod
    def _cell(self, x: Tensor, h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """What reading [B, gates · H] and `h` [B, gates · H] come to, both with their bias, and the layer's state ->
        its next state.
        """

    @property
    def memory(self) -> None:
        """No bound, however fast it fades."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h0` … one of each kind a layer."""
        return tuple(f"{kind}{layer}" for layer in range(self.options.layers) for kind in self.kinds)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden] each."""
        return tuple(torch.zeros(batch, self.options.hidden) for _ in self.state_names)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        return self.head(self.dropout(self.cells(x)[0]))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state, layer by layer -> (y_t [B, O], *next state)."""
        following: list[Tensor] = []
        each = len(self.kinds)
        for layer in range(self.options.layers):
            state = rest[layer * each : (layer + 1) * each]
            w_x, b_x, w_h, b_h = (
                getattr(self.cells, f"{name}_l{layer}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
            )
            after = self._cell(F.linear(x_t, w_x, b_x), F.linear(state[0], w_h, b_h), *state)
            following += after
            x_t = after[0]
        return (self.head(x_t), *following)

    def units(self) -> tuple[Units, ...]:
        """One group a layer: a unit's row for each gate, and its columns in what reads it."""
        groups = []
        for layer in range(self.options.layers):
            rows = (f"cells.{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            above = "head.weight" if layer == self.options.layers - 1 else f"cells.weight_ih_l{layer + 1}"
            reads = (Place(f"cells.weight_hh_l{layer}", 1), Place(above, 1))
            groups.append(Units(f"h{layer}", tuple(Place(row, 0, self.gates) for row in rows), reads))
        return tuple(groups)
