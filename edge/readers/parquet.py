"""Parquet, by pyarrow: batch by batch, only the columns that are asked for. The extra `parquet` installs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edge.errors import DataError
from edge.readers import cells
from edge.readers.base import Cell, Record
from edge.spec import DataSpec

BATCH = 8192
"""Rows in memory at a time."""


class ParquetReader:
    """Typed columns keep their types: numbers, decimals, true and false, dates, moments with and without a zone, text
    (also as a dictionary). What is null is missing. Rows count as lines, the first is 1.
    """

    labelled = False

    def columns(self, path: Path, data: DataSpec) -> tuple[str, ...]:
        """The names of the schema."""
        with _opened(path) as file:
            return tuple(file.schema_arrow.names)

    def rows(self, path: Path, data: DataSpec, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Cells as Python values; moments to the microsecond."""
        line = 0
        with _opened(path) as file:
            for batch in file.iter_batches(BATCH, columns=list(columns)):
                listed = [_cells(batch.column(name), path, name) for name in columns]
                for row in zip(*listed, strict=True):
                    line += 1
                    yield line, row

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The readings of `path`."""
        return cells.records(self, path, data, channels)

    def remaining(self, path: Path) -> dict[str, float]:
        """A Parquet file says nothing beyond its last row."""
        return {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"`{path}` is not readable as Parquet: {reason}") from error


def _cells(column: Any, path: Path, name: str) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    elif pa.types.is_timestamp(kind) and kind.unit == "ns":
        # Python knows microseconds; what lies below them is no time a machine keeps.
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind):
        raise DataError(f"`{path}`: column `{name}` holds {kind}, which is no number, text or moment")
    listed: list[Any] = column.to_pylist()
    return listed
