"""What every registered reader owes: the same histories, written in its format, give the same readings."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.errors import DataError
from edge.readers import READERS
from edge.readers.assemble import Assembled, Plan, assemble
from edge.readers.base import Reader, Record
from edge.spec import DataSpec

CHANNELS = ("sensor_1", "sensor_2")
START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Row:
    """One row to be written: a time, two values (None: missing), and whether the machine failed."""

    machine: str
    ts: float
    values: tuple[float | None, float | None]
    failed: bool = False


ROWS = [
    Row("1", 1.0, (1.5, 10.0)),
    Row("1", 2.0, (None, -2.5e-7)),
    Row("1", 3.0, (3.0, 12.0), True),
    Row("2", 1.0, (0.0, 13.0)),
    Row("2", 2.0, (1e6, None)),
]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["machine", "ts", *CHANNELS, "failed"])
        for row in rows:
            writer.writerow([row.machine, row.ts, *("" if v is None else v for v in row.values), row.failed])


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "machine": pa.array([row.machine for row in rows]).dictionary_encode(),
        "ts": pa.array([row.ts for row in rows]),
        **{c: pa.array([row.values[i] for row in rows], pa.float64()) for i, c in enumerate(CHANNELS)},
        "failed": pa.array([row.failed for row in rows]),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)


def write_cmapss(path: Path, rows: Sequence[Row]) -> None:
    def line(row: Row) -> str:
        values = ["nan" if v is None else repr(v) for v in row.values]
        return " ".join([row.machine, f"{row.ts:g}", "0", "0", "0", *values, *["0"] * 19])

    path.write_text("\n".join(map(line, rows)) + "\n")


FORMATS: dict[str, tuple[str, Callable[[Path, Sequence[Row]], None]]] = {
    "csv": ("history.csv", write_csv),
    "parquet": ("history.parquet", write_parquet),
    "cmapss": ("test_FD001.txt", write_cmapss),
}
"""How a format is written: a new reader is written here too, and the claims below are its own."""

DATA = DataSpec(path="", failure="failed")


@pytest.fixture(params=list(READERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, path: Path, data: DataSpec = DATA, channels: Sequence[str] = CHANNELS) -> Assembled:
    reader: Reader = READERS[name]()
    return assemble(reader, [path], Plan.plain(data, channels))


def alike(one: Record, row: Row) -> bool:
    values = [math.nan if v is None else v for v in row.values]
    same = all(a == b or (a != a and b != b) for a, b in zip(one.values, values, strict=True))
    return same and one.ts == row.ts and one.machine.rpartition("-")[2] == row.machine


def written(tmp_path: Path, name: str, rows: Sequence[Row] = ROWS) -> Path:
    file, write = FORMATS[name]
    write(tmp_path / file, rows)
    return tmp_path / file


def test_the_same_history_gives_the_same_readings(tmp_path: Path, name: str) -> None:
    found = read(name, written(tmp_path, name))
    records = [record for records in found.machines.values() for record in records]
    assert len(records) == len(ROWS) and all(map(alike, records, ROWS)) and found.notes == []
    if not READERS[name]().labelled:
        assert [record.failed for record in records] == [row.failed for row in ROWS]


def test_every_row_says_where_it_stood(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    records = list(READERS[name]().records(path, DATA, CHANNELS))
    first = 2 if name == "csv" else 1
    assert [(r.source, r.line) for r in records] == [(str(path), first + i) for i in range(len(ROWS))]


def test_channels_come_in_the_order_asked_for(tmp_path: Path, name: str) -> None:
    found = read(name, written(tmp_path, name), channels=("sensor_2", "sensor_1"))
    assert next(iter(found.machines.values()))[0].values == [10.0, 1.5]


def test_raw_cells_are_those_of_the_columns_asked_for(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    reader: Reader = READERS[name]()
    assert set(CHANNELS) <= set(reader.columns(path, DATA))
    rows = list(reader.rows(path, DATA, ["sensor_2"]))
    assert len(rows) == len(ROWS) and float(str(rows[0][1][0])) == 10.0


def test_a_column_nobody_has_is_named_with_the_near_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no column `sensor_11x`.*did you mean `sensor_1"):
        read(name, written(tmp_path, name), channels=("sensor_11x",))


def test_one_machine_a_file_is_called_like_the_file(tmp_path: Path, name: str) -> None:
    if READERS[name]().labelled:
        return  # its machines have names of their own
    path = written(tmp_path, name, [row for row in ROWS if row.machine == "1"])
    assert list(read(name, path, replace(DATA, machine="{file}")).machines) == ["history"]


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PAR1", b"\xff\xfe\0\0", b"PAR1\0\0\0\0PAR1", b"a,b\n1\n", b"\x1f\x8b\x08"]
)
def test_junk_is_a_data_error_and_nothing_else(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / FORMATS[name][0]
    path.write_bytes(content)
    with pytest.raises(DataError):
        read(name, path)


def test_a_file_cut_anywhere_is_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    whole = path.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:end])
        with suppress(DataError):
            read(name, path)


def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="none"):
        read(name, tmp_path / "none.txt")
