"""Integrated gradients (Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks"), with its own check.

The attribution of input i is (x_i - b_i) times the mean of the gradient along the straight way from the baseline b to x
(their equation 1). Completeness (their proposition 1): all attributions together are f(x) - f(b). That also holds of
every piece of the way, so each piece shows its own error, and those that are too far off are halved: steps are spent
where the output moves, which for an output cut off at a cap is a short stretch of the way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice

import torch
from torch import Tensor

PIECES = 16
"""Pieces that the way begins with."""

MOST = 1024
"""Gradients that are spent, at most."""

ENOUGH = 0.005
"""Sum of the pieces' errors, as a share of what is to be explained, at which no piece is halved any more."""


@dataclass(frozen=True)
class Integral:
    """`values` are the attributions, of x's shape; `begin` and `end` the output at the baseline and at x; `gradients`
    says how many were taken; `flat`: no small change of x changes the output at all.
    """

    values: Tensor
    begin: float
    end: float
    gradients: int
    flat: bool

    @property
    def unexplained(self) -> float:
        """What the attributions lack to be the whole difference, in the output's unit."""
        return self.end - self.begin - float(self.values.double().sum())


def integrate(
    function: Callable[[Tensor], Tensor], x: Tensor, baseline: Tensor, least: float, at_once: int = PIECES
) -> Integral:
    """Attribute `function(x) - function(baseline)` to the numbers in `x`.

    `function` takes a batch [P, …] and answers [P]; `at_once` is the largest P. A difference below `least` (output's
    unit) is as good as none: errors are then measured against that.
    """
    way = x - baseline
    edges = torch.linspace(0.0, 1.0, PIECES + 1, dtype=torch.float64)
    pieces = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    outputs: dict[float, float] = {}

    def see(places: list[float]) -> None:
        fresh = [place for place in dict.fromkeys(places) if place not in outputs]
        with torch.no_grad():
            for some in _chunks(fresh, at_once):
                found = function(_along(baseline, way, some)).tolist()
                outputs.update(zip(some, found, strict=True))

    see([0.0, 1.0])
    allowed = ENOUGH * max(abs(outputs[1.0] - outputs[0.0]), least)
    known: list[_Piece] = []
    spent = 0
    while pieces:
        see([edge for piece in pieces for edge in piece])
        slopes = _gradients(function, baseline, way, [(a + b) / 2 for a, b in pieces], at_once)
        for (a, b), slope in zip(pieces, slopes, strict=True):
            value = slope * way * (b - a)
            known.append(_Piece(a, b, value, abs(outputs[b] - outputs[a] - float(value.double().sum()))))
        spent += len(pieces)
        # The worst are halved, as few as leave little enough of an error in the others.
        known.sort(key=lambda piece: piece.off)
        sums = list(accumulate(piece.off for piece in known))
        good = len(known) if sums[-1] <= allowed else bisect_right(sums, allowed / 2)
        if spent + 2 * (len(known) - good) > MOST:
            break
        pieces = [half for piece in known[good:] for half in piece.halves]
        del known[good:]
    done = torch.stack([piece.value.double() for piece in known]).sum(0)
    flat = not bool(next(_gradients(function, baseline, way, [1.0], 1)).any())
    return Integral(done.to(x.dtype), outputs[0.0], outputs[1.0], spent, flat)


@dataclass(frozen=True)
class _Piece:
    """From `begin` to `end` of the way, what it adds to the attributions, and how far that is off."""

    begin: float
    end: float
    value: Tensor
    off: float

    @property
    def halves(self) -> list[tuple[float, float]]:
        middle = (self.begin + self.end) / 2
        return [(self.begin, middle), (middle, self.end)]


def _along(baseline: Tensor, way: Tensor, places: list[float]) -> Tensor:
    """The points at these shares of the way [P, …]."""
    share = torch.tensor(places, dtype=baseline.dtype).reshape(-1, *[1] * baseline.dim())
    return baseline + share * way


def _gradients(
    function: Callable[[Tensor], Tensor], baseline: Tensor, way: Tensor, places: list[float], at_once: int
) -> Iterator[Tensor]:
    """The gradient at each of these shares of the way."""
    for some in _chunks(places, at_once):
        points = _along(baseline, way, some).requires_grad_()
        (found,) = torch.autograd.grad(function(points).sum(), points)
        yield from found.unbind(0)


def _chunks(places: list[float], at_once: int) -> Iterator[list[float]]:
    left = iter(places)
    while some := list(islice(left, max(1, at_once))):
        yield some
