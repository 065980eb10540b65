"""The lives whose readings tell later what ranges numbers have: of the training side only, and not too many."""

from __future__ import annotations

from collections.abc import Sequence

from train.data.history import History

READINGS = 1 << 14
"""Readings that are kept, at most: what is larger says little more about ranges, and the run folder stays small."""


def calibration(histories: Sequence[History]) -> list[History]:
    """Every n-th of `histories`, so that at most READINGS are kept; where one alone is longer, its last readings.

    `histories` are those of training and validation machines, never those held out.
    """
    every = 1
    while sum(map(len, histories[::every])) > READINGS and every < len(histories):
        every += 1
    return [h.window(max(0, len(h) - READINGS), len(h)) for h in histories[::every]]
