"""From files to each machine's readings, in order: the same for training, for score and for replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from edge.clean import limits_of
from edge.errors import DataError
from edge.readers.base import LAST, Reader, Record, check_names
from edge.readers.cells import no_column
from edge.readers.moments import merge
from edge.readers.resample import Limits, resample
from edge.spec import DataSpec, Project, Signal

SPARSE = 0.5
"""Where joined readings have no more of their values than this share, their sensors do not share their moments."""


@dataclass(frozen=True)
class Plan:
    """What is to be made of a history: `data` describes the files, `limits` and `ways` (how the readings of a period
    become one) are by channel.
    """

    data: DataSpec
    channels: tuple[str, ...]
    limits: Limits
    ways: tuple[str, ...]
    period_s: float

    @classmethod
    def of(cls, project: Project) -> Plan:
        """The plan of a project."""
        return cls.plain(project.data, project.channels, project.signals, project.timing.period_s)

    @classmethod
    def plain(
        cls, data: DataSpec, channels: Sequence[str], signals: Mapping[str, Signal] | None = None, period_s: float = 1.0
    ) -> Plan:
        """The plan of files without a project file."""
        known = dict(signals or {})
        ways = tuple(known.get(c, Signal()).resample or data.resample or "last" for c in channels)
        return cls(data, tuple(channels), limits_of(channels, known), ways, period_s)


@dataclass
class Assembled:
    """Machine -> readings in time order, machines as they first appear; what is left behind the last of them, where
    known; whether any file marks anomalies, and whether any has labels; and what a person should hear.
    """

    machines: dict[str, list[Record]]
    marked: bool
    labelled: bool = False
    left: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def assemble(
    reader: Reader, paths: Sequence[Path], plan: Plan, labelled: bool = True, latest: float | None = None
) -> Assembled:
    """Rows of all files, joined by machine and moment, and resampled where the project says so.

    A history to predict need not be `labelled`: its failure column is read where it is. Readings dated behind `latest`
    (seconds) are left out, unless most of a machine's are. Raises DataError naming file, line and column.
    """
    data = plan.data if labelled else replace(plan.data, anomaly=None, label=None)
    check_names(paths, data)
    found = Assembled({}, False)
    if data.anomaly is not None:
        found.marked = data.sensor is not None or any(data.anomaly in reader.columns(path, data) for path in paths)
        if not found.marked:
            found.notes.append(f"no file has the column `{data.anomaly}` (data.anomaly): nothing is known of anomalies")
    if data.label is not None:
        found.labelled = data.sensor is not None or any(data.label in reader.columns(path, data) for path in paths)
        if not found.labelled:
            found.notes.append(f"no file has the column `{data.label}` (data.label): no reading has a label")
    joined = _check_columns(reader, paths, plan, labelled, found.notes)
    for path in paths:
        for record in reader.records(path, data, plan.channels):
            found.machines.setdefault(record.machine, []).append(record)
        found.left.update(reader.remaining(path))
    present = values = 0
    for machine, records in found.machines.items():
        if data.sensor is None:  # else files go through time once a sensor
            _backwards(machine, records, found.notes)
        known = records if latest is None else _dated(machine, records, latest, found.notes)
        merged = merge(known, plan.limits)
        if joined or data.sensor is not None:
            present += sum(value == value for record in merged.records for value in record.values)
            values += len(merged.records) * len(plan.channels)
        if merged.same:
            found.notes.append(f"machine `{machine}`: {_were(merged.same)} repeated and counted once")
        if merged.different:
            again = f"{_were(merged.different)} given a second time with other values"
            found.notes.append(f"machine `{machine}`: {again}; the first in the file counts")
        found.machines[machine] = merged.records
        if data.resample is not None:
            found.machines[machine] = resample(merged.records, plan.period_s, plan.ways, plan.limits)
        if labelled and data.failure == LAST and found.machines[machine]:
            found.machines[machine][-1] = replace(found.machines[machine][-1], failed=True)
    if values and data.resample is None and present <= SPARSE * values:
        found.notes.append(
            "few rows of one sensor share their moment with rows of another, so most values are held ones; "
            'resample = "mean" under [data] makes one reading of each timing.period_s'
        )
    return found


def _check_columns(reader: Reader, paths: Sequence[Path], plan: Plan, labelled: bool, notes: list[str]) -> bool:
    """Do the files have different channels? Raises DataError for a channel or failure column that none has."""
    data = plan.data
    if data.sensor is not None:
        return False
    headers = {path: reader.columns(path, data) for path in paths}
    for path, header in headers.items():
        if not any(header):
            raise DataError(f"`{path}` is empty; line {data.header_line} must name the columns")
    known = sorted({name for header in headers.values() for name in header})
    wanted = {channel: f"signals.{channel}" for channel in plan.channels}
    if labelled and data.failure not in (None, LAST) and not reader.labelled:
        assert data.failure is not None
        wanted = {data.failure: "data.failure", **wanted}
    lacking: dict[str, list[Path]] = {}
    for name, key in wanted.items():
        without = [path for path, header in headers.items() if name not in header]
        if without == list(headers):
            raise DataError(no_column(paths[0], name, key, known))
        if without and name in plan.channels:
            lacking[name] = without
    for name, without in lacking.items():
        if len(without) < len(paths):
            where = f"`{without[0]}`" + (f" and {len(without) - 1} more files" if len(without) > 1 else "")
            notes.append(f"`{name}` is in no column of {where}; joined from the others by machine and time")
    return bool(lacking)


def _backwards(machine: str, records: Sequence[Record], notes: list[str]) -> None:
    back = next((b for a, b in pairwise(records) if a.source == b.source and b.ts < a.ts), None)
    if back is not None:
        place = f"{back.source}, line {back.line}"
        notes.append(f"machine `{machine}`: time runs backwards at {place}; its readings were sorted by time")


def _dated(machine: str, records: list[Record], latest: float, notes: list[str]) -> list[Record]:
    """Without readings from the future, unless it is the clock of the whole record that is ahead."""
    ahead = [record for record in records if record.ts > latest]
    if not ahead:
        return records
    place = f"first {ahead[0].source}, line {ahead[0].line}"
    if 2 * len(ahead) > len(records):
        notes.append(f"machine `{machine}`: {_were(len(ahead))} dated in the future ({place}); taken as they are")
        return records
    notes.append(f"machine `{machine}`: {_were(len(ahead))} dated in the future ({place}); left out")
    return [record for record in records if record.ts <= latest]


def _were(n: int) -> str:
    return f"{n} reading was" if n == 1 else f"{n} readings were"
