"""What the project file must say of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.errors import ProjectError

if TYPE_CHECKING:
    from edge.spec import Project

WAYS = ("mean", "median", "last", "min", "max")
"""How the readings of one period become one."""


def need(holds: bool, message: str) -> None:
    """Raises ProjectError with `message` unless it `holds`."""
    if not holds:
        raise ProjectError(message)


def check_data(project: Project) -> None:
    """Raises ProjectError for a key of `[data]` that cannot be, or does not fit the others."""
    data = project.data
    need(data.time_unit in (None, "s", "ms", "us", "ns"), f"`data.time_unit` must be s, ms, us or ns: {data.time_unit}")
    need(data.decimal in (".", ","), f"`data.decimal` must be . or , and not {data.decimal!r}")
    need(data.header_line >= 1, "`data.header_line` must be at least 1")
    need(data.data_line is None or data.data_line > data.header_line, "`data.data_line` must be behind the header")
    need(bool(data.path), "`data.path` names no file")
    asked = {"data": data.resample, **{f"signals.{name}": s.resample for name, s in project.signals.items()}}
    for key, way in asked.items():
        need(way in (None, *WAYS), f"`{key}.resample` must be one of {', '.join(WAYS)}, not {way!r}")
        need(way is None or data.resample is not None, f"`{key}.resample` needs `data.resample`; set that, too")
    for column in (data.sensor, data.value):
        seen = data.sensor is not None and column in project.channels
        need(not seen, f"`{column}` is a column of rows that hold one value each, and cannot be a channel")
