"""Claims about the column of labels on its way from a file to a history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ProjectError
from edge.readers.assemble import Plan, assemble
from edge.readers.csv_text import CsvReader
from edge.spec import Project, parse_project
from train.data.gather import gather
from train.data.simulate import Fleet, simulate, write_histories


def project(path: Path, **data: Any) -> Project:
    table = {"project": {"name": "t"}, "signals": {"a": {}}, "task": {"kind": "classify"}}
    return parse_project({**table, "data": {"path": str(path), "label": "state", **data}})


def written(folder: Path, text: str) -> Path:
    path = folder / "h.csv"
    path.write_text(text)
    return path


def labels(of: Project, path: Path) -> list[str]:
    (records,) = assemble(CsvReader(), [path], Plan.of(of)).machines.values()
    return [record.label for record in records]


def test_texts_and_whole_numbers_are_names_and_nothing_is_not_known(tmp_path: Path) -> None:
    path = written(tmp_path, "machine,ts,a,state\nm,1,1,leak\nm,2,1,3\nm,3,1,\nm,4,1, none \nm,5,1,NaN\nm,6,1,?\n")
    assert labels(project(path, missing=["?"]), path) == ["leak", "3", "", "none", "", ""]


def test_the_label_of_a_moment_may_come_in_a_file_of_its_own(tmp_path: Path) -> None:
    first = written(tmp_path, "machine,ts,a\nm,1,1\nm,2,1\n")
    other = tmp_path / "states.csv"
    other.write_text("machine,ts,state\nm,2,leak\n")
    of = project(tmp_path / "*.csv")
    (records,) = assemble(CsvReader(), [first, other], Plan.of(of)).machines.values()
    assert [(r.values, r.label) for r in records] == [([1.0], ""), ([1.0], "leak")]


def test_one_value_a_row_may_name_the_state_too(tmp_path: Path) -> None:
    path = written(tmp_path, "machine,ts,tag,value\nm,1,a,5\nm,1,state,leak\nm,2,a,6\n")
    assert labels(project(path, sensor="tag", value="value"), path) == ["leak", ""]


def test_a_period_is_called_by_the_last_name_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, "machine,ts,a,state\nm,1,1,x\nm,2,1,y\nm,3,1,\nm,11,1,\n")
    of = parse_project({**_plain(project(path, resample="mean")), "timing": {"period_s": 10.0}})
    assert labels(of, path) == ["y", ""]


def _plain(of: Project) -> dict[str, Any]:
    from edge.spec import flat

    return flat(of)


def test_histories_have_names_only_where_a_file_has_them(tmp_path: Path) -> None:
    path = written(tmp_path, "machine,ts,a,state\nm,1,1,leak\nm,2,2,\n")
    (history,) = gather(project(path)).histories
    assert history.label is not None and history.label.tolist() == ["leak", ""]
    bare = written(tmp_path, "machine,ts,a\nm,1,1\nm,2,2\n")
    found = gather(project(bare))
    assert found.histories[0].label is None and any("has the column `state` (data.label)" in n for n in found.notes)


def test_a_label_is_no_channel(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="`a` is named under \\[data\\] and as a channel"):
        project(tmp_path, label="a")


def test_simulated_faults_are_named_in_the_file_and_move_the_sensors(tmp_path: Path) -> None:
    from train.data.faults import FAULTS, with_faults

    plain = simulate(Fleet(machines=3, seed=2))
    lives = with_faults(plain)
    header = write_histories(tmp_path, lives)[0].read_text().splitlines()[0]
    assert header.endswith(",failed,state")
    for before, after in zip(plain, lives, strict=True):
        assert after.states is not None
        moved = (np.nan_to_num(before.values) != np.nan_to_num(after.values)).any(1)
        assert set(after.states[moved]) <= {*FAULTS, ""} and (after.states[~moved] == "healthy").sum() > 20
