"""Typed columns mean what their text would mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.errors import DataError
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Record
from edge.spec import DataSpec

DATA = DataSpec(path="")
NOON = datetime(2026, 7, 1, 12, 0, 0, 250_000)


def read(folder: Path, data: DataSpec = DATA, channels: tuple[str, ...] = ("a",), **columns: Any) -> list[Record]:
    path = folder / "h.parquet"
    rows = len(next(iter(columns.values())))
    table = {"machine": ["m"] * rows, "ts": list(range(rows)), "a": [1.0] * rows, **columns}
    pq.write_table(pa.table(table), path)
    found = assemble(READERS["parquet"](), [path], Plan.plain(data, channels)).machines
    return [record for records in found.values() for record in records]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_of_any_fineness_with_and_without_a_zone(tmp_path: Path, unit: str) -> None:
    noon = NOON.replace(microsecond=0) if unit == "s" else NOON
    east = timezone(timedelta(hours=2))
    seconds = noon.replace(tzinfo=UTC).timestamp()
    assert read(tmp_path, ts=pa.array([noon], pa.timestamp(unit)))[0].ts == seconds
    zoned = pa.array([noon.replace(tzinfo=east)], pa.timestamp(unit, "Europe/Berlin"))
    assert read(tmp_path, ts=zoned)[0].ts == seconds - 7200
    berlin = replace(DATA, timezone="Europe/Berlin")
    assert read(tmp_path, berlin, ts=pa.array([noon], pa.timestamp(unit)))[0].ts == seconds - 7200


def test_days_are_their_midnights(tmp_path: Path) -> None:
    assert read(tmp_path, ts=pa.array([date(2026, 3, 1)]))[0].ts == datetime(2026, 3, 1, tzinfo=UTC).timestamp()


def test_whole_numbers_have_the_unit_that_is_said(tmp_path: Path) -> None:
    ms = pa.array([1_772_323_200_500], pa.int64())
    assert read(tmp_path, replace(DATA, time_unit="ms"), ts=ms)[0].ts == 1_772_323_200.5
    with pytest.raises(DataError, match=r'line 1: column `ts`.*time_unit = "ms"'):
        read(tmp_path, ts=ms)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([1, None, 3], pa.int8()), [1.0, None, 3.0]),
        (pa.array([True, None, False]), [1.0, None, 0.0]),
        (pa.array([Decimal("1.25"), None, Decimal("-3.00")]), [1.25, None, -3.0]),
        (pa.array(["1.5", "NaN", None]), [1.5, None, None]),
        (pa.array([1.5, float("inf"), float("nan")], pa.float32()), [1.5, None, None]),
        (pa.array(["2", None, "true"]).dictionary_encode(), [2.0, None, 1.0]),
        (pa.nulls(3), [None, None, None]),
    ],
)
def test_values_of_any_type(tmp_path: Path, column: Any, values: list[float | None]) -> None:
    found = [record.values[0] for record in read(tmp_path, a=column)]
    assert [None if value != value else value for value in found] == values


def test_a_machine_with_a_number_has_one_name(tmp_path: Path) -> None:
    assert read(tmp_path, machine=pa.array([7], pa.int64()))[0].machine == "7"
    assert read(tmp_path, machine=pa.array([7.0]))[0].machine == "7"


def test_a_null_machine_or_time_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: column `machine` is empty"):
        read(tmp_path, machine=["m", None])
    with pytest.raises(DataError, match="line 2: column `ts` is empty"):
        read(tmp_path, ts=[1.0, None])


def test_a_number_declared_missing_is_missing_however_it_is_written(tmp_path: Path) -> None:
    assert [r.values[0] == r.values[0] for r in read(tmp_path, replace(DATA, missing=("-999",)), a=[-999.0, 1.0])] == [
        False,
        True,
    ]


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column `a` holds list"):
        read(tmp_path, a=[[1.0, 2.0]])
