"""Whether two streams of outputs agree: finite first, then shape, then tolerance. No numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """The answer: `ok`, the largest absolute difference `worst` (NaN where it makes no sense) and why not, if not."""

    ok: bool
    worst: float
    why: str = ""


def agree(
    got: Sequence[float],
    want: Sequence[float],
    tolerance: float,
    *,
    got_shape: Sequence[int] | None = None,
    want_shape: Sequence[int] | None = None,
) -> Agreement:
    """Compare flat `got` with flat `want`; `tolerance` is absolute, in the output's unit.

    Finite comes first because NaN passes `diff > tolerance`; then the shapes (lengths where none are given), because a
    broadcast or a zip hides a missing row.
    """
    for name, values in (("got", got), ("want", want)):
        bad = next((i for i, v in enumerate(values) if not math.isfinite(v)), None)
        if bad is not None:
            return Agreement(False, math.nan, f"{name}[{bad}] is {values[bad]}")
    left = tuple(got_shape) if got_shape is not None else (len(got),)
    right = tuple(want_shape) if want_shape is not None else (len(want),)
    if left != right or len(got) != len(want):
        return Agreement(False, math.nan, f"shape {left} where {right} was expected")
    worst, at = 0.0, 0
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        if abs(a - b) > worst:
            worst, at = abs(a - b), i
    if worst > tolerance:
        return Agreement(
            False,
            worst,
            f"differs by {worst:.3g} at [{at}] (got {got[at]:.6g}, want {want[at]:.6g}), allowed {tolerance:.3g}",
        )
    return Agreement(True, worst)
