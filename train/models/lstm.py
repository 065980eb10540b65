"""Long short-term memory: a cell that keeps its content beside gates that write, forget and read it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.models.recurrent import Recurrent, RecurrentOptions


@dataclass(frozen=True)
class LstmOptions(RecurrentOptions):
    """Beside those of all recurrent networks: `forget_bias`, what the forget gate's bias begins with."""

    forget_bias: float = 1.0


class LSTM(Recurrent):
    """Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, as torch.nn.LSTM has it.

    The forget gate begins open (Jozefowicz, Zaremba & Sutskever 2015, section 4), or the past fades before it has
    taught anything.
    """

    Options = LstmOptions
    kinds = ("h", "c")
    gates = 4
    options: LstmOptions

    def _layers(self, dropout: float) -> nn.RNNBase:
        width = self.options.hidden
        cells = nn.LSTM(self.inputs, width, self.options.layers, batch_first=True, dropout=dropout)
        with torch.no_grad():
            for layer in range(self.options.layers):
                for name, value in (("bias_ih", self.options.forget_bias), ("bias_hh", 0.0)):
                    getattr(cells, f"{name}_l{layer}")[width : 2 * width] = value
        return cells

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 for what is read; what the cell holds is a sum without a bound."""
        return dict.fromkeys((name for name in self.state_names if name.startswith("h")), 1.0)

    def _cell(self, x: Tensor, h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        write, forget, new, read = (x + h).chunk(4, -1)
        cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(read) * torch.tanh(cell), cell
