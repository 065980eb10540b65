"""Times as people write them: never guessed, never off by an hour in silence."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProjectError
from edge.spec import DataSpec
from edge.times import LATEST, NoTime, moments, spoken, written, zone_of

BERLIN = "Europe/Berlin"


def at(text: object, **data: Any) -> float:
    return moments(DataSpec(path="", **data))(text, None)


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "data", "wanted"),
    [
        ("12.5", {}, 12.5),
        (12, {}, 12.0),
        ("2026-03-01T12:00:00Z", {}, utc(2026, 3, 1, 12)),
        ("2026-03-01 12:00", {}, utc(2026, 3, 1, 12)),
        ("2026-03-01 12:00", {"timezone": BERLIN}, utc(2026, 3, 1, 11)),
        ("2026-07-01 12:00", {"timezone": BERLIN}, utc(2026, 7, 1, 10)),
        ("2026-07-01 12:00", {"timezone": "+01:00"}, utc(2026, 7, 1, 11)),
        ("2026-07-01 12:00", {"timezone": "-03:30"}, utc(2026, 7, 1, 15, 30)),
        ("2026-07-01T12:00:00+05:00", {"timezone": BERLIN}, utc(2026, 7, 1, 7)),
        ("31.12.2025 23:59:58", {"time_format": "%d.%m.%Y %H:%M:%S"}, utc(2025, 12, 31, 23, 59, 58)),
        ("12/31/2025 11:59 PM", {"time_format": "%m/%d/%Y %I:%M %p"}, utc(2025, 12, 31, 23, 59)),
        ("20251231", {"time_format": "%Y%m%d"}, utc(2025, 12, 31)),
        ("20251231", {"time_unit": "s"}, 20251231.0),
        ("1767225598000", {"time_unit": "ms"}, utc(2025, 12, 31, 23, 59, 58)),
        (1767225598_000_000, {"time_unit": "us"}, utc(2025, 12, 31, 23, 59, 58)),
        (1767225598_000_000_000, {"time_unit": "ns"}, utc(2025, 12, 31, 23, 59, 58)),
    ],
)
def test_a_moment_is_what_it_says(text: object, data: dict[str, str], wanted: float) -> None:
    assert at(text, **data) == wanted


@pytest.mark.parametrize(
    ("text", "data", "says"),
    [
        ("soon", {}, "is no time; write seconds or ISO 8601"),
        ("", {}, "is empty"),
        (None, {}, "is empty"),
        (True, {}, "is no time"),
        ("nan", {}, "is no time"),
        ("03/04/2026 12:00", {}, r"data\.time_format = '%d/%m/%Y %H:%M' \(day first\) or '%m/%d/%Y %H:%M'"),
        ("31.12.2025 23:59:58", {}, r"data\.time_format = '%d\.%m\.%Y %H:%M:%S'$"),
        ("20260301", {}, r'a date, or a number\? .*"%Y%m%d", or data\.time_unit = "s"'),
        (20260301, {}, r"a date, or a number"),
        ("20260301120000", {}, r"a date, or a number"),
        ("1767225598000", {}, r'write data\.time_unit = "ms"'),
        ("1767225598000000000", {}, r'write data\.time_unit = "ns"'),
        ("1767225598000", {"time_unit": "s"}, r"beyond the year 2100; correct data\.time_unit"),
        ("2026-03-01", {"time_format": "%d.%m.%Y"}, "not written as data.time_format = '%d.%m.%Y' says"),
        ("2026-03-29 02:30", {"timezone": BERLIN}, r'never was in Europe/Berlin.*timezone = "\+01:00"'),
    ],
)
def test_what_is_no_moment_says_what_to_do(text: object, data: dict[str, str], says: str) -> None:
    with pytest.raises(NoTime, match=says):
        at(text, **data)


@pytest.mark.parametrize("name", ["Europe/Belrin", "+25:00", "", "../etc/passwd", "MEZ"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(ProjectError, match=r"data\.timezone"):
        zone_of(name)


def test_a_system_without_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoneinfo

    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ProjectError, match="apt-get install tzdata"):
        zone_of("Europe/Nowhere")


def test_the_hour_that_comes_twice_runs_on() -> None:
    read = moments(DataSpec(path="", timezone=BERLIN))
    start = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    before: float | None = None
    for minutes in range(0, 480, 7):
        true = start + timedelta(minutes=minutes)
        before = read(f"{true.astimezone(ZoneInfo(BERLIN)):%Y-%m-%d %H:%M}", before)
        assert before == true.timestamp()


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.sampled_from([BERLIN, "America/St_Johns", "UTC"]))
def test_a_local_time_is_that_moment_or_named_as_none(moment: datetime, zone: str) -> None:
    try:
        found = at(moment.isoformat(), timezone=zone)
    except NoTime:
        there = moment.replace(tzinfo=ZoneInfo(zone))
        assert there.utcoffset() != there.replace(fold=1).utcoffset()
        return
    back = datetime.fromtimestamp(found, ZoneInfo(zone)).replace(tzinfo=None)
    assert abs(back - moment) < timedelta(microseconds=5)


@given(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.booleans()))
def test_any_cell_is_a_sane_moment_or_none(cell: object) -> None:
    with suppress(NoTime):
        assert abs(at(cell)) <= max(LATEST, 3e11)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)))
def test_formats_are_found_for_what_is_written_in_them(moment: datetime) -> None:
    for form in ("%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%Y/%m/%d %H:%M", "%Y%m%d%H%M%S"):
        assert form in spoken(moment.strftime(form))


@given(st.datetimes(datetime(1980, 1, 2), datetime(2090, 1, 1)), st.sampled_from([BERLIN, "+05:30", "UTC"]))
def test_a_moment_is_written_so_that_it_can_be_read_again(moment: datetime, zone: str) -> None:
    seconds = moment.replace(microsecond=0, tzinfo=UTC).timestamp()
    assert at(written(seconds, DataSpec(path="", timezone=zone)), timezone=zone) == seconds


def test_times_are_written_as_the_histories_write_them() -> None:
    seconds = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
    assert written(seconds, DataSpec(path="")) == "2026-03-01T12:00:00Z"
    assert written(seconds + 0.25, DataSpec(path="")) == "2026-03-01T12:00:00.250Z"
    assert written(seconds, DataSpec(path="", time_format="%d.%m.%Y %H:%M", timezone=BERLIN)) == "01.03.2026 13:00"
    assert written(seconds, DataSpec(path="", time_unit="ms")) == "1772366400000"
    assert written(187.0, DataSpec(path="")) == "187"
