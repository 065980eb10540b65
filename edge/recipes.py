"""Recipes: how numbers are kept in an exported file, and how closely such a file must agree. Rows of data, no code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How closely files with this way to keep numbers must agree; tolerances are fractions of the output's range.

    `tolerance`: largest error of one output against the parallel torch forward. `drift`: the same after thousands of
    free steps. `replay`: largest difference between one file's outputs here and where it was certified. `metric`: how
    much worse the task's error may get, as a fraction of that range or, where it has another unit, of a whole of its
    own (a bit, a share of 1).
    """

    tolerance: float
    drift: float
    replay: float
    metric: float


# dynamic-int8: int8 weights, operands of matrix products scaled by what they hold at each step. static-int8: int8
# weights, operands with scales that calibration fixed. All else, the state included, is float in both.
RECIPES: dict[str, Recipe] = {
    "float32": Recipe(tolerance=1e-4, drift=1e-4, replay=1e-4, metric=1e-4),
    "dynamic-int8": Recipe(tolerance=0.03, drift=0.03, replay=0.02, metric=0.002),
    "static-int8": Recipe(tolerance=0.04, drift=0.05, replay=0.02, metric=0.0024),
}
