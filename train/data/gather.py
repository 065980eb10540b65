"""From the project's files to histories: rows grouped by machine, put in order, cleaned, cut into lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.clean import MISSING, clean, limits_of
from edge.errors import DataError
from edge.readers import READERS
from edge.readers.base import Reader, Record, find
from edge.spec import Project
from train.data.history import History


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
    """Raises DataError where a test machine's readings are training readings too: same name, times and values."""
    seen = {(h.machine, ts, x.tobytes()) for h in training for ts, x in zip(h.ts, h.x, strict=True)}
    for h in test:
        shared = sum((h.machine, ts, x.tobytes()) in seen for ts, x in zip(h.ts, h.x, strict=True))
        if shared * 2 > len(h):
            raise DataError(
                f"machine `{h.machine}` is in data.test with readings that data.path holds too; "
                "a test on training readings proves nothing, so take them out of one of the two"
            )


def _gather(project: Project, pattern: str, key: str) -> Gathered:
    reader: Reader = READERS[project.data.reader]()
    rows: dict[str, list[Record]] = {}
    left: dict[str, float] = {}
    for path in find(pattern, key):
        for record in _rows(reader, path, project):
            rows.setdefault(record.machine, []).append(record)
        left.update(reader.remaining(path))
    gathered = Gathered([])
    replaced: Counter[str] = Counter()
    for machine, records in rows.items():
        ordered = _in_order(machine, records, gathered.notes)
        if len(ordered) < 2:
            gathered.notes.append(f"machine `{machine}` has a single reading ({_place(ordered[0])}); it is left out")
            continue
        lives = list(_lives(machine, ordered, gathered.notes))
        for number, life in enumerate(lives):
            last = number == len(lives) - 1
            beyond = left.get(machine) if last else None
            gathered.histories.append(_history(project, machine, number, life, beyond, replaced))
    if not gathered.histories:
        raise DataError(
            f"`{key}` = `{pattern}` holds no machine with two readings or more; nothing can be learnt from it"
        )
    _judge_channels(project, gathered, replaced, key)
    return gathered


def _rows(reader: Reader, path: Path, project: Project) -> Iterator[Record]:
    return reader.records(path, project.data, project.channels)


def _place(record: Record) -> str:
    return f"{record.source}, line {record.line}"


def _in_order(machine: str, records: list[Record], notes: list[str]) -> list[Record]:
    """Sorted by time, one record a moment: the first one stays, and a failure that any of them reports stays too."""
    back = next((b for a, b in pairwise(records) if a.source == b.source and b.ts < a.ts), None)
    if back is not None:
        notes.append(f"machine `{machine}`: time runs backwards at {_place(back)}; its readings were sorted by time")
    kept: list[Record] = []
    same = different = 0
    for record in sorted(records, key=lambda r: r.ts):
        if not kept or record.ts > kept[-1].ts:
            kept.append(record)
            continue
        first = kept[-1]
        if np.array_equal(first.values, record.values, equal_nan=True):
            same += 1
        else:
            different += 1
        if record.failed and not first.failed:
            kept[-1] = Record(first.machine, first.ts, first.values, True, first.source, first.line)
    if same:
        notes.append(f"machine `{machine}`: {_rows_were(same)} repeated and counted once")
    if different:
        again = f"{_rows_were(different)} given a second time with other values"
        notes.append(f"machine `{machine}`: {again}; the first in the file counts")
    return kept


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
    failed = records[-1].failed
    return History(
        machine,
        life,
        np.array([r.ts for r in records], np.float64),
        np.array(rows, np.float32),
        failed,
        0.0 if failed else left,
    )


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
