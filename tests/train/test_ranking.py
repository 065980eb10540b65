"""Claims about rankings: the budget, who is Pareto-best, the processes, and fits that are made once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import NotWritten, ProjectError
from edge.spec import Project, load_project, parse_project
from tests.support.pumps import write_pumps
from tests.support.working import labour
from train.cv import cross_validate
from train.data.history import History
from train.models import FAMILIES
from train.pipeline import told
from train.ranking.budget import entrants, size
from train.ranking.compete import Contestant, Plan, compete
from train.ranking.pareto import pareto
from train.ranking.workers import Word, work_through

SHORT = ("train.epochs=2",)
BUDGET = 300
TABLE = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {}, "b": {}}, "task": {"kind": "rul"}}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("most", [1_000, 32_000])
def test_a_family_enters_as_wide_as_the_budget_allows(family: str, most: int) -> None:
    (found,) = entrants(parse_project(TABLE), [family], most, [])
    key = FAMILIES[family].width
    width = found.project.model.options[key]
    assert found.parameters == size(found.project) <= most and not found.why

    def with_width(wider: int) -> int | None:
        try:
            return entrants(parse_project(TABLE), [family], most, [f"model.{key}={wider}"])[0].parameters
        except ProjectError:
            return None

    larger = next(n for wider in range(width + 1, 2 * width + 2) if (n := with_width(wider)) is not None)
    assert larger > most


def test_overrides_hold_for_the_families_that_know_them_and_a_width_takes_the_place_of_the_budget() -> None:
    project = parse_project({**TABLE, "model": {"family": "gru", "hidden": 7, "layers": 3}})
    gru, tcn = entrants(project, ["gru", "tcn", "gru"], BUDGET, ["model.dropout=0.25", "model.hidden=50"])
    assert gru.project.model.options == {"dropout": 0.25, "hidden": 50} and (gru.parameters or 0) > BUDGET
    assert tcn.project.model.options["dropout"] == 0.25 and (tcn.parameters or BUDGET) <= BUDGET
    with pytest.raises(ProjectError, match=r"no family of this ranking knows `model\.hiden`.*`hidden`"):
        entrants(project, ["gru"], BUDGET, ["model.hiden=50"])
    with pytest.raises(ProjectError, match=r"unknown model family `gruu`.*`gru`"):
        entrants(project, ["gruu"], BUDGET, [])


def test_a_family_that_cannot_be_so_small_says_why() -> None:
    (found,) = entrants(parse_project(TABLE), ["gru"], 5, [])
    assert found.parameters is None and "as small as 5 parameters; allow more with --parameters" in found.why


POINTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.tuples(*[st.integers(0, 4)] * 3), max_size=8)


@given(POINTS)
def test_who_is_marked_is_beaten_by_nobody_and_who_is_not_by_someone_marked(points: dict[str, tuple[int, ...]]) -> None:
    costs = {name: tuple(map(float, point)) for name, point in points.items()}
    best = pareto(costs)

    def beats(one: str, other: str) -> bool:
        pairs = list(zip(costs[one], costs[other], strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    for name in costs:
        assert (name in best) == (not any(beats(other, name) for other in costs))
        assert name in best or any(beats(other, name) for other in best)


def test_of_two_that_are_alike_both_are_marked() -> None:
    assert pareto({"a": (1.0, 2.0, 3.0), "b": (1.0, 2.0, 3.0), "c": (1.0, 2.0, 4.0)}) == {"a", "b"}


def hear(pieces: list[str], jobs: int = 2, unwanted: str = "") -> list[Word]:
    return list(work_through(labour, "known", pieces, jobs, lambda place: pieces[place] != unwanted))


def test_every_piece_is_done_once_on_one_thread_and_ctrl_c_is_for_the_parent() -> None:
    words = hear(["a", "interrupted", "b", "c"], unwanted="b")
    said = {word.place: word.said for word in words if word.said is not None}
    assert sorted(said) == sorted(word.place for word in words if word.done) == [0, 1, 3]
    assert said[3][:2] == ("known", "c") and said[3][3] == "1"  # type: ignore[index]


def test_a_process_that_dies_takes_no_other_piece_with_it() -> None:
    words = hear(["die", "a", "killed", "b"])
    assert {word.place: word.died for word in words if word.died} == {
        0: "its process ended with status 3; what it said stands above",
        2: "its process was ended by SIGKILL, perhaps for want of memory",
    }
    assert sorted(word.place for word in words if word.done) == [1, 3]


def test_processes_end_with_who_asked_them() -> None:
    with closing(work_through(labour, "", ["hang", "hang"], 2, lambda place: True)) as heard:
        pids = [next(heard).said[2] for _ in range(2)]  # type: ignore[index]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_what_they_were_writing_is_cleared_away(tmp_path: Path) -> None:
    with closing(work_through(labour, "", [tmp_path / "fit.pt"], 1, lambda place: True)) as heard:
        next(heard)  # what labour tells before it begins to write
        assert next(heard).said == "written" and len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


EDGE = [sys.executable, "-P", "-c", "from edge.cli import main; main()"]
ASKED = ("--families", "gru,tcn", "--parameters", str(BUDGET), "--seeds", "1", "--folds", "2", "--jobs", "1")


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pumps")
    write_pumps(folder, "gru", epochs=2)
    return folder


def ranked(project: Project, fits: Path, jobs: int = 2) -> dict[str, Contestant]:
    entered = entrants(project, ["gru", "tcn"], BUDGET, [])
    return {c.name: c for c in compete(project, told(project), entered, Plan(2, 1, jobs, fits))}


@pytest.fixture(scope="module")
def whole(pumps: Path) -> dict[str, Contestant]:
    """A ranking that nothing interrupted."""
    return ranked(load_project(pumps / "pump.toml"), pumps / "whole" / "fits")


def test_forecasts_are_ranked_beside_persistence_and_arima(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fleet = []
    for m in range(6):  # what goes up comes down: no random walk
        x = 50 + 5 * np.sin(np.arange(90) / 4 + m) + 0.3 * rng.normal(size=90)
        fleet.append(History(f"m{m}", 0, np.arange(90.0), x[:, None].astype(np.float32), False, None))
    table = {**TABLE, "signals": {"a": {"unit": "degC"}}, "task": {"kind": "forecast", "horizons": [1, 4]}}
    project = parse_project({**table, "train": {"epochs": 2}})
    entered = entrants(project, ["gru"], BUDGET, [])
    found = {c.name: c for c in compete(project, fleet, entered, Plan(2, 2, 1, tmp_path / "fits"))}
    assert list(found) == ["gru", "ridge", "persistence", "constant", "ARIMA"] and not any(
        c.why for c in found.values()
    )
    for question, figure in found["gru"].figures.items():
        one, other = sorted(found["gru"].by_seed[question])
        assert one < figure.value < other and len(found["ridge"].by_seed[question]) == 1
        error = {name: c.figures[question].value for name, c in found.items()}
        assert error["ARIMA"] < 0.5 * error["persistence"] and error["ridge"] < 0.5 * error["persistence"]
        # In deviations of all readings: who always says the mean is one off, squared.
        assert error["constant"] == pytest.approx(1.0, abs=0.15)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def interrupted(pumps: Path, out: Path, number: signal.Signals) -> tuple[int, str]:
    """`edge rank`, ended by a signal as soon as another fit is finished: exit status and talk. Nobody outlives it."""
    before = len(list((out / "fits").glob("*.pt")))
    process = subprocess.Popen(
        [*EDGE, "rank", str(pumps / "pump.toml"), *ASKED, "-o", str(out)], stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while len(list((out / "fits").glob("*.pt"))) == before:
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.005)
    workers = children(process.pid)
    process.send_signal(number)
    talk = process.communicate(timeout=60)[1]
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < until, "a process outlives its parent"
        time.sleep(0.05)
    assert workers
    return process.returncode, talk


@pytest.mark.timeout(600)
def test_a_ranking_that_was_interrupted_and_killed_goes_on_and_makes_nothing_twice(
    pumps: Path, whole: dict[str, Contestant], capsys: pytest.CaptureFixture[str]
) -> None:
    fits = pumps / "cut" / "fits"
    status, talk = interrupted(pumps, fits.parent, signal.SIGINT)
    assert status == 130 and "of 14 fits are kept in" in talk and "the same command goes on from there" in talk
    assert "Traceback" not in talk
    assert interrupted(pumps, fits.parent, signal.SIGKILL)[0] == -signal.SIGKILL
    kept = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in fits.glob("*.pt")}
    assert 1 < len(kept) < 14
    again = ranked(load_project(pumps / "pump.toml"), fits)
    assert f"{len(kept)} of 14 fits are in" in capsys.readouterr().err
    assert all((path.stat().st_mtime_ns, path.read_bytes()) == was for path, was in kept.items())
    assert len(list(fits.glob("*.pt"))) == 14
    assert again.keys() == whole.keys()
    for name, contestant in again.items():
        found, right = ({q: f.plain() for q, f in c.figures.items()} for c in (contestant, whole[name]))
        assert found == right


def test_the_first_seed_is_what_cross_validation_says(pumps: Path, whole: dict[str, Contestant]) -> None:
    entrant = whole["gru"].entrant
    assert entrant is not None
    report = cross_validate(entrant.project, 2)
    for question, figure in whole["gru"].figures.items():
        found = report["questions"][question]
        assert found["models"]["gru"] == figure.plain()
        assert found["models"]["ridge"] == whole["ridge"].figures[question].plain()


def test_another_project_starts_anew_and_a_family_that_diverges_says_so(
    pumps: Path, whole: dict[str, Contestant], capsys: pytest.CaptureFixture[str]
) -> None:
    fits = pumps / "whole" / "fits"
    before = {path.name: path.read_bytes() for path in fits.glob("*.pt")}
    found = ranked(load_project(pumps / "pump.toml", ["train.learning_rate=1e38"]), fits, jobs=1)
    talk = capsys.readouterr().err
    assert "are of another project, other histories or another version; starting anew" in talk
    assert "diverged" in found["gru"].why and not found["gru"].figures
    assert not found["ridge"].why and found["ridge"].figures.keys() == whole["ridge"].figures.keys()
    changed = {name for name, content in before.items() if (fits / name).read_bytes() != content}
    assert {"ridge-fold0.pt", "ridge-fold1.pt", "gru-fold0-seed0.pt"} <= changed
    assert "gru-fold1-seed0.pt" not in changed, "what cannot be fitted is left alone behind its first failure"
    again = ranked(load_project(pumps / "pump.toml", ["train.learning_rate=1e38"]), fits, jobs=1)
    assert again["gru"].why == found["gru"].why
    assert not list(fits.glob(".*.part"))


def test_a_disk_that_is_full_ends_the_ranking_and_beats_nobody(pumps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fits = pumps / "full" / "fits"
    fits.parent.mkdir()
    fits.write_text("a file where the folder of fits should be: nothing can be written there, as on a full disk")
    with pytest.raises(NotWritten, match=r"cannot be written: .*; free space or choose another place"):
        ranked(load_project(pumps / "pump.toml"), fits, jobs=1)
    assert "Traceback" not in capsys.readouterr().err
