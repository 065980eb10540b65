"""How a file is written: format, encoding, the line that names the columns, units below it, decimal sign."""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

from edge.errors import DataError
from edge.spec import DataSpec

HEAD_BYTES = 1 << 18
"""How much of a file is looked at to see how it is written."""

HEAD_LINES = 40
"""Lines among which the header is looked for."""

_COMMA = re.compile(r"[+-]?\d+,\d+")
_DOT = re.compile(r"[+-]?\d+\.\d+")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
CMAPSS_FIELDS = 26


def shape(path: Path) -> tuple[DataSpec, dict[str, str]]:
    """A `[data]` that reads `path`, still without machine and time, and units by column where a row gives them.

    Raises DataError where the file is empty or its columns have no names.
    """
    head = _head(path)
    if head[:4] == b"PAR1":
        return DataSpec(path=str(path), reader="parquet"), {}
    encoding, text = _decoded(path, head)
    lines = text.splitlines()[:-1] if len(head) == HEAD_BYTES else text.splitlines()
    if not any(line.strip() for line in lines):
        raise DataError(f"`{path}` is empty; there is nothing to look at")
    if len(lines[0].split()) == CMAPSS_FIELDS and all(_NUMBER.fullmatch(cell) for cell in lines[0].split()):
        return DataSpec(path=str(path), reader="cmapss", time="cycle", machine="unit"), {}
    at, separator = _header(path, lines)
    rows = list(islice(csv.reader(lines[at:], delimiter=separator), 200))
    names = [name.strip() for name in rows[0]]
    body = [row for row in rows[1:] if len(row) == len(names)]
    data = DataSpec(path=str(path), encoding=encoding, header_line=at + 1)
    units: dict[str, str] = {}
    plain = len(body) > 1 and not any(_numeric(cell) or len(re.findall(r"\d", cell)) > 3 for cell in body[0])
    if plain and any(map(_numeric, body[1])):
        units = {name: unit.strip().strip("[]()") for name, unit in zip(names, body[0], strict=True) if unit.strip()}
        data, body = replace(data, data_line=at + 3), body[1:]
    cells = [cell.strip() for row in body for cell in row]
    if separator != "," and any(map(_COMMA.fullmatch, cells)) and not any(map(_DOT.fullmatch, cells)):
        data = replace(data, decimal=",")
    return data, units


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise DataError(f"`{path}` cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _decoded(path: Path, head: bytes) -> tuple[str, str]:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-8", head.decode("utf-16", errors="ignore")  # the reader sees the mark, too
    if b"\0" in head:
        raise DataError(f"`{path}` is no text; edge reads CSV (also .gz), Parquet and C-MAPSS")
    try:
        return "utf-8", head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(head) - 4:  # a character that the end of what we read cuts
            return "utf-8", head[: error.start].decode("utf-8-sig")
        return "cp1252", head.decode("cp1252", errors="replace")


def _header(path: Path, lines: list[str]) -> tuple[int, str]:
    """Which line names the columns, from 0, and the separator."""
    uneven: str | None = None
    for at, line in enumerate(lines[:HEAD_LINES]):
        separator = max(",;\t|", key=line.count)
        names = next(csv.reader([line], delimiter=separator), [])
        if len(names) < 2 or line.startswith("#") or 3 * sum(not name.strip() for name in names) > len(names):
            continue
        below = [row for row in csv.reader(lines[at + 1 : at + 6], delimiter=separator) if row]
        fits = [row for row in below if len(row) == len(names)]
        numbers = sum(map(_numeric, names)) * 2 > len(names)
        many = line.count('"') % 2
        if many or (below and 2 * len(fits) < len(below)):
            if not numbers:
                what = "has a name that goes on in the next line" if many else f"names {len(names)} columns"
                why = "take the line break out" if many else "most lines below have more or fewer fields: correct them"
                uneven = uneven or f"`{path}`, line {at + 1} {what}; {why}"
            continue
        if numbers and uneven:
            break
        if numbers:
            raise DataError(f"`{path}`, line {at + 1} holds numbers where names belong: give its columns a header")
        return at, separator
    if uneven:
        raise DataError(uneven)
    raise DataError(f"`{path}` is no table with named columns; edge reads CSV (also .gz), Parquet and C-MAPSS")


def _numeric(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()))
