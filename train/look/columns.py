"""What a column holds: how much of it is numbers, which texts, how it moves; and what its name says."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from edge.readers.base import Cell
from edge.readers.cells import ABSENT, FALSE, TRUE, Value

Floats = NDArray[np.float64]

_UNITS = [
    "degC",
    "degF",
    "degR",
    "bar",
    "mbar",
    "kPa",
    "MPa",
    "hPa",
    "Pa",
    "psi",
    "psia",
    "rpm",
    "Hz",
    "kHz",
    "mm_s",
    "mm",
    "mV",
    "kV",
    "mA",
    "kW",
    "MW",
    "kWh",
    "Nm",
    "l_min",
    "m3_h",
    "percent",
    "pct",
    "kg",
    "ppm",
    "dB",
    "m_s",
    "ms",
    "s",
]
_SPOKEN = {"mm_s": "mm/s", "l_min": "l/min", "m3_h": "m3/h", "m_s": "m/s", "percent": "%", "pct": "%"}
_BRACKETS = re.compile(r"[\[(]([^\])]{1,12})[\])]\s*$")


@dataclass(frozen=True)
class Column:
    """One column over all rows that were looked at, [N]: its cells, and as numbers (NaN where it holds none)."""

    name: str
    cells: Sequence[Cell]
    numbers: Floats
    texts: Counter[str]
    """Cells that are neither numbers nor missing."""

    present: int
    """Cells that are not missing."""

    @property
    def numeric(self) -> bool:
        """Is it a column of numbers, whatever few texts stand between them?"""
        return self.present > 0 and sum(self.texts.values()) * 2 < self.present

    @property
    def known(self) -> Floats:
        """Its numbers without what is missing."""
        return self.numbers[~np.isnan(self.numbers)]

    @property
    def constant(self) -> bool:
        """Has it a single value?"""
        known = self.known
        return not len(known) or bool((known == known[0]).all())

    @property
    def binary(self) -> bool:
        """Are all its numbers 0 or 1?"""
        return self.numeric and not self.texts and bool(np.isin(self.known, (0.0, 1.0)).all())

    @property
    def flag(self) -> bool:
        """Does it say true or false, in whatever words?"""
        return self.binary or (not self.numeric and {text.lower() for text in self.texts} <= TRUE | FALSE)


def column(name: str, cells: Sequence[Cell], value: Value) -> Column:
    """Look at the cells of one column."""
    numbers = np.full(len(cells), np.nan)
    texts: Counter[str] = Counter()
    present = 0
    for i, cell in enumerate(cells):
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in ABSENT):
            continue
        present += 1
        try:
            number = value(cell) if not isinstance(cell, date) else math.nan
        except ValueError:
            texts[str(cell).strip()] += 1
            continue
        if isinstance(cell, date):
            texts[str(cell)] += 1
        numbers[i] = number
    return Column(name, cells, numbers, texts, present)


def words(name: str) -> frozenset[str]:
    """A name in its parts: `Motor_RPM`, `motorRpm` and `motor rpm` are `motor` and `rpm`."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return frozenset(part for part in re.split(r"[\W_]+", split.lower()) if part)


def unit_of(name: str) -> str:
    """The unit that a name says in so many words: `temp_degC`, `pressure [bar]`; else empty."""
    bracket = _BRACKETS.search(name)
    if bracket:
        return bracket[1].strip()
    for unit in _UNITS:
        if name.lower().endswith(f"_{unit.lower()}"):
            return _SPOKEN.get(unit, unit)
    return ""


def only_rises(numbers: Floats, groups: Sequence[slice]) -> int:
    """1 where a column only ever rises within each machine, -1 where it only ever falls, 0 where it moves freely.

    One reading in five hundred may go the other way: counters are reset.
    """
    ups = downs = steps = 0
    for group in groups:
        moved = np.diff(numbers[group][~np.isnan(numbers[group])])
        ups, downs, steps = ups + int((moved > 0).sum()), downs + int((moved < 0).sum()), steps + len(moved)
    few = max(0.002 * steps, 0)
    if steps < 20 or max(ups, downs) < max(3 * len(groups), 0.02 * steps):
        return 0
    return 1 if downs <= few else -1 if ups <= few else 0


def sentinel(known: Floats) -> float | None:
    """A number that stands for "no value": one far from all others that comes again and again, such as -999."""
    if len(known) < 50:
        return None
    low, middle, high = np.percentile(known, [10, 50, 90])
    for candidate in {float(known.min()), float(known.max())}:
        alike = int((known == candidate).sum())
        far = abs(candidate - middle) > 20 * max(high - low, 1e-9)
        round_one = re.fullmatch(r"-?9+(\.9+)?|-?1e\d+|-1|-?32768|32767|65535|-?0", f"{candidate:g}") is not None
        if alike >= 3 and far and round_one and alike < 0.5 * len(known):
            return candidate
    return None
