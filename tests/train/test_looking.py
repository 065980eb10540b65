"""`edge init`: what it finds, what it leaves out and why, and what it asks for instead of guessing."""

from __future__ import annotations

import csv
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.errors import DataError, ProjectError
from edge.spec import Project, load_project
from train.data.gather import gather
from train.look.draft import draft
from train.look.made import Draft
from train.look.roles import Wishes
from train.look.text import cap_of, project_text

START = datetime(2025, 12, 20, tzinfo=UTC)


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def life(rng: random.Random, steps: int) -> Iterator[tuple[int, float, float]]:
    """Step, a temperature that wears, a flow that does not."""
    for t in range(steps):
        yield t, round(60 + 20 * (t / steps) ** 3 + rng.gauss(0, 1), 3), round(5 + rng.gauss(0, 0.3), 3)


def fleet(path: Path, machines: int, failed: bool = True, **extra: Callable[[int], object]) -> Path:
    """Machines that live 40 … 60 readings, one a minute, with further columns by step."""
    rows: list[list[object]] = []
    for m in range(machines):
        rng = random.Random(m)
        steps = rng.randint(40, 60)
        for t, temp, flow in life(rng, steps):
            when = START + timedelta(minutes=t)
            end = [int(t == steps - 1)] if failed else []
            rows.append([f"pump-{m}", when.isoformat(), temp, flow, *(make(t) for make in extra.values()), *end])
    return table(path, ["pump", "ts", "temp_degC", "flow", *extra, *(["failed"] if failed else [])], rows)


def looked(path: Path, *more: Path, **wishes: Any) -> tuple[Draft, Project]:
    """The draft, and the project as it comes back from its own text."""
    made = draft([path, *more], Wishes(**wishes))
    out = path.parent / "made.toml"
    out.write_text(project_text(made, "made", [file.name for file in (path, *more)]), encoding="utf-8")
    return made, load_project(out)


def test_a_fleet_that_failed_becomes_a_project_for_remaining_life(tmp_path: Path) -> None:
    made, project = looked(fleet(tmp_path / "h.csv", 12))
    assert (project.data.machine, project.data.time, project.data.failure) == ("pump", "ts", "failed")
    assert project.task.kind == "rul" and project.task.options["cap"] == cap_of(made.life)
    assert list(project.signals) == ["temp_degC", "flow"] and project.signals["temp_degC"].unit == "degC"
    assert project.timing.period_s == 60 and project.alarm.raise_below is not None
    assert made.facts["failures"] == 12 and len(gather(project).histories) == 12


@pytest.mark.parametrize(("failed", "task"), [(12, "rul"), (4, "failure"), (0, "anomaly")])
def test_the_task_is_what_the_failures_are_enough_for(tmp_path: Path, failed: int, task: str) -> None:
    assert draft([fleet(tmp_path / "h.csv", max(failed, 5), failed > 0)], Wishes()).kind == task


def test_one_machine_is_judged_by_its_last_readings(tmp_path: Path) -> None:
    assert draft([fleet(tmp_path / "h.csv", 1, False)], Wishes()).split == "time"
    assert draft([fleet(tmp_path / "g.csv", 6, False)], Wishes()).split == "machine"


def test_what_would_leak_or_teaches_nothing_is_left_out_with_its_reason(tmp_path: Path) -> None:
    path = fleet(
        tmp_path / "h.csv",
        12,
        hours=lambda t: t * 1.5 + 100,
        left=lambda t: 900 - t,
        site=lambda t: "A7",
        limit=lambda t: 80,
        rul=lambda t: 60 - t,
        note=lambda t: f"ok {t}",
        state=lambda t: t % 3,
    )
    made, project = looked(path)
    why = made.left_out
    assert "only ever rises" in why["hours"] and "only ever falls" in why["left"] and "constant" in why["limit"]
    assert "label" in why["rul"] and "text" in why["note"] and "text" in why["site"]
    assert list(project.signals) == ["temp_degC", "flow", "state"]


def test_a_column_twice_is_taken_once(tmp_path: Path) -> None:
    rows = [["m", t, round(math.sin(t), 3), round(math.sin(t), 3)] for t in range(100)]
    made, _ = looked(table(tmp_path / "h.csv", ["machine", "hour", "a", "b"], rows))
    assert made.left_out == {"b": "the same as a"}


def test_a_european_export_is_read_as_it_is(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [
        [f"P{m}", f"{START + timedelta(days=t):%d.%m.%Y %H:%M:%S}", f"{rng.gauss(20, 1):.2f}".replace(".", ",")]
        for m in range(3)
        for t in range(40)
    ]
    rows[7][2] = "Bad"
    rows.insert(0, ["-", "-", "°C"])
    path = table(tmp_path / "h.csv", ["Anlage", "Zeit", "Temp Öl"], rows, ";")
    path.write_bytes(b"Werk 7;;\r\n" + path.read_bytes().decode().encode("cp1252"))
    _, project = looked(path, timezone="Europe/Berlin")
    data = project.data
    assert (data.encoding, data.decimal, data.header_line, data.data_line) == ("cp1252", ",", 2, 4)
    assert (data.machine, data.time, data.time_format) == ("Anlage", "Zeit", "%d.%m.%Y %H:%M:%S")
    assert data.timezone == "Europe/Berlin" and data.missing == ("Bad",)
    assert project.signals["Temp Öl"].unit == "°C"
    assert [len(h) for h in gather(project).histories] == [39, 40, 40]  # a row without a value is no reading


@pytest.mark.parametrize(
    ("form", "found"), [("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"), ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p")]
)
def test_day_and_month_are_told_apart_by_what_is_there(tmp_path: Path, form: str, found: str) -> None:
    rows = [["m", (START + timedelta(hours=6 * t)).strftime(form), t % 7] for t in range(60)]
    assert looked(table(tmp_path / "h.csv", ["machine", "time", "a"], rows))[1].data.time_format == found


def test_day_or_month_first_is_asked_and_never_guessed(tmp_path: Path) -> None:
    rows = [["m", f"05/05/2026 {t // 60:02}:{t % 60:02}", t % 7] for t in range(60)]
    path = table(tmp_path / "h.csv", ["machine", "time", "a"], rows)
    with pytest.raises(ProjectError, match="day or month first"):
        draft([path], Wishes())
    assert looked(path, time_format="%d/%m/%Y %H:%M")[1].data.time_format == "%d/%m/%Y %H:%M"


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_numbers_since_1970_have_their_unit(tmp_path: Path, unit: str, factor: int) -> None:
    rows = [["m", int(START.timestamp() + t) * factor, t % 7] for t in range(60)]
    _, project = looked(table(tmp_path / "h.csv", ["machine", "timestamp", "a"], rows))
    assert project.data.time_unit == unit and project.timing.period_s == 1
    assert gather(project).histories[0].ts[0] == START.timestamp()


def test_one_value_a_row_is_recognised(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [
        [(START + timedelta(minutes=t)).isoformat(), f"pump{m}", tag, round(rng.gauss(5, 1), 3), unit]
        for m in range(3)
        for t in range(60)
        for tag, unit in (("temp", "degC"), ("flow", "l/s"))
    ]
    made, project = looked(table(tmp_path / "h.csv", ["time", "asset", "tag", "value", "unit"], rows))
    assert (project.data.sensor, project.data.value, project.data.machine) == ("tag", "value", "asset")
    assert list(project.signals) == ["temp", "flow"] and made.facts["readings"] == 180
    assert gather(project).histories[0].mask.all()


def test_loggers_with_rates_of_their_own_are_resampled(tmp_path: Path) -> None:
    rng = random.Random(2)
    fast = [[f"m{m}", t / 10, round(rng.gauss(0, 1), 3)] for m in range(3) for t in range(900)]
    slow = [[f"m{m}", t + 0.5, round(rng.gauss(9, 1), 3)] for m in range(3) for t in range(0, 90, 10)]
    one = table(tmp_path / "fast.csv", ["machine", "seconds", "vib"], fast)
    two = table(tmp_path / "slow.csv", ["machine", "seconds", "temp"], slow)
    _, project = looked(one, two)
    assert project.data.resample == "mean" and 5 <= project.timing.period_s <= 30
    assert list(project.signals) == ["vib", "temp"]
    assert gather(project).histories[0].mask.mean() > 0.9 and isinstance(project.data.path, tuple)


def test_parquet_is_looked_at_the_same(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(3)
    pq.write_table(
        pa.table(
            {
                "machine": pa.array([m for m in range(4) for _ in range(50)]),
                "when": pa.array([START + timedelta(seconds=t) for _ in range(4) for t in range(50)]),
                "a": [rng.gauss(0, 1) for _ in range(200)],
                "on": [rng.random() < 0.5 for _ in range(200)],
            }
        ),
        tmp_path / "h.parquet",
    )
    made, project = looked(tmp_path / "h.parquet")
    assert project.data.reader == "parquet" and list(project.signals) == ["a", "on"] and made.zoned
    assert [h.machine for h in gather(project).histories] == ["0", "1", "2", "3"]


def test_files_in_folders_are_machines_by_folder(tmp_path: Path) -> None:
    rows = [[t, round(math.sin(t), 3)] for t in range(60)]
    paths = [table(tmp_path / name / "log.csv", ["seconds", "a"], rows) for name in ("p1", "p2")]
    assert draft(paths, Wishes()).data.machine == "{folder}"


def test_a_number_that_means_none_is_found(tmp_path: Path) -> None:
    rows = [["m", t, -999 if t % 20 == 7 else round(20 + math.sin(t), 3)] for t in range(200)]
    made, project = looked(table(tmp_path / "h.csv", ["machine", "seconds", "a"], rows))
    assert project.data.missing == ("-999",) and made.channels[0].low > 0
    assert len(gather(project).histories[0]) == 190


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("1,2,3\n4,5,6\n7,8,9\n", "numbers where names belong"),
        ("just text\n", "no table with named columns"),
        ("machine,a,b\nm,1.5,2\nm,0.5,1\n", "no column looks like a time"),
        ("machine,time,a\nm,soon,2\nm,later,1\n", "no column looks like a time.*`time` holds `soon`.*--time-format"),
        ("machine,time,note\nm,2026-01-01,x\nm,2026-01-02,y\n", "no column of numbers"),
        ("machine,time,a\nm,2026-01-01,1\nm,2026-01-02,1\n", "no column is left that a model could learn from"),
    ],
)
def test_what_cannot_be_looked_at_says_why(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        draft([path], Wishes())


def test_a_wish_that_no_column_meets_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no file has a column `pmup`; did you mean `pump`"):
        draft([fleet(tmp_path / "h.csv", 2)], Wishes(machine="pmup"))


def edge(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["edge", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_verb_writes_explains_and_never_replaces_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fleet(tmp_path / "history" / "north.csv", 12)
    assert edge(monkeypatch, "init", "--from", "history/north.csv") == 0
    told = capsys.readouterr()
    assert told.out == "north.toml\n" and "temp_degC" not in told.err and "12 lives ended in a failure" in told.err
    assert load_project(Path("north.toml")).data.path == "history/north.csv"
    assert edge(monkeypatch, "init", "--from", "history/north.csv") == 2
    assert "--force" in capsys.readouterr().err
    assert edge(monkeypatch, "init", "--from", "history/north.csv", "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["channels"] == ["temp_degC", "flow"]


def test_files_that_a_shell_listed_become_their_glob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        table(tmp_path / "h" / f"{name}.csv", ["seconds", "v"], [[t, round(math.sin(t), 3)] for t in range(60)])
    assert edge(monkeypatch, "init", "--from", "h/a.csv", "h/b.csv", "h/c.csv", "-o", "sub/x.toml") == 0
    assert load_project(Path("sub/x.toml")).data.path == "sub/../h/*.csv"
    assert edge(monkeypatch, "init") == 2 and edge(monkeypatch, "init", "--from", "none.csv") == 3
    capsys.readouterr()


GERMAN = {"Ausfall": ("ja", "nein"), "Störung": ("1", "0"), "Ende": ("wahr", "falsch"), "event": ("1", "0")}


@pytest.mark.parametrize("name", GERMAN)
def test_a_column_that_marks_the_ends_of_lives_is_the_failure_and_no_channel(tmp_path: Path, name: str) -> None:
    rng, (true, false) = random.Random(3), GERMAN[name]
    rows = [
        [f"p{m}", START + timedelta(hours=t), temp, flow, true if t == 49 else false]
        for m in range(12)
        for t, temp, flow in life(rng, 50)
    ]
    made, project = looked(table(tmp_path / "h.csv", ["machine", "ts", "temp", "flow", name], rows))
    assert project.data.failure == name and made.facts["failures"] == 12 and made.kind == "rul"
    assert list(project.signals) == ["temp", "flow"]


def test_a_label_among_the_sensors_of_one_value_a_row_is_no_channel(tmp_path: Path) -> None:
    rng = random.Random(4)
    rows = [
        [START + timedelta(hours=t), f"pump{m}", tag, value]
        for m in range(12)
        for t, temp, _ in life(rng, 50)
        for tag, value in (("temp", temp), ("failed", int(t == 49)), ("rul", 49 - t))
    ]
    made, project = looked(table(tmp_path / "h.csv", ["time", "asset", "tag", "value"], rows))
    assert project.data.failure == "failed" and list(project.signals) == ["temp"]
    assert made.facts["failures"] == 12 and "label" in made.left_out["rul"]


def test_a_failure_in_unknown_words_is_asked_for(tmp_path: Path) -> None:
    rows = [["p1", t, t % 7, "OK" if t < 59 else "FAILED"] for t in range(60)]
    made, _ = looked(table(tmp_path / "h.csv", ["machine", "hour", "a", "failed"], rows))
    assert "It holds `OK`: write true and false" in made.left_out["failed"]


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d"])
def test_days_beside_times_of_day_are_no_time(tmp_path: Path, form: str) -> None:
    moments = [START + timedelta(hours=t) for t in range(60)]
    rows = [["m", f"{t:{form}}", f"{t:%H:%M:%S}", t.hour % 7] for t in moments]
    with pytest.raises(DataError, match="`Datum` holds days and `Uhrzeit` the times of day"):
        draft([table(tmp_path / "h.csv", ["machine", "Datum", "Uhrzeit", "a"], rows)], Wishes())


def test_days_as_excel_counts_them_are_no_seconds(tmp_path: Path) -> None:
    rows = [["m", f"{46022 + t / 24:.4f}", t % 7] for t in range(60)]
    with pytest.raises(DataError, match="Excel"):
        draft([table(tmp_path / "h.csv", ["machine", "time", "a"], rows)], Wishes())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("machine,ts,vib\nA,1,2\nA,2\nA,3,4,5,6\n", "line 1 names 3 columns; most lines below"),
        ('machine,ts,"vib\nmm/s"\nA,1,2\nA,2,3\n', "line 1 has a name that goes on in the next line"),
    ],
)
def test_a_header_that_fits_no_line_is_what_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(DataError, match=why):
        draft([tmp_path / "h.csv"], Wishes())


def test_a_form_of_failures_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no file has a column `\{first\}`"):
        draft([fleet(tmp_path / "h.csv", 3)], Wishes(failure="{first}"))


@pytest.mark.parametrize("name", ["failed", "anomaly"])
def test_a_label_that_is_always_true_marks_nothing(tmp_path: Path, name: str) -> None:
    rows = [[f"m{m}", t, math.sin(t + m), 1] for m in range(4) for t in range(60)]
    made, project = looked(table(tmp_path / "h.csv", ["machine", "hour", "a", name], rows))
    assert (project.data.failure, project.data.anomaly) == (None, None) and made.kind == "anomaly"
    assert "marks nothing" in made.left_out[name]
