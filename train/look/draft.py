"""From what was seen to a first project: channels, rhythm, task, size of the model, who judges, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from edge.errors import DataError
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Cell, Reader, Record
from edge.readers.cells import values
from edge.readers.resample import resample
from edge.spec import DataSpec
from train.look.columns import Column, Floats, column, only_rises, sentinel, unit_of
from train.look.made import Draft, Seen
from train.look.purpose import purpose
from train.look.roles import Roles, Wishes, roles
from train.look.shape import shape

ROWS = 400_000
"""Rows that are looked at, over all files."""

NICE_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Periods that people choose."""

SPARSE = 0.4
"""Share of values that readings lack, beyond which channels are taken to come at times of their own."""


class Head:
    """A reader that stops after so many rows of each file."""

    def __init__(self, reader: Reader, rows: int) -> None:
        self.reader, self.limit, self.cut = reader, rows, False
        self.labelled = reader.labelled

    def columns(self, path: Path, data: DataSpec) -> tuple[str, ...]:
        """As the reader says."""
        return self.reader.columns(path, data)

    def rows(self, path: Path, data: DataSpec, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Cell]]]:
        """The first rows."""
        for at, row in enumerate(self.reader.rows(path, data, columns)):
            if at == self.limit:
                self.cut = True
                return
            yield row

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The readings among them."""
        return islice(self.reader.records(path, data, channels), self.limit)

    def remaining(self, path: Path) -> dict[str, float]:
        """As the reader says."""
        return self.reader.remaining(path)


def draft(paths: Sequence[Path], wishes: Wishes) -> Draft:
    """Look at histories and decide. Raises DataError for files that cannot be read, ProjectError for a wish nothing
    fits.
    """
    data, units = shape(paths[0])
    reader = Head(READERS[data.reader](), max(ROWS // len(paths), 1000))
    columns = _columns(reader, paths, data)
    found = roles(data, columns, paths, wishes)
    made = Draft(found.data, found.reasons, zoned=found.zoned, counted=found.counted)
    made.left_out |= found.barred
    if reader.cut:
        made.reasons.insert(0, ("looked at", f"{reader.limit} rows", "of each file, the first ones"))
    names = _candidates(made, found, columns)
    made.data = replace(made.data, missing=_missing(made, columns, names))
    machines = assemble(reader, paths, Plan.plain(made.data, names)).machines
    machines = {name: records for name, records in machines.items() if records}
    _channels(made, machines, names, units)
    _rhythm(made, machines)
    if made.data.resample is not None:
        plan = Plan.plain(made.data, names)
        machines = {m: resample(records, made.period_s, plan.ways, plan.limits) for m, records in machines.items()}
    purpose(made, machines, names)
    return made


def _columns(reader: Reader, paths: Sequence[Path], data: DataSpec) -> dict[str, Column]:
    headers = {path: [name for name in reader.columns(path, data) if name] for path in paths}
    names = list(dict.fromkeys(name for header in headers.values() for name in header))
    cells: dict[str, list[Cell]] = {name: [] for name in names}
    for path, header in headers.items():
        listed = list(zip(*(row for _, row in reader.rows(path, data, header)), strict=True))
        rows = len(listed[0]) if listed else 0
        here = dict(zip(header, listed, strict=False))
        for name in names:
            cells[name].extend(here.get(name, (None,) * rows))
    if not any(cells.values()):
        raise DataError(f"`{paths[0]}` has a header and no rows; there is nothing to look at")
    value = values(data)
    return {name: column(name, found, value) for name, found in cells.items()}


def _candidates(made: Draft, found: Roles, columns: Mapping[str, Column]) -> list[str]:
    """Columns that may be channels: numbers without another role. Of rows with one value, the sensors."""
    data = found.data
    taken = {data.time, data.machine, data.failure, data.anomaly, data.label, *made.left_out}
    if data.sensor is not None:
        tags = [str(cell).strip() for cell in columns[data.sensor].cells if cell is not None]
        return [tag for tag in dict.fromkeys(tags) if tag not in taken]
    names = []
    for name, c in columns.items():
        if name in taken:
            continue
        if not c.present:
            made.left_out[name] = "empty"
        elif not c.numeric:
            made.left_out[name] = f"text, such as `{next(iter(c.texts))}`"
        else:
            names.append(name)
    if not names:
        raise DataError("no column of numbers is left beside machine, time and labels; there is nothing to learn from")
    return names


def _missing(made: Draft, columns: Mapping[str, Column], names: Sequence[str]) -> tuple[str, ...]:
    """Texts between numbers, and numbers that stand for none."""
    of = [columns[made.data.value]] if made.data.sensor is not None else [columns[name] for name in names]
    texts: Counter[str] = Counter()
    for c in of:
        texts.update(text for text in c.texts.elements() if text.lower() not in ("true", "false"))
    found = list(texts)
    if made.data.sensor is None:
        found += sorted({f"{number:g}" for number in (sentinel(c.known) for c in of) if number is not None})
    if found:
        made.reasons.append(("missing", ", ".join(found[:5]), "stand between numbers, far from all of them"))
    return tuple(found)


def _channels(
    made: Draft, machines: Mapping[str, Sequence[Record]], names: Sequence[str], units: Mapping[str, str]
) -> None:
    rows = [record.values for records in machines.values() for record in records]
    x = np.array(rows, np.float64)
    ends = np.cumsum([len(records) for records in machines.values()])
    groups = [slice(end - len(records), end) for end, records in zip(ends, machines.values(), strict=True)]
    kept: dict[str, Floats] = {}
    for i, name in enumerate(names):
        numbers = x[:, i]
        known = numbers[~np.isnan(numbers)]
        way = only_rises(numbers, groups)
        twin = next((other for other, of in kept.items() if np.array_equal(of, numbers, equal_nan=True)), None)
        if not len(known) or bool((known == known[0]).all()):
            made.left_out[name] = f"constant, always {known[0]:g}" if len(known) else "empty"
        elif way:
            moves = "rises" if way > 0 else "falls"
            made.left_out[name] = f"only ever {moves}: a counter tells the age, and a model learns that instead of wear"
        elif twin is not None:
            made.left_out[name] = f"the same as {twin}"
        else:
            kept[name] = numbers
            low, high = np.percentile(known, [0.1, 99.9])
            made.channels.append(Seen(name, units.get(name) or unit_of(name), float(low), float(high)))
    if not made.channels:
        why = "; ".join(f"`{name}`: {reason}" for name, reason in list(made.left_out.items())[:5])
        raise DataError(f"no column is left that a model could learn from ({why})")
    made.reasons.append(
        ("channels", str(len(made.channels)), f"columns of numbers that move; {len(made.left_out)} left out")
    )


def _rhythm(made: Draft, machines: Mapping[str, Sequence[Record]]) -> None:
    gaps = np.concatenate([np.diff([r.ts for r in records]) for records in machines.values()] or [np.empty(0)])
    gaps = gaps[gaps > 0]
    if not len(gaps):
        raise DataError(
            "no machine has two readings at different times; give histories with several readings a machine"
        )
    typical = float(np.median(gaps))
    steady = float((np.abs(gaps - typical) <= 0.1 * typical).mean())
    apart = _sparse(machines)
    if steady >= 0.5 and not apart:
        made.period_s = typical
        made.reasons.append(("period", f"{typical:g} s", f"between {100 * steady:.0f} % of the readings"))
    else:
        slow = typical * (_channels_a_row(machines) if apart else 1.0)
        made.period_s = float(next((p for p in NICE_S if p >= slow), round(slow)))
        made.data = replace(made.data, resample="mean")
        why = (
            "channels come at times of their own"
            if apart
            else f"readings come irregularly, {typical:g} s in the middle"
        )
        made.reasons.append(("period", f"{made.period_s:g} s, resampled", why))
    longer = gaps[gaps > 5 * made.period_s]
    made.max_gap_s = max(10 * made.period_s, float(np.ceil(np.percentile(gaps, 99.9) / made.period_s)) * made.period_s)
    if len(longer):
        made.reasons.append(("max gap", f"{made.max_gap_s:g} s", f"{len(longer)} gaps are longer than 5 periods"))


def _sparse(machines: Mapping[str, Sequence[Record]]) -> bool:
    """Do most readings lack most channels?"""
    lacking = [float(np.isnan([r.values for r in islice(records, 5000)]).mean()) for records in machines.values()]
    return float(np.mean(lacking)) > SPARSE


def _channels_a_row(machines: Mapping[str, Sequence[Record]]) -> float:
    """Rows that it takes until every channel has come once, about: the slowest channel's share of all rows."""
    present = np.mean([1 - np.isnan([r.values for r in records]).mean(0) for records in machines.values()], axis=0)
    return float(1 / max(float(np.min(present[present > 0])), 1e-3))
