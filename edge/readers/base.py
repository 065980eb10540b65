"""What a reader is, and what all readers share."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.errors import DataError
from edge.spec import DataSpec


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a history: values in channel order and sensors' units (NaN where missing), seconds, where it stood,
    whether it is marked as anomalous, and the name of the state its machine is known to be in, or nothing.
    """

    machine: str
    ts: float
    values: list[float]
    failed: bool
    source: str
    line: int
    anomalous: bool = False
    label: str = ""


Cell = object
"""What a format holds in a cell: text, a number, true or false, a date, a moment, or None."""


class Reader(Protocol):
    """A format of histories. Rows come in file order; all errors are DataError naming file, line and column."""

    @property
    def labelled(self) -> bool:
        """Does the format itself tell failures, without a column for them?"""
        ...

    def columns(self, path: Path, data: DataSpec) -> tuple[str, ...]:
        """The columns of one file, in order."""
        ...

    def rows(self, path: Path, data: DataSpec, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Cell]]]:
        """The line and the cells in `columns` of each row of one file; raw, before anything is made of them."""
        ...

    def records(self, path: Path, data: DataSpec, channels: Sequence[str]) -> Iterator[Record]:
        """The readings of one file. A channel that it has not is missing; a column of failures or anomalies
        that it has not is never true, one of labels never says anything.
        """
        ...

    def remaining(self, path: Path) -> dict[str, float]:
        """Machine -> readings truly left after its last row in this file, where the format knows; else empty."""
        ...


def find(pattern: str | Sequence[str], key: str = "data.path") -> list[Path]:
    """The files that paths or globs name, each once, those of a glob sorted. `key` says who asked.

    Raises DataError where one names none.
    """
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return list(dict.fromkeys(path for one in patterns for path in _found(one, key)))


def _found(pattern: str, key: str) -> list[Path]:
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

FOLDER = "{folder}"
"""As `data.machine`: each folder is one machine, called like the folder."""

LAST = "{last}"
"""As `data.failure`: every record ends in a failure, at its machine's last reading."""


def machine_of(path: Path, data: DataSpec) -> str | None:
    """The machine that all rows of `path` belong to, or None where a column names it."""
    if data.machine == FILE:
        return path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    return path.absolute().parent.name if data.machine == FOLDER else None


def check_names(paths: Sequence[Path], data: DataSpec) -> None:
    """Raises DataError where files or folders of one name would become one machine."""
    if data.machine not in (FILE, FOLDER):
        return
    places: dict[str | None, Path] = {}
    for path in paths:
        place = path if data.machine == FILE else path.parent
        name = machine_of(path, data)
        if places.setdefault(name, place) != place:
            kind, way = ("files", f'rename them, or write machine = "{FOLDER}" where each folder is one machine')
            kind, way = ("folders", "rename them") if data.machine == FOLDER else (kind, way)
            raise DataError(
                f'several {kind} are called `{name}`, and machine = "{data.machine}" makes them one machine; {way}'
            )
