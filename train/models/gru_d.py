"""GRU with trainable decay: for irregular readings and values that are missing more often than not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, need


@dataclass(frozen=True)
class GruDOptions(FamilyOptions):
    """`hidden` units, `longest_gap` in usual times between readings (longer ones count as this), `dropout` (share,
    while fitting) before the head.
    """

    hidden: int = 32
    longest_gap: float = 64.0
    dropout: float = 0.0


class _Through(torch.autograd.Function):
    """The gates through time, and the way back, written out: five times as fast as autograd's records of small steps.

    given [B, T, 3 H], decay [B, T, H], h [B, H] and the weights of `GRUD._cell` -> the states behind every reading
    [B, T, H].
    """

    @staticmethod
    def forward(ctx: Any, given: Tensor, decay: Tensor, h: Tensor, gates: Tensor, new: Tensor) -> Tensor:
        first = h
        width = h.shape[1]
        given, kept = (part.transpose(0, 1).contiguous() for part in (given, decay))
        opened, wanted = given[..., : 2 * width], given[..., 2 * width :]
        # One row a time; what a step makes is written where the way back reads it.
        faded, gated, reached = torch.empty_like(kept), torch.empty_like(opened), torch.empty_like(kept)
        masked, states = torch.empty_like(kept), torch.empty_like(kept)
        reset, update = gated.chunk(2, -1)
        for t in range(len(kept)):
            torch.mul(kept[t], h, out=faded[t])
            torch.addmm(opened[t], faded[t], gates.T, out=gated[t]).sigmoid_()
            torch.mul(reset[t], faded[t], out=masked[t])
            torch.addmm(wanted[t], masked[t], new.T, out=reached[t]).tanh_()
            h = torch.lerp(faded[t], reached[t], update[t], out=states[t])
        ctx.save_for_backward(first, kept, faded, gated, masked, reached, states, gates, new)
        return states.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        first, kept, faded, gated, masked, reached, states, gates, new = ctx.saved_tensors
        behind = grads[0].transpose(0, 1)
        reset, update = gated.chunk(2, -1)
        # Slopes of all times at once: by the state behind, of the new state's sum, the update's, the reset's.
        of_new = update * (1.0 - reached * reached)
        of_update = (reached - faded) * update * (1.0 - update)
        of_reset = faded * reset * (1.0 - reset)
        by_new, by_gates, by_faded = torch.empty_like(faded), torch.empty_like(gated), torch.empty_like(faded)
        by_reset, by_update = by_gates.chunk(2, -1)
        stay = 1.0 - update
        h = behind[-1]
        for t in range(len(kept) - 1, -1, -1):
            torch.mul(h, of_new[t], out=by_new[t])
            through = by_new[t] @ new
            torch.mul(through, of_reset[t], out=by_reset[t])
            torch.mul(h, of_update[t], out=by_update[t])
            torch.mul(h, stay[t], out=by_faded[t]).addcmul_(through, reset[t]).addmm_(by_gates[t], gates)
            if t:
                h = torch.addcmul(behind[t - 1], by_faded[t], kept[t])
        before = torch.cat([first.unsqueeze(0), states[:-1]])
        return (
            torch.cat([by_gates, by_new], -1).transpose(0, 1),
            (by_faded * before).transpose(0, 1),
            by_faded[0] * kept[0],
            by_gates.flatten(0, 1).T @ faded.flatten(0, 1),
            by_new.flatten(0, 1).T @ masked.flatten(0, 1),
        )


class GRUD(Family):
    """Che et al. 2018, Recurrent Neural Networks for Multivariate Time Series with Missing Values, equations 10 to 17.

    What a channel held last decays to its mean (0 here), and the state decays, the longer nothing was heard: γ =
    exp(-max(0, W δ + b)), W diagonal for channels, δ the time since each channel was last present. `since` carries that
    time. All that depends on readings alone is computed for all times at once; only the gates wait for the state.
    """

    Options = GruDOptions
    width = "hidden"
    takes = ("dt", "mask")
    options: GruDOptions

    def __init__(self, inputs: int, outputs: int, options: GruDOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(0 < options.longest_gap <= 1000, "model.longest_gap", "above 0, and at most 1000")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        h = options.hidden
        self.fade = nn.Parameter(torch.full((inputs,), 0.05))
        self.fade_bias = nn.Parameter(torch.zeros(inputs))
        self.decay = nn.Linear(inputs, h)
        self.reading = nn.Linear(inputs, 3 * h)
        self.present = nn.Linear(inputs, 3 * h, bias=False)
        self.gates = nn.Linear(h, 2 * h, bias=False)
        self.new = nn.Linear(h, h, bias=False)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(h, outputs)
        with torch.no_grad():
            self.decay.weight.abs_().mul_(0.1)

    @property
    def memory(self) -> None:
        """No bound."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h`, and `since` when a channel was present, as of the last reading."""
        return "h", "since"

    @property
    def state_bounds(self) -> dict[str, float]:
        """1: a decayed mixture with a tanh; and the longest gap."""
        return {"h": 1.0, "since": self.options.longest_gap}

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden] and [batch, C]."""
        return torch.zeros(batch, self.options.hidden), torch.zeros(batch, self.inputs)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C], dt [B, T, 1], mask [B, T, C] -> [B, T, O]."""
        dt, mask = more
        h, _ = self.init_state(len(x))
        given, decay = self._given(x, self._gaps(dt, mask), mask)
        states = _Through.apply(given, decay, h, self.gates.weight, self.new.weight)  # type: ignore[no-untyped-call]
        return self.head(self.dropout(states))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], dt [B, 1], mask [B, C], h [B, H], since [B, C] -> (y_t [B, O], next h, next since)."""
        dt, mask, h, since = rest
        gap, since = self._gap(dt, mask, since)
        given, decay = self._given(x_t, gap, mask)
        h = self._cell(given, decay * h)
        return self.head(h), h, since

    def _gap(self, dt: Tensor, mask: Tensor, since: Tensor) -> tuple[Tensor, Tensor]:
        """The time since each channel was present, now and as the next reading must know it (equation 2)."""
        longest = self.options.longest_gap
        gap = longest - torch.relu(longest - (since + dt))  # exactly the longest, whatever is beyond it
        return gap, gap - gap * mask

    def _gaps(self, dt: Tensor, mask: Tensor) -> Tensor:
        """`_gap` at all times at once [B, T, C]: what a clock shows, less what it showed when a channel was present."""
        clock = dt.double().cumsum(1)
        shown = torch.where(mask > 0, clock, 0.0).cummax(1).values
        before = torch.cat([torch.zeros_like(shown[:, :1]), shown[:, :-1]], 1)
        return (clock - before).clamp(max=self.options.longest_gap).to(dt.dtype)

    def _given(self, x: Tensor, gap: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What readings give to the gates [..., 3 H], and the decay of the state [..., H]."""
        fading = torch.exp(-torch.relu(gap * self.fade + self.fade_bias))
        shown = x * (fading + mask * (1.0 - fading))
        return self.reading(shown) + self.present(mask), torch.exp(-torch.relu(self.decay(gap)))

    def _cell(self, given: Tensor, h: Tensor) -> Tensor:
        x_reset, x_update, x_new = given.chunk(3, -1)
        h_reset, h_update = self.gates(h).chunk(2, -1)
        reset = torch.sigmoid(x_reset + h_reset)
        update = torch.sigmoid(x_update + h_update)
        new = torch.tanh(x_new + F.linear(reset * h, self.new.weight))
        return h + update * (new - h)
