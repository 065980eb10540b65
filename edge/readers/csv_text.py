"""CSV with a header: comma, semicolon, tab or bar separated; one row a reading."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from edge.errors import DataError
from edge.readers.base import ABSENT, FILE, Record, number
from edge.registry import suggest
from edge.spec import DataSpec
from edge.times import LATEST, seconds

_TRUE = frozenset({"1", "1.0", "true", "yes", "t", "y"})
_FALSE = frozenset({"0", "0.0", "false", "no", "f", "n"}) | ABSENT


class CsvReader:
    """Reads CSV files as RFC 4180 describes them, in UTF-8 with or without a byte order mark."""

    def columns(self, path: Path) -> tuple[str, ...]:
        """The names in the first line."""
        with _opened(path) as file:
            return tuple(_header(file)[0])

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The rows of `path`. The columns of failures and anomalies count 1, true, yes, t, y as true."""
        missing = ABSENT | {text.lower() for text in data.missing}
        with _opened(path) as file:
            header, separator = _header(file)
            columns = _columns(path, header, data, channels)
            rows = csv.reader(file, delimiter=separator)
            for row in rows:
                if row:
                    yield _record(path, rows.line_num + 1, row, header, columns, data, channels, missing)

    def remaining(self, path: Path) -> dict[str, float]:
        """A CSV says nothing beyond its last row."""
        return {}


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text; whatever is wrong with it while it is read becomes a DataError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"`{path}` is not readable as CSV: {error}") from error
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror}") from error


def _header(file: TextIO) -> tuple[list[str], str]:
    """The columns' names, and the separator: the one the first line has most of."""
    head = file.readline()
    separator = max(",;\t|", key=head.count)
    return [name.strip() for name in next(csv.reader([head], delimiter=separator), [])], separator


def _columns(path: Path, header: list[str], data: DataSpec, channels: Sequence[str]) -> dict[str, int]:
    if not any(header):
        raise DataError(f"`{path}` is empty; the first line must name the columns")
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"`{path}` has two columns called `{doubled[0]}`; rename one")
    named = {f"data.{key}": getattr(data, key) for key in ("machine", "time", "failure", "anomaly")}
    wanted = {key: name for key, name in named.items() if name is not None and name != FILE}
    wanted |= {f"signals.{name}": name for name in channels}
    for key, name in wanted.items():
        if name not in header:
            way = f', or write machine = "{FILE}" where each file is one machine' if key == "data.machine" else ""
            raise DataError(f"`{path}` has no column `{name}` ({key}){suggest(name, header)}{way}")
    return {name: i for i, name in enumerate(header)}


def _record(
    path: Path,
    line: int,
    row: list[str],
    header: list[str],
    columns: dict[str, int],
    data: DataSpec,
    channels: Sequence[str],
    missing: frozenset[str],
) -> Record:
    if len(row) != len(header):
        raise DataError(f"{path}, line {line}: {len(row)} fields where the header has {len(header)}; correct the line")
    ts = seconds(row[columns[data.time]])
    if ts is None:
        raise DataError(
            f"{path}, line {line}: column `{data.time}` holds `{row[columns[data.time]]}`, which is no time; "
            "write seconds or ISO 8601, such as 2026-03-01T12:00:00Z"
        )
    if abs(ts) > LATEST:
        raise DataError(
            f"{path}, line {line}: column `{data.time}` holds {ts:.0f} seconds, beyond the year 2100; "
            "write seconds, not milliseconds, or ISO 8601"
        )
    machine = path.stem if data.machine == FILE else row[columns[data.machine]].strip()
    if not machine:
        raise DataError(f"{path}, line {line}: column `{data.machine}` is empty; every row needs its machine")
    failed, anomalous = (
        column is not None and _flag(row[columns[column]], path, line, column)
        for column in (data.failure, data.anomaly)
    )
    values = [number(row[columns[c]], missing, str(path), line, c) for c in channels]
    return Record(machine, ts, values, failed, str(path), line, anomalous)


def _flag(text: str, path: Path, line: int, column: str) -> bool:
    said = text.strip().lower()
    if said not in _TRUE and said not in _FALSE:
        raise DataError(f"{path}, line {line}: column `{column}` holds `{said}`; write true or false (or 1, 0)")
    return said in _TRUE
