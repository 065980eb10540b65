"""From the project's files to histories: rows grouped by machine, put in order, cleaned, cut into lives.

What counts as a reading, and where the memory of a machine ends, is what it is on a device: a row without a usable
value is no reading, and a gap that resets a machine's state there begins a new history here. What is left until the
failure is counted through such gaps; a censored life bounds each of its stretches by that stretch alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from edge.clean import MISSING, clean, limits_of
from edge.errors import DataError
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Reader, Record, find
from edge.readers.resample import Limits
from edge.spec import Project
from train.data.channels import Lost, judge_channels
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


AHEAD_S = 86_400.0
"""A reading dated further ahead than this is from no clock of this world; zones and slow clocks explain less."""


def _gather(project: Project, pattern: str | Sequence[str], key: str) -> Gathered:
    reader: Reader = READERS[project.data.reader]()
    found = assemble(reader, find(pattern, key), Plan.of(project), latest=time.time() + AHEAD_S)
    gathered = Gathered([], found.notes)
    lost = Lost(project.channels)
    limits = limits_of(project.channels, project.signals)
    empty = 0
    for machine, records in found.machines.items():
        ordered, failures = _usable(records, limits)
        empty += len(records) - len(ordered)
        if len(ordered) < 2:
            has, place = ("a single", ordered[0]) if ordered else ("no usable", records[0])
            gathered.notes.append(f"machine `{machine}` has {has} reading ({_place(place)}); it is left out")
            continue
        lives = list(_lives(machine, ordered, gathered.notes))
        stretches = _stretches(project, machine, lives, failures, found.left.get(machine), gathered.notes)
        for number, (stretch, beyond, end) in enumerate(stretches):
            one = replace(_history(project, machine, number, stretch, beyond, lost), end=end)
            one = one if found.marked else replace(one, anomalous=None)
            gathered.histories.append(one if found.labelled else replace(one, label=None))
    if empty:
        gathered.notes.append(f"{_rows_were(empty)} without a usable value in any channel in {key}; left out")
    if not gathered.histories:
        raise DataError(_nothing(project, found.machines, empty, pattern, key))
    longest = max(map(len, gathered.histories))
    if longest < project.timing.warm_up_readings:
        raise DataError(
            f"`timing.warm_up_readings` is {project.timing.warm_up_readings}, but the longest life in `{key}` has "
            f"{longest} readings: no prediction would ever count; lower it"
        )
    judge_channels(project.channels, gathered.histories, lost, key, gathered.notes)
    return gathered


def _nothing(
    project: Project, machines: Mapping[str, Sequence[Record]], empty: int, pattern: str | Sequence[str], key: str
) -> str:
    """Why nothing can be learnt."""
    readings = [record for records in machines.values() for record in records]
    if len(readings) > 1 and all(record.failed for record in readings):
        return (
            f"column `{project.data.failure}` is true in every row of `{key}`: `data.failure` must be true at the last "
            "reading of a life alone; correct it, or name another column"
        )
    why = f" ({_rows_were(empty)} without a value inside min … max in any channel)" if empty else ""
    return f"`{key}` = `{pattern}` holds no machine with two readings or more{why}; nothing can be learnt from it"


def _place(record: Record) -> str:
    return f"{record.source}, line {record.line}"


def _usable(records: Sequence[Record], limits: Limits) -> tuple[list[Record], dict[float, float]]:
    """Without readings that have no usable value, which a device rejects; a failure that one of them reports ends the
    life at the reading before it. Also, by the time of that reading, the moment it reports.
    """
    kept: list[Record] = []
    failures: dict[float, float] = {}
    for record in records:
        if any(low <= value <= high for value, (low, high) in zip(record.values, limits, strict=True)):
            kept.append(record)
        elif record.failed and kept:
            if not kept[-1].failed:
                failures[kept[-1].ts] = record.ts
            kept[-1] = replace(kept[-1], failed=True)
    return kept, failures


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
    project: Project,
    machine: str,
    lives: Sequence[list[Record]],
    failures: Mapping[float, float],
    beyond: float | None,
    notes: list[str],
) -> Iterator[tuple[list[Record], float | None, float | None]]:
    """Lives cut where a device forgets, each stretch with the readings left behind it and the moment of the failure.

    `failures` says where that is later than the last reading, `beyond` is what is left behind the last life in periods,
    where known.
    """
    timing = project.timing
    longest = timing.max_gap_s if timing.on_gap == "reset" else np.inf
    alone = 0
    for life in lives:
        left = 0.0 if life[-1].failed else beyond if life is lives[-1] else None
        end = None if left is None else failures.get(life[-1].ts, life[-1].ts + left * timing.period_s)
        starts = [0, *(i for i, (a, b) in enumerate(pairwise(life), start=1) if b.ts - a.ts > longest)]
        for start, stop in pairwise([*starts, len(life)]):
            if stop - start > 1:
                yield life[start:stop], None if left is None else left + len(life) - stop, end
            else:
                alone += 1
    if alone:
        notes.append(f"machine `{machine}`: {_rows_were(alone)} alone between two gaps; left out")


def _history(
    project: Project, machine: str, life: int, records: list[Record], left: float | None, lost: Lost
) -> History:
    channels = project.channels
    limits = limits_of(channels, project.signals)
    held = [MISSING] * len(channels)
    rows = []
    for record in records:
        values = list(record.values)
        clean(values, held, limits)
        rows.append(values)
    sent = np.array([record.values for record in records], np.float64)
    low, high = np.array(limits).T
    mask = (sent >= low) & (sent <= high)
    lost.count(sent, mask)
    ts = np.array([r.ts for r in records], np.float64)
    marks = np.array([r.anomalous for r in records], np.bool_)
    label = np.array([r.label for r in records], np.str_)
    return History(machine, life, ts, np.array(rows, np.float32), records[-1].failed, left, marks, mask, label=label)
