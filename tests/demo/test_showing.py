"""Claims about what the demo concludes and shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edge.demo.picture import draw
from edge.demo.road import MARK, Demo, make_room, walk
from edge.demo.screen import Lines, Terminal, bar, screen, sparkline
from edge.demo.verdict import EARLY_ALARM, IN_TIME, LATE_ALARM, MISSED, judge, summarise
from edge.demo.watch import Heard
from edge.errors import ProjectError
from edge.spec import Project, load_project
from train.data.simulate import PERIOD_S, project_text

CAP = 125.0
LIFE = 200


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The demo's project: hourly readings, alarm below 30 h."""
    (tmp_path / "pumps.toml").write_text(project_text(), encoding="utf-8")
    return load_project(tmp_path / "pumps.toml")


def heard(*alarms: range, machine: str = "pump-001", off: float = 0.0) -> Heard:
    """A machine that lived LIFE hours, alarmed at these readings, and predicted the truth but for `off`."""
    told = Heard(machine)
    for i in range(LIFE):
        told.ts.append(i * PERIOD_S)
        told.rul.append(min(LIFE - 1 - i, CAP) + off)
        told.warm.append(i >= 11)
        told.alarm.append(any(i in span for span in alarms))
    return told


def test_the_lead_time_is_that_of_the_alarm_that_stood_at_the_failure(project: Project) -> None:
    verdict = judge(heard(range(100, 110), range(170, LIFE)), project, CAP)
    assert verdict.lead == LIFE - 1 - 170
    assert (verdict.judgement, verdict.withdrawn) == (IN_TIME, 1)


def test_a_machine_without_a_standing_alarm_was_missed(project: Project) -> None:
    assert judge(heard(), project, CAP).judgement == MISSED
    withdrawn = judge(heard(range(170, 180)), project, CAP)
    assert (withdrawn.judgement, withdrawn.lead, withdrawn.withdrawn) == (MISSED, None, 1)


def test_an_alarm_with_more_than_twice_its_level_left_is_early(project: Project) -> None:
    assert judge(heard(range(LIFE - 61, LIFE)), project, CAP).judgement == IN_TIME
    assert judge(heard(range(LIFE - 62, LIFE)), project, CAP).judgement == EARLY_ALARM


def test_an_alarm_with_less_than_half_its_level_left_is_late(project: Project) -> None:
    assert judge(heard(range(LIFE - 16, LIFE)), project, CAP).judgement == IN_TIME
    assert judge(heard(range(LIFE - 15, LIFE)), project, CAP).judgement == LATE_ALARM
    assert judge(heard(range(LIFE - 1, LIFE)), project, CAP).judgement == LATE_ALARM


def test_the_error_is_against_the_capped_truth_of_warm_readings(project: Project) -> None:
    assert judge(heard(off=3.0), project, CAP).error == pytest.approx(3.0)


def test_the_summary_counts_machines_and_alarms(project: Project) -> None:
    fleet = [heard(range(170, LIFE)), heard(range(100, LIFE)), heard(range(100, 110)), heard()]
    summary = summarise([judge(one, project, CAP) for one in fleet])
    assert (summary.machines, summary.warned, summary.missed) == (4, 2, 2)
    assert (summary.late, summary.early, summary.withdrawn, summary.false) == (0, 1, 1, 2)
    assert (summary.lead_shortest, summary.lead_longest) == (29, 99)


def test_nobody_warned_is_no_error(project: Project) -> None:
    assert summarise([judge(heard(), project, CAP)]).lead_median is None


@pytest.mark.parametrize(
    ("share", "want"), [(0, "    "), (1, "████"), (0.5, "██  "), (0.53, "██▏ "), (7, "████"), (-1, "    ")]
)
def test_a_bar_is_as_long_as_its_share(share: float, want: str) -> None:
    assert bar(share, 4) == want


def test_a_sparkline_holds_the_whole_life_in_its_cells() -> None:
    assert sparkline([0, 50, 100], 100, 8) == "▁▅█"
    assert len(sparkline(list(range(1000)), 1000, 28)) <= 28
    assert sparkline([-5, 500], 100, 8) == "▁█"


def test_the_terminal_shows_life_alarm_and_silence(project: Project) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    view = screen(console, project, CAP, expected=2 * LIFE)
    assert isinstance(view, Terminal)
    silent = heard(machine="pump-002")
    del silent.ts[-20:], silent.rul[-20:], silent.warm[-20:], silent.alarm[-20:]
    view.show([heard(range(170, LIFE)), silent], [], 2 * LIFE - 20)
    view.close()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "ALARM since 29 h" in shown
    assert "silent for 20 h" in shown
    assert "380 of 400 readings answered, 1 alarms" in shown


def test_without_a_terminal_every_alarm_gets_its_line(project: Project) -> None:
    console = Console(file=io.StringIO(), width=80)
    view = screen(console, project, CAP, expected=LIFE)
    assert isinstance(view, Lines)
    one = heard(range(100, 110), range(170, LIFE))
    view.show([one], [one, one], LIFE)
    assert isinstance(console.file, io.StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if "pump-001" in line]
    said = [line.partition("pump-001")[2].split(",")[0].strip() for line in lines]
    assert said == ["ALARM", "alarm withdrawn", "ALARM"]


def test_the_picture_is_drawn_for_any_number_of_machines(project: Project, tmp_path: Path) -> None:
    for count in (1, 5):
        fleet = [heard(range(170, LIFE), machine=f"pump-{i:03d}") for i in range(count - 1)] + [heard(machine="last")]
        path = tmp_path / f"{count}.png"
        draw(path, fleet, [judge(one, project, CAP) for one in fleet], project, CAP, "how")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_folder_with_a_strangers_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ProjectError, match="no demo's"):
        walk(Demo(tmp_path), Console(file=io.StringIO()))
    assert (tmp_path / "thesis.txt").is_file()


def test_an_earlier_demo_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for kept in ("demo-1", "demo-2"):
        make_room(folder)
        (folder / "pumps.toml").write_text(f"mine, later in {kept}", encoding="utf-8")
    make_room(folder)
    assert {p.name for p in folder.iterdir()} == {MARK}
    for kept in ("demo-1", "demo-2"):
        assert (tmp_path / kept / "pumps.toml").read_text(encoding="utf-8") == f"mine, later in {kept}"


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("", encoding="utf-8")
    with pytest.raises(ProjectError, match="is a file"):
        walk(Demo(tmp_path / "demo"), Console(file=io.StringIO()))
