"""What a reader is, and what all text readers share."""

from __future__ import annotations

import glob
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edge.clean import MISSING
from edge.errors import DataError
from edge.spec import DataSpec

ABSENT = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""Texts that mean "no value" in any history, compared in lower case."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a history: values in channel order and sensors' units (NaN where missing), seconds, where it stood,
    and whether it is marked as anomalous.
    """

    machine: str
    ts: float
    values: list[float]
    failed: bool
    source: str
    line: int
    anomalous: bool = False


class Reader(Protocol):
    """A format of histories. Rows come in file order; all errors are DataError naming file, line and column."""

    def columns(self, path: Path) -> tuple[str, ...]:
        """The columns of one file, in order."""
        ...

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The rows of one file."""
        ...

    def remaining(self, path: Path) -> dict[str, float]:
        """Machine -> readings truly left after its last row in this file, where the format knows; else empty."""
        ...


def find(pattern: str, key: str = "data.path") -> list[Path]:
    """The files a path or glob names, sorted. Raises DataError where there is none; `key` says who asked."""
    if Path(pattern).is_file():
        return [Path(pattern)]  # whatever brackets its name has
    if Path(pattern).is_dir():
        raise DataError(f"`{key}` names the folder `{pattern}`; name files, such as `{pattern.rstrip('/')}/*.csv`")
    found = sorted(path for path in map(Path, glob.glob(pattern, recursive=True)) if path.is_file())  # noqa: PTH207
    if not found:
        way = (
            f"correct it in the project file or with --set {key}=…" if "." in key else "give files, or a glob in quotes"
        )
        raise DataError(f"no file matches `{key}` = `{pattern}`; {way}")
    return found


FILE = "{file}"
"""As `data.machine`: each file is one machine, called like the file."""


def check_names(paths: Sequence[Path], data: DataSpec) -> None:
    """Raises DataError where files of one name would become one machine."""
    stems = [path.stem for path in paths]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if data.machine == FILE and twice is not None:
        raise DataError(
            f'several files are called `{twice}`, and machine = "{FILE}" makes them one machine; rename them'
        )


def by_machine(reader: Reader, paths: Sequence[Path], data: DataSpec, channels: Sequence[str]) -> list[Record]:
    """The rows of histories to predict: machine by machine as they first appear, each in time order.

    Such a history need not say when a machine failed: the failure column is read from those files that have it, marks
    of anomalies from none.
    """
    check_names(paths, data)
    rows: dict[str, list[Record]] = {}
    for path in paths:
        told = data.failure is not None and data.failure in reader.columns(path)
        known = replace(data, failure=data.failure if told else None, anomaly=None)
        for record in reader.records(path, known, channels):
            rows.setdefault(record.machine, []).append(record)
    return [record for records in rows.values() for record in sorted(records, key=lambda record: record.ts)]


def number(text: str, missing: frozenset[str], source: str, line: int, column: str) -> float:
    """A sensor's text as a value, MISSING for a text that means so. Raises DataError for any other text."""
    if text.strip().lower() in missing:
        return MISSING
    try:
        value = float(text)
    except ValueError:
        raise DataError(
            f"{source}, line {line}: column `{column}` holds `{text}`, which is no number; "
            f'correct it, or add it to data.missing, such as missing = ["{text}"]'
        ) from None
    return value if math.isfinite(value) else MISSING
