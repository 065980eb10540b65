"""`edge init` gives a project file that trains as it is, whatever the history: its content is not touched here but for
the number of epochs.
"""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import pytest

from edge.spec import load_project
from train.data.faults import with_faults
from train.data.simulate import Fleet, simulate, write_histories
from train.look.draft import draft
from train.look.roles import Wishes
from train.look.text import project_text
from train.pipeline import train_run

DATA = Path(os.environ.get("EDGE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FAST = ["train.epochs=1"]

ENGINES = 10
"""Of FD001: as few as are enough."""


def lie_at_hand(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no {path}; export EDGE_DATA=… to check this claim")
    return path


def trained(paths: list[Path], folder: Path, **wishes: str) -> tuple[str, dict[str, object]]:
    """The task that was chosen, and the report of a short training of the very file that was written."""
    made = draft(paths, Wishes(**wishes))
    out = folder / "first.toml"
    out.write_text(project_text(made, "first", [os.path.relpath(path, folder) for path in paths]), encoding="utf-8")
    return made.kind, train_run(load_project(out, FAST), folder / "run").report


def engines(path: Path, labelled: bool) -> Path:
    """The first engines of FD001 as a person would have them: a CSV with a header."""
    rows = [line.split() for line in lie_at_hand(DATA / "cmapss" / "train_FD001.txt").read_text().splitlines()]
    rows = [row for row in rows if int(row[0]) <= ENGINES]
    ends = [a[0] != b[0] for a, b in zip(rows, [*rows[1:], [""]], strict=True)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        sensors = [*(f"setting_{i}" for i in range(1, 4)), *(f"sensor_{i}" for i in range(1, 22))]
        writer.writerow(["unit", "cycle", *sensors, *(["failed"] if labelled else [])])
        writer.writerows([*row, *([int(end)] if labelled else [])] for row, end in zip(rows, ends, strict=True))
    return path


@pytest.mark.parametrize(("labelled", "task"), [(True, "rul"), (False, "anomaly")])
def test_turbofan_engines_in_a_csv(tmp_path: Path, labelled: bool, task: str) -> None:
    kind, report = trained([engines(tmp_path / "fd001.csv", labelled)], tmp_path)
    assert kind == task and report["verdict"] != ""
    if labelled:
        assert report["machines"] == {"train": 6, "validation": 2, "test": 2}


def test_records_that_all_end_in_a_failure_need_no_column(tmp_path: Path) -> None:
    paths = [engines(tmp_path / f"{labelled}.csv", labelled) for labelled in (True, False)]
    told, said = draft(paths[:1], Wishes()), draft(paths[1:], Wishes(failure="{last}"))
    assert told.facts == said.facts and told.kind == said.kind == "rul"


def test_a_test_bed_with_marked_faults(tmp_path: Path) -> None:
    paths = sorted(lie_at_hand(DATA / "skab" / "valve1").glob("1*.csv"))[:5]
    kind, report = trained(paths, tmp_path)
    assert kind == "anomaly" and "missed" in str(report["models"])


def test_a_single_series(tmp_path: Path) -> None:
    kind, report = trained([lie_at_hand(DATA / "ett" / "ETTh1.csv")], tmp_path)
    assert kind == "anomaly" and report["machines"] == {"train": 1, "validation": 1, "test": 1}


@pytest.mark.parametrize(("machines", "lives", "task"), [(5, 1, "failure"), (1, 12, "rul"), (1, 4, "failure")])
def test_a_few_machines_or_one_that_fails_again_and_again(tmp_path: Path, machines: int, lives: int, task: str) -> None:
    rng = random.Random(0)
    rows = []
    for machine in range(machines):
        ts = 0
        for _ in range(lives):
            steps = rng.randint(40, 60)
            for t in range(steps):
                wear = round((t / steps) ** 2 * 10 + rng.gauss(0, 1), 3)
                rows.append([f"m{machine}", ts, wear, round(rng.gauss(5, 1), 3), int(t == steps - 1)])
                ts += 1
    with (tmp_path / "h.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["machine", "seconds", "vibration", "flow", "failed"], *rows])
    kind, report = trained([tmp_path / "h.csv"], tmp_path)
    assert kind == task and report["verdict"]


def test_states_that_have_names_are_told_apart(tmp_path: Path) -> None:
    write_histories(tmp_path / "history", with_faults(simulate(Fleet(machines=6))))
    kind, report = trained(sorted((tmp_path / "history").glob("*.csv")), tmp_path)
    assert kind == "classify" and "healthy" in str(report["judged_at"]) and "overheating" in str(report["judged_at"])
