"""Honest baselines: what a model must beat before anyone should care about it. One file each; a task lists its own.

`Task.baselines` are judged beside every model, so they are quick and need nothing but the extra `train`; those of
`Task.yardsticks` may take their time and need the extra `rank`, which each imports when it is fitted.
"""

from train.baselines.constant import constant
from train.baselines.ridge import CELLS, ROWS, life_ridge, ridge
from train.baselines.statistics import (
    LIFE_WINDOWS,
    RECENT,
    WINDOW,
    Rows,
    Statistics,
    life_statistics,
    window_statistics,
)

__all__ = [
    "CELLS",
    "LIFE_WINDOWS",
    "RECENT",
    "ROWS",
    "WINDOW",
    "Rows",
    "Statistics",
    "constant",
    "life_ridge",
    "life_statistics",
    "ridge",
    "window_statistics",
]
