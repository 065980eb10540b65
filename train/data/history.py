"""One life of one machine in memory, or a stretch of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class History:
    """Readings in time order that one state runs through: a life, or a stretch of it behind a gap at which a device
    forgets (`timing.on_gap = "reset"`).

    `life` counts the histories of one machine. `x` [T, C] float32 in the sensors' units, missing values already held
    (see `edge.clean`), NaN only before a channel's first good value; `ts` [T] seconds, strictly increasing. `failed`:
    the last reading is the failure. `left`: readings truly left after the last one, where known (0 where it failed,
    those of the stretches behind it where they led to a failure), else None: the life is censored. `anomalous` [T]:
    where a person marked the machine as faulty, None where nobody looked. `label` [T]: the name of the state it is
    known to be in, "" where nobody knows, None where there are no names. `mask` [T, C] is true where a channel really
    had a good value; by default, wherever `x` has one. `end`: the moment of the failure in seconds, where it is known;
    by default that of the last reading where that is the failure.
    """

    machine: str
    life: int
    ts: NDArray[np.float64]
    x: NDArray[np.float32]
    failed: bool
    left: float | None
    anomalous: NDArray[np.bool_] | None = None
    label: NDArray[np.str_] | None = field(default=None, kw_only=True)
    mask: NDArray[np.bool_] = field(default_factory=lambda: np.empty((0, 0), np.bool_))
    end: float | None = None

    def __post_init__(self) -> None:
        if self.mask.shape != self.x.shape:
            object.__setattr__(self, "mask", ~np.isnan(self.x))
        if self.end is None and self.failed:
            object.__setattr__(self, "end", float(self.ts[-1]))

    @property
    def dt(self) -> NDArray[np.float32]:
        """[T] seconds since the reading before, 0 at the first."""
        return np.diff(self.ts, prepend=self.ts[:1]).astype(np.float32)

    def behind(self, period_s: float | None = None) -> NDArray[np.float64]:
        """[T] what is left behind each reading until the failure, in readings, or in time as a multiple of `period_s`;
        of a censored life, what is left of its record. Where nobody said when it ended, a reading left is a period.
        """
        if period_s is None:
            return np.arange(len(self) - 1, -1, -1, dtype=np.float64) + (self.left or 0.0)
        end = None if self.left is None else self.end
        last = self.ts[-1] + (self.left or 0.0) * period_s if end is None else end
        return np.asarray((last - self.ts) / period_s, np.float64)

    def __len__(self) -> int:
        return len(self.ts)

    def window(self, start: int, stop: int) -> History:
        """Readings `start` … `stop - 1` as a history of their own; `left` and `failed` say what is still true of it.
        What was held from before `start` is not known in it.
        """
        whole = stop == len(self)
        left = None if self.left is None else self.left + len(self) - stop
        marks = None if self.anomalous is None else self.anomalous[start:stop]
        label = None if self.label is None else self.label[start:stop]
        ts, x, mask = self.ts[start:stop], self.x[start:stop], self.mask[start:stop]
        if start and len(mask) and not mask[0].all():
            x = np.where(np.maximum.accumulate(mask), x, np.float32(np.nan))
        return replace(
            self, ts=ts, x=x, failed=self.failed and whole, left=left, anomalous=marks, label=label, mask=mask
        )


def machines(histories: Sequence[History]) -> list[str]:
    """Names of the machines, each once, in order of first appearance."""
    return list(dict.fromkeys(h.machine for h in histories))


def beside(history: History) -> dict[str, NDArray[np.float32]]:
    """All that a step may take behind the channels, by its name in edge.manifest.TAKES: `dt` [T, 1], `mask` [T, C]."""
    return {"dt": history.dt[:, None], "mask": history.mask.astype(np.float32)}


def inputs(history: History, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a model sees of a history: `x` [T, C] float32 with `fill` [C] where a channel had no good value yet."""
    return np.where(np.isnan(history.x), fill, history.x).astype(np.float32)
