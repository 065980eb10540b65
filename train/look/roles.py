"""Which column is the time, the machine, the failure; and what must not be shown to a model at all."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np

from edge.errors import DataError, ProjectError
from edge.readers.base import FILE, FOLDER, LAST, Cell
from edge.registry import suggest
from edge.spec import DataSpec
from edge.times import LATEST, UNITS, spoken
from train.look.columns import Column, unit_of, words
from train.look.labels import ends, labels, tagged

TIMES = frozenset(["ts", "time", "timestamp", "datetime", "date", "zeit", "zeitstempel", "datum", "when", "clock"])
COUNTERS = frozenset(
    [
        "cycle",
        "cycles",
        "step",
        "t",
        "hour",
        "hours",
        "minute",
        "minutes",
        "day",
        "days",
        "second",
        "seconds",
        "sec",
        "tick",
        "age",
        "index",
    ]
)
_THING = (
    "machine|unit|asset|device|pump|engine|motor|turbine|equipment|serial|vehicle|station|line|robot|anlage|maschine|"
    "tool|truck|wagon|compressor|fan|valve"
)
_CALLED = re.compile(rf"(({_THING})_?)?(id|no|nr|num|number|name|tag)|({_THING})s?|\w+_id", re.I)
SENSORS = frozenset(
    ["sensor", "tag", "tagname", "signal", "variable", "measurement", "channel", "field", "name", "metric", "point"]
)
VALUES = frozenset(["value", "val", "wert", "reading"])

NAIVE = "no offset: taken as UTC"
"""How the table says that the zone is an open question."""

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")

EXCEL = (30_000.0, 60_000.0)
"""Days since 1900 of the years 1982 to 2064."""

SAMPLE = 300
"""Cells of a column that are tried as times."""


@dataclass(frozen=True)
class Wishes:
    """What a person said on the command line, which counts more than what is seen."""

    machine: str | None = None
    time: str | None = None
    failure: str | None = None
    time_format: str | None = None
    timezone: str | None = None


@dataclass
class Roles:
    """A `[data]` that is complete, and why: (what, choice, reason); columns that no model may see, with the reason."""

    data: DataSpec
    reasons: list[tuple[str, str, str]] = field(default_factory=list)
    barred: dict[str, str] = field(default_factory=dict)
    zoned: bool = True
    counted: bool = False
    """Is the time a count of cycles or the like, not a clock?"""


def roles(data: DataSpec, columns: Mapping[str, Column], paths: Sequence[Path], wishes: Wishes) -> Roles:
    """Give every column its role. Raises ProjectError for a wish no column fits, DataError where there is no time."""
    known = {wishes.machine: (FILE, FOLDER), wishes.failure: (LAST,)}
    for wish in (wishes.machine, wishes.time, wishes.failure):
        if wish is not None and wish not in columns and wish not in known.get(wish, ()):
            raise ProjectError(f"no file has a column `{wish}`{suggest(wish, list(columns))}")
    found = Roles(data)
    if data.reader == "cmapss":
        found.reasons.append(("format", "cmapss", "26 numbers a line and no header: NASA C-MAPSS"))
        found.barred |= dict.fromkeys(("unit", "cycle"), "says which engine and cycle")
        found.counted = True
        return found
    _time(found, columns, wishes)
    labels(found, columns, wishes)
    _machine(found, columns, paths, wishes)
    ends(found, columns)
    _tidy(found, columns)
    return found


def _time(found: Roles, columns: Mapping[str, Column], wishes: Wishes) -> None:
    readings = {name: how for name, c in columns.items() if (how := _moments(c, wishes)) is not None}
    named = [wishes.time] if wishes.time else sorted(readings, key=lambda n: (readings[n][0], not words(n) & TIMES))
    if not named:
        clocks = [name for name in columns if words(name) & TIMES]
        seen = f" (`{clocks[0]}` holds `{_first(columns[clocks[0]])}`)" if clocks else ""
        raise DataError(f"no column looks like a time{seen}; name it with --time, and its form with --time-format")
    name = str(named[0])
    if name not in readings:
        raise DataError(
            f"column `{name}` holds `{_first(columns[name])}`, which is no time that edge knows; say how it is written "
            "with --time-format, such as '%d.%m.%Y %H:%M:%S'"
        )
    rank, form, unit, why = readings[name]
    _check_whole(columns, name, rank, form)
    found.counted = rank == 3
    found.zoned = NAIVE not in why
    found.data = replace(found.data, time=name, time_format=form, time_unit=unit)
    if wishes.timezone:
        found.data, found.zoned = replace(found.data, timezone=wishes.timezone), True
    found.reasons.append(("time", name, why))
    for other in readings:
        if other != name and readings[other][0] < 3:
            found.barred[other] = "a second time"


def _check_whole(columns: Mapping[str, Column], name: str, rank: int, form: str | None) -> None:
    """Raises DataError for what is no moment: days beside a column of times of day, or days as Excel counts them."""
    days = rank == 0 and all(len(str(cell)) <= len("2026-01-31") for cell in columns[name].cells if cell is not None)
    days |= rank == 1 and form is not None and "%H" not in form and "%I" not in form
    for other, c in columns.items():
        if days and other != name and c.texts and all(_CLOCK.fullmatch(text) for text in c.texts):
            raise DataError(
                f"column `{name}` holds days and `{other}` the times of day; write both in one column, such as "
                f"`{_first(columns[name])} {_first(c)}`"
            )
    known = columns[name].known
    if rank == 3 and words(name) & TIMES and known.min() > EXCEL[0] and known.max() < EXCEL[1] and (known % 1).any():
        raise DataError(
            f"column `{name}` holds `{_first(columns[name])}`, which looks like a day as Excel counts them; give the "
            "column a date format there, and export again"
        )


Moments = tuple[int, str | None, str | None, str]


def _moments(c: Column, wishes: Wishes) -> Moments | None:
    """(0 moments or ISO text, 1 other text, 2 seconds since 1970, 3 a count; format; unit; why), None for no time."""
    cells = [cell for cell in c.cells if cell is not None and str(cell).strip()][:SAMPLE]
    if not cells or (wishes.time is not None and c.name != wishes.time):
        return None
    if isinstance(cells[0], date):
        zoned = isinstance(cells[0], datetime) and cells[0].tzinfo is not None
        return 0, None, None, "moments with their zone" if zoned else f"moments, {NAIVE}"
    if wishes.time_format and (wishes.time or words(c.name) & TIMES):
        return 1, wishes.time_format, None, "as you said"
    if isinstance(cells[0], str) and not c.numeric:
        return _spoken(c, [str(cell) for cell in cells])
    known = c.known
    if not c.numeric or len(known) < 2:
        return None
    told = bool(words(c.name) & TIMES) or wishes.time is not None
    rising = bool((np.diff(known) >= 0).mean() > 0.9)
    if told and rising:
        unit = next((u for u in UNITS if known.min() / UNITS[u] >= 6e8 and known.max() / UNITS[u] <= LATEST), None)
        if unit is not None:
            return 2, None, unit, f"numbers that are {unit} since 1970"
        compact = _compact(known)
        if compact is not None:
            return 1, compact, None, f"digits that are dates, such as {known[0]:.0f}"
    if rising and (told or words(c.name) & COUNTERS) and (np.diff(known) > 0).mean() > 0.5 and known.max() <= LATEST:
        return 3, None, "s", "a count that rises by row; one step counts as one second"
    return None


def _compact(known: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str | None:
    texts = [f"{number:.0f}" for number in known[:SAMPLE]]
    forms = set(spoken(texts[0]))
    for text in texts:
        forms &= set(spoken(text))
    return min(forms) if forms else None


def _spoken(c: Column, cells: Sequence[str]) -> Moments | None:
    def iso(text: str) -> datetime | None:
        try:
            return datetime.fromisoformat(text.strip())
        except ValueError:
            return None

    moments = [iso(cell) for cell in cells]
    if all(moments):
        zoned = all(moment is not None and moment.tzinfo is not None for moment in moments)
        return 0, None, None, "ISO 8601 with its zone" if zoned else f"ISO 8601, {NAIVE}"
    every = [str(cell) for cell in c.cells if cell is not None and str(cell).strip()]
    forms = spoken(every[0])
    for cell in dict.fromkeys(every):
        forms = [form for form in forms if _is(cell, form)]
        if not forms:
            return None
    if len(forms) > 1:
        ordered = [form for form in forms if _in_order(every, form)]
        if len(ordered) != 1:
            quoted = "' or '".join(forms[:2])
            raise ProjectError(
                f"column `{c.name}` holds dates such as `{every[0]}`: day or month first? Say --time-format '{quoted}'"
            )
        return 1, ordered[0], None, f"`{every[0]}`: only so do rows follow each other in time; {NAIVE}"
    return 1, forms[0], None, f"written like `{every[0]}`, {NAIVE}"


def _is(text: str, form: str) -> bool:
    try:
        datetime.strptime(text.strip(), form)
    except ValueError:
        return False
    return True


def _in_order(cells: Sequence[str], form: str) -> bool:
    times = [datetime.strptime(cell.strip(), form) for cell in cells]
    back = sum(b < a for a, b in itertools.pairwise(times))
    return back * 50 <= len(times)


def _machine(found: Roles, columns: Mapping[str, Column], paths: Sequence[Path], wishes: Wishes) -> None:
    data = found.data
    taken = {data.time, data.failure, data.anomaly, data.label, *found.barred}
    best: tuple[int, str] | None = None
    for name, c in columns.items():
        if name in taken or not c.present:
            continue
        said = words(name)
        texts = not c.numeric
        distinct = len(set(map(str, c.cells)))
        runs = 1 + sum(a != b for a, b in zip(c.cells, c.cells[1:], strict=False))
        whole = texts or bool((c.known == np.round(c.known)).all())
        called = _CALLED.fullmatch(name.strip().replace(" ", "_")) is not None and not _units(c)
        if not whole or distinct > max(1, len(c.cells) // 3) or not (called or (texts and distinct > 1)):
            continue
        score = (
            4 * called + 2 * texts + (2 * runs <= len(c.cells)) + 2 * bool(said & {"machine", "unit", "asset", "id"})
        )
        # A column of sensors' names changes with every row or names what it measures.
        score -= 4 * bool(said & SENSORS)
        if score > 2 and (best is None or score > best[0]):
            best = score, name
    if wishes.machine is not None:
        choice, why = wishes.machine, "as you said"
    elif best is not None:
        choice, why = best[1], f"{len({str(x) for x in columns[best[1]].cells})} names, one for each machine"
    elif len({path.stem for path in paths}) < len(paths):
        choice, why = FOLDER, "no column names it, and files of one name lie in several folders"
    else:
        choice, why = FILE, "no column names it: each file is one machine"
    found.data = replace(data, machine=choice)
    found.reasons.append(("machine", choice, why))


def _units(c: Column) -> bool:
    """Does the column say in which unit something is?"""
    return bool(c.texts) and all(unit_of(f"x_{text}") or re.search("[°%/²³]", text) for text in c.texts)


def _tidy(found: Roles, columns: Mapping[str, Column]) -> None:
    """One value a row? Then a text column names the sensor, and one column of numbers is left."""
    data = found.data
    taken = {data.time, data.failure, data.anomaly, data.label, data.machine, *found.barred}
    texts = [n for n, c in columns.items() if n not in taken and not c.numeric and words(n) & SENSORS]
    numbers = [n for n, c in columns.items() if n not in taken and c.numeric and not c.constant]
    values = [n for n in numbers if words(n) & VALUES] or numbers
    if not texts or len(values) != 1 or len(numbers) > 2:
        return
    sensor = max(texts, key=lambda n: len(columns[n].texts))
    tags = len(columns[sensor].texts)
    if tags * 2 > len(columns[sensor].cells):
        return
    found.data = replace(data, sensor=sensor, value=values[0])
    found.reasons.append(("form", f"{sensor}, {values[0]}", f"one value a row, {tags} sensors"))
    tagged(found, columns[sensor], columns[values[0]])


def _first(c: Column) -> Cell:
    return next((cell for cell in c.cells if cell is not None), None)
