"""From the project's files to histories: rows grouped by machine, put in order, cleaned, cut into lives.

What counts as a reading, and where the memory of a machine ends, is what it is on a device: a row without a usable
value is no reading, and a gap that resets a machine's state there begins a new history here. What is left until the
failure is counted through such gaps; a censored life bounds each of its stretches by that stretch alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.clean import MISSING, clean, limits_of
from edge.errors import DataError
from edge.readers import READERS
from edge.readers.base import Reader, Record, check_names, find
from edge.spec import Project
from train.data.history import History, machines


@dataclass
class Gathered:
    """Histories in the order of their files, and what a person should hear about them."""

    histories: list[History]
    notes: list[str] = field(default_factory=list)


def gather(project: Project) -> Gathered:
    """The histories of `data.path`. Raises DataError naming the file, line, column or machine that cannot be used."""
    return _gather(project, project.data.path, "data.path")


def gather_test(project: Project) -> Gathered | None:
    """The histories of `data.test` with the truth that lies beside them, or None where the project names none."""
    return None if project.data.test is None else _gather(project, project.data.test, "data.test")


def check_apart(training: Sequence[History], test: Sequence[History]) -> None:
    """Raises DataError where a machine is in both."""
    known = set(machines(training))
    both = [name for name in machines(test) if name in known]
    if both:
        more = f" and {len(both) - 1} more are" if len(both) > 1 else " is"
        raise DataError(
            f"machine `{both[0]}`{more} in data.path and in data.test; a test on machines that were learnt from proves "
            "nothing, so take them out of one of the two, or rename them where they are different machines"
        )


def _gather(project: Project, pattern: str, key: str) -> Gathered:
    reader: Reader = READERS[project.data.reader]()
    rows: dict[str, list[Record]] = {}
    left: dict[str, float] = {}
    paths = find(pattern, key)
    check_names(paths, project.data)
    for path in paths:
        for record in _rows(reader, path, project):
            rows.setdefault(record.machine, []).append(record)
        left.update(reader.remaining(path))
    gathered = Gathered([])
    replaced: Counter[str] = Counter()
    limits = limits_of(project.channels, project.signals)
    empty = 0
    for machine, records in rows.items():
        ordered, without = _in_order(machine, records, limits, gathered.notes)
        empty += without
        if len(ordered) < 2:
            has, place = ("a single", ordered[0]) if ordered else ("no usable", records[0])
            gathered.notes.append(f"machine `{machine}` has {has} reading ({_place(place)}); it is left out")
            continue
        lives = list(_lives(machine, ordered, gathered.notes))
        stretches = _stretches(project, machine, lives, left.get(machine), gathered.notes)
        for number, (stretch, beyond) in enumerate(stretches):
            gathered.histories.append(_history(project, machine, number, stretch, beyond, replaced))
    if empty:
        gathered.notes.append(f"{_rows_were(empty)} without a usable value in any channel in {key}; left out")
    if not gathered.histories:
        why = f" ({_rows_were(empty)} without a value inside min … max in any channel)" if empty else ""
        raise DataError(
            f"`{key}` = `{pattern}` holds no machine with two readings or more{why}; nothing can be learnt from it"
        )
    _judge_channels(project, gathered, replaced, key)
    return gathered


def _rows(reader: Reader, path: Path, project: Project) -> Iterator[Record]:
    return reader.records(path, project.data, project.channels)


def _place(record: Record) -> str:
    return f"{record.source}, line {record.line}"


Limits = Sequence[tuple[float, float]]


def _empty(record: Record, limits: Limits) -> bool:
    """Has it no usable value? A device rejects such a reading."""
    return not any(low <= value <= high for value, (low, high) in zip(record.values, limits, strict=True))


def _in_order(machine: str, records: list[Record], limits: Limits, notes: list[str]) -> tuple[list[Record], int]:
    """Readings sorted by time, one a moment, and how many rows were none because they are empty.

    The first row of a moment stays, and a failure that any of them reports stays too. One that an empty row reports
    ends the life at the reading before it.
    """
    back = next((b for a, b in pairwise(records) if a.source == b.source and b.ts < a.ts), None)
    if back is not None:
        notes.append(f"machine `{machine}`: time runs backwards at {_place(back)}; its readings were sorted by time")
    kept: list[Record] = []
    empty = same = different = 0
    for record in sorted(records, key=lambda r: (r.ts, _empty(r, limits))):
        if _empty(record, limits):
            empty += 1
            if record.failed and kept:
                kept[-1] = replace(kept[-1], failed=True)
            continue
        if not kept or record.ts > kept[-1].ts:
            kept.append(record)
            continue
        first = kept[-1]
        if np.array_equal(first.values, record.values, equal_nan=True):
            same += 1
        else:
            different += 1
        if record.failed and not first.failed:
            kept[-1] = replace(first, failed=True)
    if same:
        notes.append(f"machine `{machine}`: {_rows_were(same)} repeated and counted once")
    if different:
        again = f"{_rows_were(different)} given a second time with other values"
        notes.append(f"machine `{machine}`: {again}; the first in the file counts")
    return kept, empty


def _rows_were(n: int) -> str:
    return f"{n} reading was" if n == 1 else f"{n} readings were"


def _lives(machine: str, records: list[Record], notes: list[str]) -> Iterator[list[Record]]:
    """Cut behind each failure. While the failure column stays true the machine lies still: those rows belong to no
    life.
    """
    life: list[Record] = []
    still = short = 0
    failing = False
    for record in records:
        if failing and record.failed:
            still += 1
            continue
        failing = record.failed
        life.append(record)
        if record.failed:
            if len(life) > 1:
                yield life
            else:
                short += 1
            life = []
    if len(life) > 1:
        yield life
    elif life:
        short += 1
    if still:
        notes.append(f"machine `{machine}`: {_rows_were(still)} taken while it had already failed; left out")
    if short:
        lives = "1 life has" if short == 1 else f"{short} lives have"
        notes.append(f"machine `{machine}`: {lives} a single reading; left out")


def _stretches(
    project: Project, machine: str, lives: Sequence[list[Record]], beyond: float | None, notes: list[str]
) -> Iterator[tuple[list[Record], float | None]]:
    """Lives cut where a device forgets, each stretch with what is left behind it; `beyond` is what is left behind the
    last life, where known.
    """
    timing = project.timing
    longest = timing.max_gap_s if timing.on_gap == "reset" else np.inf
    alone = 0
    for life in lives:
        left = 0.0 if life[-1].failed else beyond if life is lives[-1] else None
        starts = [0, *(i for i, (a, b) in enumerate(pairwise(life), start=1) if b.ts - a.ts > longest)]
        for start, stop in pairwise([*starts, len(life)]):
            if stop - start > 1:
                yield life[start:stop], None if left is None else left + len(life) - stop
            else:
                alone += 1
    if alone:
        notes.append(f"machine `{machine}`: {_rows_were(alone)} alone between two gaps; left out")


def _history(
    project: Project, machine: str, life: int, records: list[Record], left: float | None, replaced: Counter[str]
) -> History:
    channels = project.channels
    limits = limits_of(channels, project.signals)
    held = [MISSING] * len(channels)
    rows = []
    for record in records:
        values = list(record.values)
        if clean(values, held, limits):
            replaced.update(c for c, was, now in zip(channels, record.values, values, strict=True) if was != now)
        rows.append(values)
    ts = np.array([r.ts for r in records], np.float64)
    marks = None if project.data.anomaly is None else np.array([r.anomalous for r in records], np.bool_)
    return History(machine, life, ts, np.array(rows, np.float32), records[-1].failed, left, marks)


def _judge_channels(project: Project, gathered: Gathered, replaced: Counter[str], key: str) -> None:
    x = np.concatenate([h.x for h in gathered.histories])
    known = ~np.isnan(x)
    constant = []
    for i, channel in enumerate(project.channels):
        values = x[known[:, i], i]
        if not len(values):
            raise DataError(
                f"column `{channel}` has no usable value in `{key}`: all are missing or outside its min … max; "
                f"correct the limits, or take `{channel}` out of the project file"
            )
        if values.min() == values.max():
            constant.append(channel)
    if constant:
        names = ", ".join(f"`{c}`" for c in constant)
        verb = "never changes" if len(constant) == 1 else "never change"
        gathered.notes.append(f"{names} {verb} in {key}; a constant teaches nothing")
    if replaced:
        names = ", ".join(f"`{c}` {replaced[c]}" for c in project.channels if replaced[c])
        gathered.notes.append(f"missing or implausible values in {key}, the last good one was held: {names}")
