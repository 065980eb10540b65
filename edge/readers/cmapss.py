"""NASA C-MAPSS turbofan files (Saxena et al. 2008): space separated, no header, one engine cycle a row.

Columns: unit, cycle, `setting_1` … `setting_3`, `sensor_1` … `sensor_21`. In `train_*.txt` every unit runs to failure
at its last row; in `test_*.txt` it is cut before, and `RUL_*.txt` beside it holds the cycles truly left, not capped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.errors import DataError
from edge.readers.base import Cell, Record
from edge.readers.cells import values as valued
from edge.registry import suggest
from edge.spec import DataSpec

COLUMNS = ("unit", "cycle", *(f"setting_{i}" for i in range(1, 4)), *(f"sensor_{i}" for i in range(1, 22)))


class CmapssReader:
    """Machines are called by file and unit (`train_FD001-17`); the cycle counts as the time, in seconds."""

    labelled = True

    def columns(self, path: Path, data: DataSpec) -> tuple[str, ...]:
        """The same in every file; none tells failures, the file's name does."""
        return COLUMNS

    def rows(self, path: Path, data: DataSpec, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Cells are text."""
        places = [COLUMNS.index(name) for name in columns]
        for line, row in _rows(path):
            yield line, [row[i] for i in places]

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The rows of `path`; the failure flag is true in the last row of each unit of a `train_*` file."""
        for channel in channels:
            if channel not in COLUMNS[2:]:
                raise DataError(f"C-MAPSS has no column `{channel}`{suggest(channel, list(COLUMNS[2:]))}")
        places = [COLUMNS.index(c) for c in channels]
        fails = path.name.startswith("train_")
        previous: Record | None = None
        for line, row in _rows(path):
            values = [_number(row[i], path, line, COLUMNS[i]) for i in places]
            cycle = _number(row[1], path, line, "cycle")
            record = Record(_machine(path, row[0]), cycle, values, False, str(path), line)
            if previous is not None:
                yield _ended(previous, fails and previous.machine != record.machine)
            previous = record
        if previous is None:
            raise DataError(f"`{path}` is empty")
        yield _ended(previous, fails)

    def remaining(self, path: Path) -> dict[str, float]:
        """The true cycles left of each unit of a `test_*` file whose `RUL_*` file lies beside it."""
        truth = path.with_name(path.name.replace("test_", "RUL_", 1))
        if truth == path or not truth.is_file():
            return {}
        cycles = [_number(row[0], truth, line, "cycles left") for line, row in _rows(truth, 1)]
        return {_machine(path, str(unit)): left for unit, left in enumerate(cycles, start=1)}


def _machine(path: Path, unit: str) -> str:
    return f"{path.stem}-{unit}"


def _ended(record: Record, failed: bool) -> Record:
    return Record(record.machine, record.ts, record.values, failed, record.source, record.line)


_value = valued(DataSpec(path=""))


def _number(text: str, path: Path, line: int, column: str) -> float:
    try:
        return _value(text)
    except ValueError:
        raise DataError(f"{path}, line {line}: column `{column}` holds `{text}`, which is no number") from None


def _rows(path: Path, fields: int = len(COLUMNS)) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="ascii") as file:
            for line, text in enumerate(file, start=1):
                row = text.split()
                if row and len(row) != fields:
                    raise DataError(f"{path}, line {line}: {len(row)} fields where C-MAPSS has {fields}")
                if row:
                    yield line, row
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` is not a C-MAPSS text file (byte {error.start})") from error
