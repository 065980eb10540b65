"""Temporal convolutional network: dilated causal convolutions, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from train.models.base import Family, FamilyOptions, Place, Units, need
from train.models.causal import along, tap


@dataclass(frozen=True)
class TcnOptions(FamilyOptions):
    """`channels` of every block, `levels` of blocks (dilation doubles at each), `kernel` taps, `dropout` in fitting."""

    channels: int = 24
    levels: int = 4
    kernel: int = 3
    dropout: float = 0.1


BEGIN = 0.01
"""Standard deviation of the weights that lead in and out, before they are taught."""


class Block(nn.Module):
    """Two causal convolutions with ReLU and dropout beside a residual connection (Bai, Kolter & Koltun 2018, figure
    1b). The `entry` to a network leads through a matrix of its own even where it changes no width: what runs from block
    to block are then the network's own channels, which can be pruned.
    """

    def __init__(self, inputs: int, options: TcnOptions, dilation: int, entry: bool) -> None:
        super().__init__()
        c, k = options.channels, options.kernel
        self.first = weight_norm(nn.Conv1d(inputs, c, k, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(c, c, k, dilation=dilation))
        self.shortcut = nn.Linear(inputs, c) if entry else None
        if self.shortcut is not None:
            nn.init.normal_(self.shortcut.weight, std=BEGIN)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, in] -> [B, T, channels]; before the first reading there were zeros."""
        y = x.mT
        for conv in (self.first, self.second):
            y = self.dropout(torch.relu(along(conv, y)))
        return torch.relu(y.mT + self._across(x))

    def step(self, x_t: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t [B, in] and two buffers of past inputs [B, ·, past] -> (y_t [B, channels], next buffers)."""
        y, first = tap(self.first, x_t, first)
        y, second = tap(self.second, torch.relu(y), second)
        return torch.relu(torch.relu(y) + self._across(x_t)), first, second

    def _across(self, x: Tensor) -> Tensor:
        return x if self.shortcut is None else self.shortcut(x)


class TCN(Family):
    """Bai, Kolter & Koltun 2018, An Empirical Evaluation of Generic Convolutional and Recurrent Networks, section 3.

    `forward` convolves; `step` keeps the past inputs of every convolution in a shift buffer and multiplies only the
    taps it needs: a matrix product, which integer recipes know how to quantize. Weight normalisation helps while
    fitting and is folded into plain weights by `fold`. Weights begin as they do in the authors' code: what that sets
    for its convolutions, N(0, 0.01²) too, their weight norm undoes at the first pass.
    """

    Options = TcnOptions
    width = "channels"
    options: TcnOptions

    def __init__(self, inputs: int, outputs: int, options: TcnOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.channels <= 4096, "model.channels", "from 1 to 4096")
        need(1 <= options.levels <= 16, "model.levels", "from 1 to 16")
        need(options.kernel >= 2, "model.kernel", "at least 2")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        widths = [inputs, *[options.channels] * (options.levels - 1)]
        self.blocks = nn.ModuleList(
            Block(width, options, 2**level, entry=level == 0) for level, width in enumerate(widths)
        )
        self.head = nn.Linear(options.channels, outputs)
        nn.init.normal_(self.head.weight, std=BEGIN)

    @property
    def memory(self) -> int:
        """The receptive field: 1 + 2 (kernel - 1) (2^levels - 1) readings."""
        return 1 + sum(2 * past for _, past in self._pasts())

    @property
    def state_names(self) -> tuple[str, ...]:
        """`past0a`, `past0b`, … the buffers of both convolutions of each level."""
        return tuple(f"past{level}{conv}" for level in range(self.options.levels) for conv in "ab")

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, width, (kernel - 1) · dilation] a convolution."""
        return tuple(
            torch.zeros(batch, w, past) for width, past in self._pasts() for w in (width, self.options.channels)
        )

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the buffers -> (y_t [B, O], *next buffers)."""
        following: list[Tensor] = []
        for level, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x_t, first, second = block.step(x_t, state[2 * level], state[2 * level + 1])
            following += [first, second]
        return (self.head(x_t), *following)

    def units(self) -> tuple[Units, ...]:
        """The channels that residual connections carry through all blocks as one group, the inner ones block by
        block.
        """
        blocks = [f"blocks.{level}" for level in range(self.options.levels)]
        ends = [Place(f"{b}.second.{kind}", 0) for b in blocks for kind in ("weight", "bias")]
        entry = [Place(f"{blocks[0]}.shortcut.{kind}", 0) for kind in ("weight", "bias")]
        starts = [Place(f"{b}.first.weight", 1) for b in blocks[1:]]
        stream = Units("stream", (*ends, *entry), (*starts, Place("head.weight", 1)))
        inner = (
            Units(
                f"inner{level}",
                (Place(f"{b}.first.weight", 0), Place(f"{b}.first.bias", 0)),
                (Place(f"{b}.second.weight", 1),),
            )
            for level, b in enumerate(blocks)
        )
        return (stream, *inner)

    def fold(self) -> None:
        """Replace each weight norm by the weight it stands for."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d) and is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")

    def _pasts(self) -> Iterator[tuple[int, int]]:
        for level in range(self.options.levels):
            yield (self.inputs if level == 0 else self.options.channels), (self.options.kernel - 1) * 2**level
