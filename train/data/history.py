"""One life of one machine in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class History:
    """Readings of one life in time order.

    `x` [T, C] float32 in the sensors' units, missing values already held (see `edge.clean`), NaN only before a channel's
    first good value; `ts` [T] seconds, strictly increasing. `failed`: the last reading is the failure, otherwise the life is
    censored. `left`: readings truly left after the last one, where known (0 for a failed life), else None.
    """

    machine: str
    life: int
    ts: NDArray[np.float64]
    x: NDArray[np.float32]
    failed: bool
    left: float | None

    def __len__(self) -> int:
        return len(self.ts)
