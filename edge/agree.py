"""Whether two streams of outputs agree: finite first, then length, then tolerance. No numpy."""

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


def agree(got: Sequence[float], want: Sequence[float], tolerance: float) -> Agreement:
    """Compare flat `got` with flat `want`; `tolerance` is absolute, in the output's unit.

    Finite comes first because NaN passes `diff > tolerance`; then the lengths, because a zip hides a missing row and
    nothing agrees with nothing; then the tolerance.
    """
    for name, values in (("got", got), ("want", want)):
        bad = next((i for i, v in enumerate(values) if not math.isfinite(v)), None)
        if bad is not None:
            return Agreement(False, math.nan, f"{name}[{bad}] is {values[bad]}")
    if len(got) != len(want) or not len(want):
        return Agreement(False, math.nan, f"{len(got)} values where {len(want) or 'some'} were expected")
    worst, at = 0.0, 0
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        if abs(a - b) > worst:
            worst, at = abs(a - b), i
    if not worst <= tolerance:  # which a NaN tolerance fails, too
        differs = f"differs by {worst:.3g} at [{at}] (got {got[at]:.6g}, want {want[at]:.6g}), allowed {tolerance:.3g}"
        return Agreement(False, worst, differs)
    return Agreement(True, worst)
