"""Minimal gated recurrent unit: gates that look at what comes in alone, so that all times are computed at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, Place, Units, need


def positive(x: Tensor) -> Tensor:
    """x + 1/2 above zero, sigmoid(x) below: positive, steady and never steep (Feng et al. 2024, appendix B.2.1)."""
    return torch.relu(x) + torch.sigmoid(-torch.relu(-x))


CANDIDATES: dict[str, Callable[[Tensor], Tensor]] = {"positive": positive, "tanh": torch.tanh}


@dataclass(frozen=True)
class MinGruOptions(FamilyOptions):
    """`hidden` units a layer, `layers` on top of each other, `candidate` (what a unit can hold): positive or tanh,
    `horizon`: the longest time, in readings, that a unit remembers before it is taught, `dropout` (share, while
    fitting) behind each layer.
    """

    hidden: int = 32
    layers: int = 2
    candidate: str = "tanh"
    horizon: float = 64.0
    dropout: float = 0.0


class MinGRU(Family):
    """Feng et al. 2024, Were RNNs All We Needed?, section 3.1: h' = (1 - z) h + z g(V x), z = σ(W x).

    Behind each such layer ReLU(M h) mixes its units, as the paper's language models have it. A gate of the first layer
    sees one reading, those above what the layers below made of the past. As z does not wait for h, `forward` is a scan
    of logarithmic depth. Gates begin with times 1/z that are spread evenly, in their logarithm, up to `horizon` (Tallec
    & Ollivier 2018, Can Recurrent Neural Networks Warp Time?, section 2, have it for gates that see the state).
    """

    Options = MinGruOptions
    width = "hidden"
    options: MinGruOptions

    def __init__(self, inputs: int, outputs: int, options: MinGruOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(options.layers >= 1, "model.layers", "at least 1")
        need(options.candidate in CANDIDATES, "model.candidate", " or ".join(CANDIDATES))
        need(1 < options.horizon < math.inf, "model.horizon", "above 1")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        width = options.hidden
        layers = [nn.Linear(below, 2 * width) for below in (inputs, *[width] * (options.layers - 1))]
        self.gated = nn.ModuleList(layers)
        mixed = [nn.Linear(width, width) for _ in layers]
        self.mixed = nn.ModuleList(mixed)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(width, outputs)
        with torch.no_grad():
            for layer in layers:
                times = options.horizon ** torch.rand(width)
                layer.bias[:width] = -torch.log(times.clamp(min=1.01) - 1)
            for layer in mixed:
                # Averages are small: a bias of the usual size would decide alone which units ever speak.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    @property
    def memory(self) -> None:
        """No bound, however fast it fades."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h0` … one a layer."""
        return tuple(f"h{layer}" for layer in range(self.options.layers))

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 with tanh, of which a state is a mixture that begins at zero."""
        return dict.fromkeys(self.state_names, 1.0) if self.options.candidate == "tanh" else {}

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden] each."""
        return tuple(torch.zeros(batch, self.options.hidden) for _ in self.state_names)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        for gated, mixed in zip(self.gated, self.mixed, strict=True):
            z, new = self._split(gated(x))
            x = self.dropout(torch.relu(mixed(scan(1 - z, z * new))))
        return self.head(x)  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state, layer by layer -> (y_t [B, O], *next state)."""
        following: list[Tensor] = []
        for gated, mixed, h in zip(self.gated, self.mixed, rest, strict=True):
            z, new = self._split(gated(x_t))
            h = h + z * (new - h)
            x_t = torch.relu(mixed(h))
            following.append(h)
        return (self.head(x_t), *following)

    def units(self) -> tuple[Units, ...]:
        """Two groups a layer: units that remember, with a row for gate and candidate each, and those mixed of them."""
        groups = []
        for layer in range(self.options.layers):
            above = "head.weight" if layer == self.options.layers - 1 else f"gated.{layer + 1}.weight"
            for name, times, reads in (("gated", 2, f"mixed.{layer}.weight"), ("mixed", 1, above)):
                makes = tuple(Place(f"{name}.{layer}.{kind}", 0, times) for kind in ("weight", "bias"))
                groups.append(Units(f"{name}{layer}", makes, (Place(reads, 1),)))
        return tuple(groups)

    def _split(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Update gate and candidate [..., H] of what reading [..., 2 H] comes to."""
        z, new = given.chunk(2, -1)
        return torch.sigmoid(z), CANDIDATES[self.options.candidate](new)


def scan(keep: Tensor, add: Tensor) -> Tensor:
    """h[t] = keep[t] h[t-1] + add[t] for all t at once, h before the first zero; [B, T, H] each, keep from 0 to 1.

    Doubles the stretch that each sum reaches back over until it is everything (Hillis & Steele 1986). Products of what
    is at most 1 can vanish but not overflow, so that no logarithm is needed.
    """
    reach, times = 1, keep.shape[1]
    while reach < times:
        add = torch.cat([add[:, :reach], add[:, reach:] + keep[:, reach:] * add[:, :-reach]], 1)
        keep = torch.cat([keep[:, :reach], keep[:, reach:] * keep[:, :-reach]], 1)
        reach *= 2
    return add
