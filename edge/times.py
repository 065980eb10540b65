"""Time stamps: seconds since 1970 (or since anything, in a history that counts cycles), or text that names a moment."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from edge.errors import ProjectError
from edge.registry import suggest
from edge.spec import DataSpec

LATEST = 4_102_444_800.0
"""2100-01-01. A later time is milliseconds, or a broken clock."""

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Units a time in numbers may have, and how many of them make a second."""

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Digits of a date written without separators, and how it is then written."""


def seconds(value: object) -> float | None:
    """`value` as seconds, or None where it is no time. A text without a zone is taken as UTC."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            try:
                moment = datetime.fromisoformat(value.strip())
            except ValueError:
                return None
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    else:
        return None
    return number if math.isfinite(number) else None


class NoTime(ValueError):
    """A cell is no time; the message says so as the end of a sentence, with what to do."""


Moment = Callable[[object, float | None], float]
"""(cell, the time before it of the same machine) -> seconds. Raises NoTime."""


def moments(data: DataSpec) -> Moment:
    """How the times of these histories are read: by `time_format`, `time_unit` and `timezone`.

    A local hour that comes twice, when clocks go back, is the first one until the machine's time has reached it.
    Raises ProjectError for a zone nobody knows.
    """
    zone = zone_of(data.timezone)
    steady = isinstance(zone, timezone)
    unit, form = UNITS[data.time_unit or "s"], data.time_format
    guarded = data.time_unit is None

    def moment(cell: object, before: float | None) -> float:
        if isinstance(cell, str) and form is not None:
            try:
                return local(datetime.strptime(cell.strip(), form), before)
            except ValueError as error:
                if isinstance(error, NoTime):
                    raise
                raise NoTime(f"holds `{cell}`, which is not written as data.time_format = {form!r} says") from None
        if isinstance(cell, str):
            try:
                number = float(cell)
            except ValueError:
                return local(_iso(cell), before)
            if guarded:
                _guard(cell.strip())
        elif isinstance(cell, int | float) and not isinstance(cell, bool):
            number = float(cell)
            if guarded and number.is_integer():
                _guard(str(int(number)))
        elif isinstance(cell, datetime):
            return local(cell, before)
        elif isinstance(cell, date):
            return local(datetime(cell.year, cell.month, cell.day), before)
        else:
            raise NoTime("is empty" if cell is None else f"holds `{cell}`, which is no time")
        if not math.isfinite(number):
            raise NoTime(f"holds `{cell}`, which is no time")
        return _sane(number / unit, cell, guarded)

    def local(moment: datetime, before: float | None) -> float:
        if moment.tzinfo is not None:
            return moment.timestamp()
        if steady:
            return moment.replace(tzinfo=zone).timestamp()
        first = moment.replace(tzinfo=zone, fold=0).timestamp()
        second = moment.replace(tzinfo=zone, fold=1).timestamp()
        if first > second:  # PEP 495: clocks went forward over this moment
            raise NoTime(
                f"holds `{moment}`, which never was in {data.timezone}: clocks went forward over it; a logger that "
                f'keeps winter time all year is described by its offset, such as timezone = "{_winter(moment, zone)}"'
            )
        return second if before is not None and first <= before else first

    return moment


YOUNGEST = 315_532_800.0
"""1980-01-01. An earlier time counts something, such as cycles, and is no date."""


def written(ts: float, data: DataSpec) -> str:
    """`ts` seconds as these histories write a time: by `time_format` or `time_unit`, else as a moment in `timezone`; a
    number where it is too small to be a date.
    """
    if data.time_unit is not None or (data.time_format is None and abs(ts) < YOUNGEST):
        return f"{ts * UNITS[data.time_unit or 's']:.15g}"
    moment = datetime.fromtimestamp(ts, zone_of(data.timezone))
    if data.time_format is not None:
        return moment.strftime(data.time_format)
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def zone_of(name: str) -> tzinfo:
    """The zone called `name`: `UTC`, an offset such as `+01:00`, or a name of the IANA data base, which the standard
    library takes from the system, or from the package tzdata. Raises ProjectError.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        east = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if east < timedelta(days=1):
            return timezone(east if offset[1] == "+" else -east)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = sorted(available_timezones())
        if not known:
            raise ProjectError(
                f"`data.timezone` is {name}, but this system has no time zones; install them: apt-get install tzdata, "
                "or pip install tzdata"
            ) from error
        near = suggest(name, known).partition(" known:")[0].rstrip(";")
        raise ProjectError(
            f"`data.timezone`: nobody knows the zone `{name}`{near}; write a name such as Europe/Berlin, or an offset "
            "such as +01:00"
        ) from error


def spoken(text: str) -> list[str]:
    """Formats in which `text`, which is not ISO 8601, names a moment; several where day and month may be exchanged."""
    return [form for form in _forms() if _fits(text.strip(), form)]


def _forms() -> list[str]:
    days = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y", "%b %d %Y"]
    days += ["%d.%m.%y", "%d-%b-%y", "%m/%d/%y", "%d/%m/%y"]
    hours = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S,%f")
    joins = (" ", "T", ", ")
    compact = [*_COMPACT.values(), "%Y%m%dT%H%M%S"]
    zoned = [f"{day} %H:%M:%S %z" for day in days]
    return [*(f"{day}{join}{hour}" for day in days for join in joins for hour in hours), *days, *zoned, *compact]


def _fits(text: str, form: str) -> bool:
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        return False
    return 1970 <= moment.year < 2100


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    forms = spoken(text)
    if forms:
        means = " (day first) or ".join(repr(form) for form in forms[:2]) if len(forms) > 1 else repr(forms[0])
        raise NoTime(f"holds `{text}`; say how it is written: data.time_format = {means}")
    if not text.strip():
        raise NoTime("is empty")
    raise NoTime(
        f"holds `{text}`, which is no time; write seconds or ISO 8601, such as 2026-03-01T12:00:00Z, or say with "
        "data.time_format how it is written"
    )


def _guard(digits: str) -> None:
    """A date without separators looks like a number of seconds; which of the two it is, is not guessed."""
    form = _COMPACT.get(len(digits))
    if form is not None and digits.isdecimal() and _fits(digits, form):
        raise NoTime(
            f'holds `{digits}`: a date, or a number? Write data.time_format = "{form}", or data.time_unit = "s"'
        )


def _sane(number: float, cell: object, guarded: bool) -> float:
    if abs(number) <= LATEST:
        return number
    unit = next((u for u in ("ms", "us", "ns") if abs(number) / UNITS[u] <= LATEST), "s") if guarded else ""
    way = f'if these are {unit} since 1970, write data.time_unit = "{unit}"' if unit else "correct data.time_unit"
    raise NoTime(f"holds `{cell}`, which is {number:.0f} seconds, beyond the year 2100; {way}")


def _winter(moment: datetime, zone: tzinfo) -> str:
    offset = moment.replace(tzinfo=zone, fold=0).strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"
