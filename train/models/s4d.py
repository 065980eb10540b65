"""Diagonal state space: hundreds of damped oscillators that listen at many speeds, mixed by a gated layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, need

BLOCK = 64
"""Readings that are convolved at once; between blocks the state is carried."""


@dataclass(frozen=True)
class S4dOptions(FamilyOptions):
    """`hidden` channels, `modes` oscillators of each (the paper's N / 2), `layers` of blocks, `fastest` and `slowest`
    time scale in readings that channels begin with, `dropout` (share, while fitting) in every block.
    """

    hidden: int = 32
    modes: int = 16
    layers: int = 2
    fastest: float = 10.0
    slowest: float = 1000.0
    dropout: float = 0.1


class Modes(NamedTuple):
    """What the recurrence x' = a x + u, y = Re(c x) runs with; real and imaginary parts [H, N] each."""

    a_re: Tensor
    a_im: Tensor
    c_re: Tensor
    c_im: Tensor


class Continuous(nn.Module):
    """dx/dt = A x + u, y = 2 Re(C x) on steps of length Δ, as it is learnt: A = -exp(damping) + i frequency."""

    def __init__(self, options: S4dOptions) -> None:
        """S4D-Lin (section 4 of the paper): A_n = -1/2 + i π n, B = 1; Δ log-uniform between the time scales."""
        super().__init__()
        h, n = options.hidden, options.modes
        fast, slow = math.log(options.fastest), math.log(options.slowest)
        self.pace = nn.Parameter(-(fast + (slow - fast) * torch.rand(h)))
        self.damping = nn.Parameter(torch.full((h, n), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(n).expand(h, n).clone())
        self.c_re = nn.Parameter(torch.randn(h, n) * math.sqrt(0.5))
        self.c_im = nn.Parameter(torch.randn(h, n) * math.sqrt(0.5))

    def discrete(self) -> Modes:
        """With the input held over each step (zero-order hold): a = exp(Δ A), c = 2 C (a - 1) / A."""
        step = torch.exp(self.pace).unsqueeze(-1)
        real, imaginary = -torch.exp(self.damping), self.frequency
        size, angle = torch.exp(real * step), imaginary * step
        a_re, a_im = size * torch.cos(angle), size * torch.sin(angle)
        below = real * real + imaginary * imaginary
        b_re = ((a_re - 1.0) * real + a_im * imaginary) / below
        b_im = (a_im * real - (a_re - 1.0) * imaginary) / below
        c_re, c_im = self.c_re * b_re - self.c_im * b_im, self.c_re * b_im + self.c_im * b_re
        return Modes(a_re, a_im, 2.0 * c_re, 2.0 * c_im)


class Folded(nn.Module):
    """The recurrence's own numbers, when nothing is left to be learnt: weights still, but fixed."""

    def __init__(self, modes: Modes) -> None:
        super().__init__()
        for name, values in modes._asdict().items():
            self.register_parameter(name, nn.Parameter(values.detach().clone(), requires_grad=False))

    def discrete(self) -> Modes:
        """As they are."""
        return Modes(*(getattr(self, name) for name in Modes._fields))


class Block(nn.Module):
    """Normalise, oscillate, mix: x + GLU(W gelu(SSM(norm(x)))), the block of Gu et al. with its gated output layer.

    The GELU is in its sigmoid form (Hendrycks & Gimpel 2016, section 2), which every target has.
    """

    def __init__(self, options: S4dOptions) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(options.hidden)
        self.space: Continuous | Folded = Continuous(options)
        self.past = nn.Parameter(torch.randn(options.hidden))
        self.mix = nn.Linear(options.hidden, 2 * options.hidden)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, H] -> [B, T, H], from a state of zeros."""
        u = self.norm(x)
        return x + self._mixed(_scan(self.space.discrete(), u) + self.past * u)

    def step(self, x_t: Tensor, re: Tensor, im: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t [B, H] and the state [B, H, N], real and imaginary -> (y_t [B, H], next state)."""
        a_re, a_im, c_re, c_im = self.space.discrete()
        u = self.norm(x_t)
        re, im = a_re * re - a_im * im + u.unsqueeze(-1), a_re * im + a_im * re
        y = (c_re * re - c_im * im).sum(-1)
        return x_t + self._mixed(y + self.past * u), re, im

    def _mixed(self, y: Tensor) -> Tensor:
        value, gate = self.mix(self.dropout(y * torch.sigmoid(1.702 * y))).chunk(2, -1)
        return self.dropout(value * torch.sigmoid(gate))  # type: ignore[no-any-return]


def _scan(modes: Modes, u: Tensor) -> Tensor:
    """u [B, T, H] -> y [B, T, H]: convolved within blocks, the state carried from one to the next.

    One kernel for all T would need an FFT, in which the future touches the past by rounding. Powers of `a` are taken in
    double precision and of the very numbers that the step multiplies with: 10 000 products of them then agree.
    """
    batch, length, width = u.shape
    blocks = -(-length // BLOCK)
    rows = F.pad(u, (0, 0, 0, blocks * BLOCK - length)).permute(2, 0, 1).reshape(width, batch * blocks, BLOCK)
    a_re, a_im = modes.a_re.double(), modes.a_im.double()
    log_size = 0.5 * torch.log((a_re * a_re + a_im * a_im).clamp(min=1e-60)).unsqueeze(-1)
    angle = torch.atan2(a_im, a_re).unsqueeze(-1)
    n = torch.arange(BLOCK + 1, dtype=torch.float64, device=u.device)
    size = torch.exp(log_size * n)
    p_re, p_im = (size * torch.cos(angle * n)).to(u.dtype), (size * torch.sin(angle * n)).to(u.dtype)  # [H, N, BLOCK+1]
    out_re = modes.c_re.unsqueeze(-1) * p_re - modes.c_im.unsqueeze(-1) * p_im
    out_im = -(modes.c_re.unsqueeze(-1) * p_im + modes.c_im.unsqueeze(-1) * p_re)
    kernel = out_re[..., :BLOCK].sum(1)  # [H, BLOCK]
    lag = torch.arange(BLOCK, device=u.device) - torch.arange(BLOCK, device=u.device).unsqueeze(-1)  # [from, to]
    near = torch.where(lag >= 0, kernel[:, lag.clamp(min=0)], 0.0)
    y = torch.bmm(rows, near)
    if blocks > 1:
        count = modes.a_re.shape[1]
        given = torch.bmm(rows, torch.cat([p_re, p_im], 1)[..., :BLOCK].flip(-1).mT)  # what each block leaves behind
        left = given.reshape(width, batch, blocks, 2, count)
        far_re, far_im = p_re[..., BLOCK].unsqueeze(1), p_im[..., BLOCK].unsqueeze(1)
        re = im = torch.zeros_like(left[:, :, 0, 0])
        before = [torch.cat([re, im], -1)]
        for block in range(blocks - 1):
            re, im = far_re * re - far_im * im + left[:, :, block, 0], far_re * im + far_im * re + left[:, :, block, 1]
            before.append(torch.cat([re, im], -1))
        state = torch.stack(before, 2).reshape(width, batch * blocks, 2 * count)
        y = y + torch.bmm(state, torch.cat([out_re, out_im], 1)[..., 1:])
    return y.reshape(width, batch, blocks * BLOCK)[..., :length].permute(1, 2, 0)


class S4D(Family):
    """Gu, Gupta, Goel & Ré 2022, On the Parameterization and Initialization of Diagonal State Space Models.

    Every channel drives `modes` damped oscillators of its own (S4D-Lin, zero-order hold) and reads their sum.
    `forward` convolves, `step` turns each oscillator by one reading; their complex state is kept as two real tensors.
    `fold` writes down what the recurrence multiplies with. Pruning would change what the normalisation divides by, so
    this family has no units to cut.
    """

    Options = S4dOptions
    width = "hidden"
    options: S4dOptions

    def __init__(self, inputs: int, outputs: int, options: S4dOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(1 <= options.modes <= 512, "model.modes", "from 1 to 512")
        need(1 <= options.layers <= 16, "model.layers", "from 1 to 16")
        need(options.fastest >= 1, "model.fastest", "at least 1 reading")
        need(options.slowest >= options.fastest, "model.slowest", "at least model.fastest")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        self.entry = nn.Linear(inputs, options.hidden)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.norm = nn.LayerNorm(options.hidden)
        self.head = nn.Linear(options.hidden, outputs)

    @property
    def memory(self) -> None:
        """No bound: an oscillator only fades."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`re0`, `im0`, … one pair a block."""
        return tuple(f"{part}{layer}" for layer in range(self.options.layers) for part in ("re", "im"))

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden, modes] each."""
        return tuple(torch.zeros(batch, self.options.hidden, self.options.modes) for _ in self.state_names)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        x = self.entry(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state, block by block -> (y_t [B, O], *next state)."""
        following: list[Tensor] = []
        x_t = self.entry(x_t)
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x_t, *after = block.step(x_t, *rest[2 * layer : 2 * layer + 2])
            following += after
        return (self.head(self.norm(x_t)), *following)

    def fold(self) -> None:
        """Replace what is learnt of each block's oscillators by what the step multiplies with."""
        for block in self.blocks:
            assert isinstance(block, Block)
            if isinstance(block.space, Continuous):
                with torch.no_grad():
                    block.space = Folded(block.space.discrete())
