"""CSV with a header: comma, semicolon, tab or bar separated, packed with gzip or not; one row a reading."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from edge.errors import DataError, ProjectError
from edge.readers import cells
from edge.readers.base import Cell, Record
from edge.spec import DataSpec

_PACKED = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CsvReader:
    """Reads CSV files as RFC 4180 describes them, in UTF-8 (a byte order mark tells UTF-16) or `data.encoding`."""

    labelled = False

    def columns(self, path: Path, data: DataSpec) -> tuple[str, ...]:
        """The names in line `data.header_line`."""
        with _opened(path, data) as file:
            return tuple(_header(file, data)[0])

    def rows(self, path: Path, data: DataSpec, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Lines from `data.data_line` on; cells are text."""
        with _opened(path, data) as file:
            header, separator = _header(file, data)
            places = [header.index(name) for name in columns]
            pick = itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],) if places else ()
            rows = csv.reader(file, delimiter=separator)
            wanted = len(header)
            for row in rows:
                line = rows.line_num + data.header_line
                if not row or line < (data.data_line or 0):
                    continue
                if len(row) != wanted:
                    raise DataError(
                        f"{path}, line {line}: {len(row)} fields where the header has {wanted}; correct the line"
                        + (_hint(row, wanted) if separator == "," else "")
                    )
                yield line, pick(row)

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The readings of `path`. The failure column is true where `cells.TRUE` says so."""
        return cells.records(self, path, data, channels)

    def remaining(self, path: Path) -> dict[str, float]:
        """A CSV says nothing beyond its last row."""
        return {}


@contextmanager
def _opened(path: Path, data: DataSpec) -> Iterator[TextIO]:
    """The file as text; whatever is wrong with it while it is read becomes a DataError."""
    encoding = data.encoding
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _PACKED
        with gzip.open(path) if packed else path.open("rb") as raw:
            mark = raw.read(2)
        if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            encoding = "utf-16" if mark in _UTF16 else "utf-8-sig"
        with gzip.open(path) if packed else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding=encoding, newline="")
    except LookupError as error:
        raise ProjectError(f"`data.encoding`: {error}; write utf-8, utf-16, latin-1 or cp1252") from error
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        name = "UTF-8" if encoding == "utf-8-sig" else encoding
        way = 'try encoding = "cp1252" (Windows) or "utf-16" under [data]' if name == "UTF-8" else "name another"
        raise DataError(f"`{path}` is not {name} text{place}; save it as CSV in UTF-8, or {way}") from error
    except csv.Error as error:
        raise DataError(f"`{path}` is not readable as CSV: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"`{path}` is a damaged gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror or error}") from error


def _header(file: TextIO, data: DataSpec) -> tuple[list[str], str]:
    """The columns' names, and the separator: the one that line has most of."""
    for _ in range(data.header_line - 1):
        file.readline()
    head = file.readline()
    separator = max(",;\t|", key=head.count)
    return [name.strip() for name in next(csv.reader([head], delimiter=separator), [])], separator


def _hint(row: Sequence[str], wanted: int) -> str:
    """A decimal comma between commas cannot be told from a separator."""
    return "; decimal commas need another separator, such as ;" if len(row) > wanted else ""
