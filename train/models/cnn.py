"""Convolutional network over a window: what is seen depends on the last few readings alone, and on nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, Place, Units, need
from train.models.causal import along, reach, tap


@dataclass(frozen=True)
class CnnOptions(FamilyOptions):
    """`channels` of every layer, `layers` of convolutions over `kernel` readings each, `window` of what the last one of
    them makes that is read as a whole, `dropout` (share, while fitting) behind each layer.
    """

    channels: int = 16
    layers: int = 3
    kernel: int = 5
    window: int = 24
    dropout: float = 0.0


class CNN(Family):
    """Plain causal convolutions, then a layer that reads a whole window, as Li, Ding & Sun 2018 have it in Remaining
    useful life estimation in prognostics using deep convolution neural networks.

    That layer is fully connected there: a convolution as wide as the window, as it moves along. Nothing is dilated,
    skipped or normalised. Layers end in tanh: what a fault does to ReLU, one behind the other, outgrows any range that
    calibration can leave. Weights begin as in Glorot & Bengio 2010, equation 16. `step` keeps the past inputs of every
    layer.
    """

    Options = CnnOptions
    width = "channels"
    options: CnnOptions

    def __init__(self, inputs: int, outputs: int, options: CnnOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.channels <= 4096, "model.channels", "from 1 to 4096")
        need(1 <= options.layers <= 16, "model.layers", "from 1 to 16")
        need(options.kernel >= 2, "model.kernel", "at least 2")
        need(options.window >= 2, "model.window", "at least 2")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        width = options.channels
        widths = (inputs, *[width] * options.layers)
        spans = (*[options.kernel] * options.layers, options.window)
        self.layers = nn.ModuleList(nn.Conv1d(below, width, span) for below, span in zip(widths, spans, strict=True))
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(width, outputs)
        for conv in self._convs():
            nn.init.xavier_uniform_(conv.weight)

    @property
    def memory(self) -> int:
        """layers (kernel - 1) + window readings."""
        return 1 + sum(map(reach, self._convs()))

    @property
    def state_names(self) -> tuple[str, ...]:
        """`past0` … the buffer of each layer."""
        return tuple(f"past{layer}" for layer in range(len(self.layers)))

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 for what a tanh made: all but the readings themselves."""
        return dict.fromkeys(self.state_names[1:], 1.0)

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, width, kernel - 1] a layer, window - 1 at the last."""
        return tuple(torch.zeros(batch, conv.in_channels, reach(conv)) for conv in self._convs())

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        y = x.mT
        for conv in self._convs():
            y = self.dropout(torch.tanh(along(conv, y)))
        return self.head(y.mT)  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the buffers -> (y_t [B, O], *next buffers)."""
        following: list[Tensor] = []
        for conv, past in zip(self._convs(), rest, strict=True):
            x_t, past = tap(conv, x_t, past)
            x_t = torch.tanh(x_t)
            following.append(past)
        return (self.head(x_t), *following)

    def units(self) -> tuple[Units, ...]:
        """The channels of each layer."""
        last = len(self.layers) - 1
        return tuple(
            Units(
                f"channels{layer}",
                tuple(Place(f"layers.{layer}.{kind}", 0) for kind in ("weight", "bias")),
                (Place("head.weight" if layer == last else f"layers.{layer + 1}.weight", 1),),
            )
            for layer in range(len(self.layers))
        )

    def _convs(self) -> list[nn.Conv1d]:
        return [conv for conv in self.layers if isinstance(conv, nn.Conv1d)]
