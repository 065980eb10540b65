"""A state that lives on between readings, along a learned differential equation: for readings at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from train.models.base import Family, FamilyOptions, need


@dataclass(frozen=True)
class OdeRnnOptions(FamilyOptions):
    """`hidden` units, `solver_steps` from one reading to the next however far it is, `dropout` (share, while fitting)
    before the head.
    """

    hidden: int = 32
    solver_steps: int = 2
    dropout: float = 0.0


class _Through(torch.autograd.Function):
    """Gaps and gates through time, and the way back, written out: three times as fast as autograd's records of steps.

    The solver's steps, given [B, T, 3 H], kept [B, T, H], h [B, H] and the weights and biases of `inner`, `goal` and
    `gates` -> the states behind every reading [B, T, H].
    """

    @staticmethod
    def forward(ctx: Any, steps: int, given: Tensor, kept: Tensor, h: Tensor, *layers: Tensor) -> Tensor:
        inner, inner_bias, goal, goal_bias, gates, gates_bias = layers
        width = h.shape[1]
        given, kept = (part.transpose(0, 1).contiguous() for part in (given, kept))
        shape = (len(kept), steps, *h.shape)
        at, hidden, goals = (kept.new_empty(shape) for _ in range(3))
        faded, reached, states = (torch.empty_like(kept) for _ in range(3))
        shown = torch.empty_like(given)
        opened = given[..., : 2 * width]
        gated = torch.empty_like(opened)
        reset, update = gated.chunk(2, -1)
        recalled, wanted = shown[..., 2 * width :], given[..., 2 * width :]
        for t in range(len(kept)):
            for s in range(steps):
                at[t, s] = h
                torch.addmm(inner_bias, h, inner.T, out=hidden[t, s]).tanh_()
                torch.addmm(goal_bias, hidden[t, s], goal.T, out=goals[t, s]).tanh_()
                h = torch.lerp(goals[t, s], h, kept[t])
            faded[t] = h
            torch.addmm(gates_bias, h, gates.T, out=shown[t])
            torch.add(opened[t], shown[t, :, : 2 * width], out=gated[t]).sigmoid_()
            torch.addcmul(wanted[t], reset[t], recalled[t], out=reached[t]).tanh_()
            h = torch.lerp(reached[t], faded[t], update[t], out=states[t])
        ctx.save_for_backward(kept, at, hidden, goals, faded, recalled, gated, reached, *layers)
        return states.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        kept, at, hidden, goals, faded, recalled, gated, reached, inner, _, goal, _, gates, _ = ctx.saved_tensors
        behind = grads[0].transpose(0, 1)
        width = kept.shape[-1]
        reset, update = gated.chunk(2, -1)
        # Slopes of all times at once, by the state that each of them leads to.
        of_new = (1.0 - update) * (1.0 - reached * reached)
        of_update = (faded - reached) * update * (1.0 - update)
        of_reset = recalled * reset * (1.0 - reset)
        of_goal = (1.0 - kept).unsqueeze(1) * (1.0 - goals * goals)
        of_hidden = 1.0 - hidden * hidden
        by_given, by_shown = (kept.new_empty(*kept.shape[:2], 3 * width) for _ in range(2))
        by_state, by_goal, by_hidden = (torch.empty_like(at) for _ in range(3))
        new = 2 * width
        h = behind[-1]
        for t in range(len(kept) - 1, -1, -1):
            by_new = torch.mul(h, of_new[t], out=by_given[t, :, new:])
            torch.mul(by_new, of_reset[t], out=by_given[t, :, :width])
            torch.mul(h, of_update[t], out=by_given[t, :, width:new])
            by_shown[t, :, :new] = by_given[t, :, :new]
            torch.mul(by_new, reset[t], out=by_shown[t, :, new:])
            h = torch.addmm(h * update[t], by_shown[t], gates)
            for s in range(at.shape[1] - 1, -1, -1):
                by_state[t, s] = h
                torch.mul(h, of_goal[t, s], out=by_goal[t, s])
                torch.mul(by_goal[t, s] @ goal, of_hidden[t, s], out=by_hidden[t, s])
                h = torch.addmm(h * kept[t], by_hidden[t, s], inner)
            if t:
                h = h + behind[t - 1]
        layers = []
        for by, seen in ((by_hidden, at), (by_goal, hidden), (by_shown, faded)):
            rows = by.flatten(0, -2)
            layers += [rows.T @ seen.flatten(0, -2), rows.sum(0)]
        by_kept = (by_state * (at - goals)).sum(1)
        return None, by_given.transpose(0, 1), by_kept.transpose(0, 1), h, *layers


class OdeRNN(Family):
    """Rubanova, Chen & Duvenaud 2019, Latent ODEs for Irregularly-Sampled Time Series, algorithm 1: between readings
    the state follows dh/dt = f(h), a reading then updates it through a GRU cell that knows which values are fresh.

    Their f is any network, and its solver takes as many steps as it needs. Ours pulls each unit at a learnt rate to
    where a network wants it, dh/dt = rate · (tanh(V tanh(U h + b) + c) - h), so that `solver_steps` steps of the
    exponential Euler method (Hochbruck & Ostermann 2010) suffice: each is a mixture of h and a tanh, thus no
    gap, however long, drives the state out of -1 … 1, and a gap of zero leaves it alone.
    """

    Options = OdeRnnOptions
    width = "hidden"
    takes = ("dt", "mask")
    options: OdeRnnOptions

    def __init__(self, inputs: int, outputs: int, options: OdeRnnOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.hidden <= 4096, "model.hidden", "from 1 to 4096")
        need(1 <= options.solver_steps <= 32, "model.solver_steps", "from 1 to 32")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        h = options.hidden
        self.log_rate = nn.Parameter(torch.empty(h).uniform_(-5.0, -1.0))
        self.inner = nn.Linear(h, h)
        self.goal = nn.Linear(h, h)
        self.reading = nn.Linear(inputs, 3 * h)
        self.present = nn.Linear(inputs, 3 * h, bias=False)
        self.gates = nn.Linear(h, 3 * h)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(h, outputs)

    @property
    def memory(self) -> None:
        """No bound."""
        return

    @property
    def state_names(self) -> tuple[str, ...]:
        """`h`, as the last reading left it."""
        return ("h",)

    @property
    def state_bounds(self) -> dict[str, float]:
        """1: nothing but mixtures with a tanh, from zero on."""
        return {"h": 1.0}

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros [batch, hidden]."""
        return (torch.zeros(batch, self.options.hidden),)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C], dt [B, T, 1], mask [B, T, C] -> [B, T, O]."""
        dt, mask = more
        (h,) = self.init_state(len(x))
        given, kept = self._given(x, mask), self._kept(dt)
        layers = (part for layer in (self.inner, self.goal, self.gates) for part in (layer.weight, layer.bias))
        states = _Through.apply(self.options.solver_steps, given, kept, h, *layers)  # type: ignore[no-untyped-call]
        return self.head(self.dropout(states))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], dt [B, 1], mask [B, C], h [B, H] -> (y_t [B, O], next h)."""
        dt, mask, h = rest
        h = self._cell(self._given(x_t, mask), self._between(self._kept(dt), h))
        return self.head(h), h

    def _given(self, x: Tensor, mask: Tensor) -> Tensor:
        """What readings give to the gates [..., 3 H]."""
        return self.reading(x) + self.present(mask)  # type: ignore[no-any-return]

    def _kept(self, dt: Tensor) -> Tensor:
        """The share of the way that a solver step leaves [..., H]: exp(-rate · dt / solver_steps)."""
        return torch.exp(-dt * torch.exp(self.log_rate) / self.options.solver_steps)

    def _between(self, kept: Tensor, h: Tensor) -> Tensor:
        """The state [B, H] as the gap leaves it."""
        for _ in range(self.options.solver_steps):
            goal = torch.tanh(self.goal(torch.tanh(self.inner(h))))
            h = goal + kept * (h - goal)
        return h

    def _cell(self, given: Tensor, h: Tensor) -> Tensor:
        """A GRU's (Cho et al. 2014), reset gate behind the product."""
        x_reset, x_update, x_new = given.chunk(3, -1)
        h_reset, h_update, h_new = self.gates(h).chunk(3, -1)
        reset = torch.sigmoid(x_reset + h_reset)
        update = torch.sigmoid(x_update + h_update)
        new = torch.tanh(x_new + reset * h_new)
        return new + update * (h - new)
