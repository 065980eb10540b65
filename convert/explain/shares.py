"""From attributions [N, C] to what a person reads first: which sensor, and which stretch of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]

MOST = 0.8
"""Share of the absolute attribution that the decisive stretch of time holds."""


def order(values: Values) -> list[int]:
    """Columns of `values` [N, C] by the size of their sum, largest first; among equals as they stand."""
    totals = np.abs(values.sum(axis=0))
    return [int(i) for i in np.argsort(-totals, kind="stable")]


def shares(totals: Values) -> Values:
    """How much of all that moved the output each of `totals` [C] stands for: its size, as a share of all of them. Zero
    where nothing moved.
    """
    sizes: Values = np.abs(totals)
    whole = float(sizes.sum())
    return sizes / whole if whole > 0 else sizes


def window(weights: Values, share: float = MOST) -> tuple[int, int]:
    """The shortest stretch of `weights` [N] (none negative) whose sum is at least `share` of all: first place and the
    one behind the last. The latest among equals, and everything where all is zero.
    """
    sums = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
    if not sums[-1] > 0:
        return 0, len(weights)
    # What rounding takes from a sum must not make a stretch longer.
    needed = share * sums[-1] * (1 - 1e-12)
    ends = np.searchsorted(sums, sums[:-1] + needed)
    lengths = np.where(ends < len(sums), ends - np.arange(len(weights)), len(sums))
    begin = len(weights) - 1 - int(np.argmin(lengths[::-1]))
    return begin, int(ends[begin])
