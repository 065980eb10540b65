"""From the cells of a table to readings: the same meaning in every format that has named columns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.clean import MISSING
from edge.errors import DataError
from edge.readers.base import FILE, FOLDER, Cell, Reader, Record, machine_of
from edge.registry import suggest
from edge.spec import DataSpec
from edge.times import NoTime, moments

ABSENT = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "-"})
"""Texts that mean "no value" in any history, compared in lower case."""

UNSAID = frozenset({"nan", "null", "n/a", "#n/a"})
"""Texts that are no label, compared in lower case."""

TRUE = frozenset({"1", "1.0", "true", "yes", "t", "y", "on", "ja", "j", "wahr"})
"""What a failure column says at the last reading of a life."""

FALSE = frozenset({"0", "0.0", "false", "no", "f", "n", "off", "nein", "falsch"}) | ABSENT
"""And at all others."""

_WORDS = {"true": 1.0, "false": 0.0}
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")

Value = Callable[[Cell], float]
"""A sensor's cell as a value, MISSING where it means so. Raises ValueError, its text the end of a sentence."""


def values(data: DataSpec) -> Value:
    """How these histories write values: `data.missing` and `data.decimal`. Numbers count as missing by their value."""
    texts = ABSENT | {text.strip().lower() for text in data.missing}
    numbers = frozenset(n for n in (_plain(text, data.decimal == ",") for text in data.missing) if n is not None)
    comma = data.decimal == ","

    def value(cell: Any) -> float:
        try:
            number = _european(cell) if comma and isinstance(cell, str) else float(cell)
        except (ValueError, TypeError):
            return other(cell)
        # What is not finite differs from itself, or is not zero less itself.
        return number if number - number == 0.0 and (not numbers or number not in numbers) else MISSING

    def other(cell: Cell) -> float:
        if cell is None:
            return MISSING
        if not isinstance(cell, str):
            raise ValueError(f"holds `{cell}`, which is no number")
        low = cell.strip().lower()
        if low in texts:
            return MISSING
        if low in _WORDS:
            return _WORDS[low]
        raise ValueError(_no_number(cell, comma))

    return value


def _plain(text: str, comma: bool) -> float | None:
    try:
        return _european(text) if comma else float(text)
    except ValueError:
        return None


def _european(text: str) -> float:
    """`1.234,5` as a number; a dot may only stand between thousands, and only where a comma follows."""
    if "," in text:
        if not _COMMA.fullmatch(text.strip()):
            raise ValueError(text)
        return float(text.replace(".", "").replace(",", "."))
    if "." in text:
        raise ValueError(text)
    return float(text)


def _no_number(text: str, comma: bool) -> str:
    if not comma and _COMMA.fullmatch(text.strip()):
        return f'holds `{text}`, a decimal comma; write decimal = "," under [data]'
    if comma and _plain(text, False) is not None:
        return f'holds `{text}`, a decimal dot where data.decimal is a comma; take out decimal = ","'
    return f'holds `{text}`, which is no number; correct it, or add it to data.missing, such as missing = ["{text}"]'


@dataclass(frozen=True)
class Layout:
    """Which columns of a file are read, in which order: time, machine, flags, then values (or sensor and value).
    `machine` is set where it is the whole file's.
    """

    columns: tuple[str, ...]
    machine: str | None
    failure: int | None
    anomaly: int | None
    label: int | None
    first: int
    channels: tuple[int, ...]
    """Places of the file's channels among all channels."""


def layout(path: Path, header: Sequence[str], data: DataSpec, channels: Sequence[str]) -> Layout:
    """What of `path` is read. Raises DataError where the file lacks its machine, time or (tidy) sensor columns."""
    if not any(header):
        raise DataError(f"`{path}` is empty; the first line must name the columns")
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"`{path}` has two columns called `{doubled[0]}`; rename one")
    alone = machine_of(path, data)
    wanted = {"data.time": data.time} | ({} if alone is not None else {"data.machine": data.machine})
    wanted |= {} if data.sensor is None else {"data.sensor": data.sensor, "data.value": data.value}
    for key, name in wanted.items():
        if name not in header:
            way = f', or write machine = "{FILE}" or "{FOLDER}" where each is one machine'
            raise DataError(no_column(path, name, key, header) + (way if key == "data.machine" else ""))
    said = (data.failure, data.anomaly, data.label)
    flags = [flag for flag in dict.fromkeys(said) if flag is not None and flag in header]
    base = [data.time, *([] if alone is not None else [data.machine]), *flags]
    failure, anomaly, label = (base.index(f) if f in flags else None for f in said)
    here = [] if data.sensor is not None else [i for i, channel in enumerate(channels) if channel in header]
    named = [data.sensor, data.value] if data.sensor is not None else [channels[i] for i in here]
    columns = tuple(str(name) for name in [*base, *named])
    return Layout(columns, alone, failure, anomaly, label, len(base), tuple(here))


def no_column(path: Path, name: str, key: str, header: Sequence[str]) -> str:
    """What to say of a column that is not there."""
    return f"`{path}` has no column `{name}` ({key}){suggest(name, list(header))}"


def records(reader: Reader, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
    """The readings of `path`, whose rows `reader` knows. With `data.sensor`, rows of one moment that follow each other
    are one reading, and rows of sensors that are no channel are passed over.
    """
    plan = layout(path, reader.columns(path, data), data, channels)
    source, moment, value = str(path), moments(data), values(data)
    place = {name: i for i, name in enumerate(channels)}
    everything = data.sensor is None and plan.channels == tuple(range(len(channels)))
    before: dict[tuple[str, str], float] = {}
    names: dict[Cell, str] = {}
    pending: Record | None = None
    for line, cells in reader.rows(path, data, plan.columns):
        machine = plan.machine or names.get(cells[1]) or names.setdefault(cells[1], named(cells[1]))
        if not machine:
            raise DataError(f"{source}, line {line}: column `{data.machine}` is empty; every row needs its machine")
        sensor = "" if data.sensor is None else named(cells[plan.first])
        try:
            ts = moment(cells[0], before.get((machine, sensor)))
        except NoTime as error:
            raise DataError(f"{source}, line {line}: column `{data.time}` {error}") from None
        before[machine, sensor] = ts
        failed = plan.failure is not None and truth(cells[plan.failure], source, line, plan.columns[plan.failure])
        anomalous = plan.anomaly is not None and truth(cells[plan.anomaly], source, line, plan.columns[plan.anomaly])
        label = "" if plan.label is None else labelled(cells[plan.label], data)
        if data.sensor is None:
            try:
                found = list(map(value, cells[plan.first :]))
            except ValueError as error:
                raise DataError(f"{source}, line {line}: {_which(cells, plan, value)} {error}") from None
            if not everything:
                known = dict(zip(plan.channels, found, strict=True))
                found = [known.get(i, MISSING) for i in range(len(channels))]
            yield Record(machine, ts, found, failed, source, line, anomalous, label)
            continue
        if sensor == data.failure:
            failed = truth(cells[plan.first + 1], source, line, sensor)
        if sensor == data.anomaly:
            anomalous = truth(cells[plan.first + 1], source, line, sensor)
        if sensor == data.label:
            label = labelled(cells[plan.first + 1], data)
        if sensor not in place and not failed and not anomalous and not label:
            continue
        if pending is None or pending.machine != machine or pending.ts != ts:
            if pending is not None:
                yield pending
            pending = Record(machine, ts, [MISSING] * len(channels), failed, source, line, anomalous, label)
        elif failed or anomalous or label:
            either = pending.failed or failed, pending.anomalous or anomalous, pending.label or label
            pending = replace(pending, failed=either[0], anomalous=either[1], label=either[2])
        if sensor in place:
            try:
                number = value(cells[plan.first + 1])
            except ValueError as error:
                raise DataError(f"{source}, line {line}: sensor `{sensor}` {error}") from None
            if math.isnan(pending.values[place[sensor]]):
                pending.values[place[sensor]] = number
    if pending is not None:
        yield pending


def _which(cells: Sequence[Cell], plan: Layout, value: Value) -> str:
    """The column whose cell is no value."""
    for at in range(plan.first, len(cells)):
        try:
            value(cells[at])
        except ValueError:
            return f"column `{plan.columns[at]}`"
    raise AssertionError("some cell was no value")


def named(cell: Cell) -> str:
    """A cell as a name: whole numbers without a point, so that 7 and 7.0 are one machine."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def labelled(cell: Cell, data: DataSpec) -> str:
    """A cell of a column of labels: the name of a state, nothing where the cell is empty or in `data.missing`. `none`
    and `-` are names, too.
    """
    name = named(cell)
    return "" if name.lower() in UNSAID or name in data.missing else name


def truth(cell: Cell, source: str, line: int, column: str) -> bool:
    """A cell of a column of failures or anomalies. Raises DataError for what is neither true nor false."""
    text = cell.strip().lower() if isinstance(cell, str) else "" if cell is None else str(cell).lower()
    if text in TRUE:
        return True
    if text not in FALSE:
        raise DataError(f"{source}, line {line}: column `{column}` holds `{text}`; write true or false (or 1, 0)")
    return False
