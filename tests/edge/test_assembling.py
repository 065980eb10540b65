"""Histories as plants export them: several files, one value a row, other alphabets, other commas."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError, MissingExtra, ProjectError
from edge.readers import READERS
from edge.readers.assemble import Assembled, Plan, assemble
from edge.readers.base import find
from edge.spec import DataSpec, Signal

DATA = DataSpec(path="", machine="pump", time="ts")
CHANNELS = ("temp", "flow")


def read(folder: Path, files: Mapping[str, str | bytes], data: DataSpec = DATA, **plan: Any) -> Assembled:
    paths = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)
    channels = plan.pop("channels", CHANNELS)
    labelled = plan.pop("labelled", True)
    latest = plan.pop("latest", None)
    return assemble(READERS["csv"](), paths, Plan.plain(data, channels, **plan), labelled, latest)


def rows(found: Assembled, machine: str = "p1") -> list[tuple[float, float | None, float | None]]:
    nothing = [[None if math.isnan(v) else v for v in r.values] for r in found.machines[machine]]
    return [(r.ts, temp, flow) for r, (temp, flow) in zip(found.machines[machine], nothing, strict=True)]


TEMP = "pump,ts,temp\np1,1,20\np1,2,21\np1,4,23\n"
FLOW = "pump,ts,flow,failed\np1,1,7,0\np1,3,8,0\np1,4,9,1\n"


def test_files_with_different_columns_are_joined_by_machine_and_time(tmp_path: Path) -> None:
    found = read(tmp_path, {"temp.csv": TEMP, "flow.csv": FLOW}, replace(DATA, failure="failed"))
    assert rows(found) == [(1, 20, 7), (2, 21, None), (3, None, 8), (4, 23, 9)]
    assert [r.failed for r in found.machines["p1"]] == [False, False, False, True]
    assert any("`temp` is in no column of" in note and "flow.csv" in note for note in found.notes)


def test_a_file_of_failures_alone_marks_the_readings_of_others(tmp_path: Path) -> None:
    both = "pump,ts,temp,flow\np1,1,20,7\np1,2,21,8\n"
    found = read(tmp_path, {"a.csv": both, "log.csv": "pump,ts,failed\np1,2,1\n"}, replace(DATA, failure="failed"))
    assert rows(found) == [(1, 20, 7), (2, 21, 8)] and found.machines["p1"][-1].failed


@given(st.permutations(["temp.csv", "flow.csv", "late.csv"]))
def test_the_order_of_files_means_nothing(tmp_path_factory: pytest.TempPathFactory, order: list[str]) -> None:
    content = {"temp.csv": TEMP, "flow.csv": FLOW, "late.csv": "pump,ts,temp,flow\np1,5,1,2\np1,9.5,1,2\n"}
    for resample in (None, "mean"):
        data = replace(DATA, resample=resample)
        found = read(tmp_path_factory.mktemp("f"), {name: content[name] for name in order}, data, period_s=3.0)
        want = read(tmp_path_factory.mktemp("w"), dict(content), data, period_s=3.0)
        assert rows(found) == rows(want)


def test_loggers_of_different_rates_meet_in_periods(tmp_path: Path) -> None:
    fast = "pump,ts,temp\n" + "".join(f"p1,{t / 10},{t}\n" for t in range(1, 101))
    slow = "pump,ts,flow\np1,4.2,1\np1,9.9,2\n"
    data = replace(DATA, resample="mean")
    found = read(tmp_path, {"f.csv": fast, "s.csv": slow}, data, period_s=5.0, signals={"temp": Signal(resample="max")})
    assert rows(found) == [(5, 50, 1), (10, 100, 2)]


def test_loggers_that_never_meet_are_told_to_resample(tmp_path: Path) -> None:
    apart = {"a.csv": "pump,ts,temp\np1,1,2\np1,2,3\n", "b.csv": "pump,ts,flow\np1,1.5,2\np1,2.5,3\n"}
    assert any('resample = "mean"' in note for note in read(tmp_path, apart).notes)
    together = {"a.csv": "pump,ts,temp\np1,1,2\np1,2,3\n", "b.csv": "pump,ts,flow\np1,1,2\np1,2,3\n"}
    assert not any("resample" in note for note in read(tmp_path / "t", together).notes)


def test_a_channel_in_no_file_is_an_error_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column `flwo` \(signals\.flwo\); did you mean `flow`"):
        read(tmp_path, {"temp.csv": TEMP, "flow.csv": FLOW}, channels=("temp", "flwo"))


def test_each_folder_may_be_one_machine(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"p{i}/{n}.csv": f"ts,{n}\n1,{i}\n" for i in (1, 2) for n in ("temp", "flow")}
    found = read(tmp_path, files, replace(DATA, machine="{folder}"))
    assert rows(found, "p1") == [(1, 1, 1)] and rows(found, "p2") == [(1, 2, 2)]


def test_every_record_may_end_in_a_failure(tmp_path: Path) -> None:
    text = "pump,ts,temp,flow\np1,1,1,1\np1,2,1,1\np2,1,1,1\n"
    found = read(tmp_path, {"h.csv": text}, replace(DATA, failure="{last}"))
    assert [[r.failed for r in records] for records in found.machines.values()] == [[False, True], [True]]


TIDY = replace(DATA, sensor="tag", value="val")


def test_one_value_a_row_becomes_one_reading_a_moment(tmp_path: Path) -> None:
    text = "pump,ts,tag,val\np1,1,temp,20\np1,1,flow,7\np1,1,other,x\np1,2,flow,8\np2,1,temp,5\np1,2,temp,Bad\n"
    found = read(tmp_path, {"h.csv": text}, replace(TIDY, missing=("bad",)))
    assert rows(found) == [(1, 20, 7), (2, None, 8)] and rows(found, "p2") == [(1, 5, None)] and not found.notes


def test_rows_of_one_value_may_come_sensor_by_sensor_and_in_several_files(tmp_path: Path) -> None:
    a = "pump,ts,tag,val\np1,1,temp,20\np1,2,temp,21\np1,1,flow,7\n"
    found = read(tmp_path, {"a.csv": a, "b.csv": "pump,ts,tag,val\np1,2,flow,8\np1,2,failed,1\n"}, TIDY)
    assert rows(found) == [(1, 20, 7), (2, 21, 8)] and not found.machines["p1"][1].failed
    told = read(
        tmp_path,
        {"b.csv": "pump,ts,tag,val\np1,2,flow,8\np1,2,failed,1\n"},
        replace(TIDY, failure="failed"),
    )
    assert told.machines["p1"][0].failed


def test_the_hour_that_comes_twice_is_told_apart_for_each_sensor(tmp_path: Path) -> None:
    local = [f"2026-10-25 0{h}:00" for h in (1, 2, 2, 3)]
    text = "pump,ts,tag,val\n" + "".join(f"p1,{t},{s},{i}\n" for i, t in enumerate(local) for s in ("temp", "flow"))
    found = rows(read(tmp_path, {"h.csv": text}, replace(TIDY, timezone="Europe/Berlin")))
    assert [(v, w) for _, v, w in found] == [(i, i) for i in range(4)]
    assert [b[0] - a[0] for a, b in pairwise(found)] == [3600] * 3


def test_values_with_a_text_among_rows_of_one_value_name_the_sensor(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: sensor `temp` holds `hot`, which is no number"):
        read(tmp_path, {"h.csv": "pump,ts,tag,val\np1,1,temp,hot\n"}, TIDY)


GERMAN = "pump;ts;temp;flow\np1;1;20,5;1.234,5\np1;2;-0,25;3e2\n"


def test_decimal_commas_are_read_where_they_are_said_and_named_where_not(tmp_path: Path) -> None:
    found = read(tmp_path, {"h.csv": GERMAN}, replace(DATA, decimal=","))
    assert rows(found) == [(1, 20.5, 1234.5), (2, -0.25, 300.0)]
    with pytest.raises(DataError, match=r'holds `20,5`, a decimal comma; write decimal = ","'):
        read(tmp_path, {"h.csv": GERMAN})
    with pytest.raises(DataError, match=r"holds `20.5`, a decimal dot"):
        read(tmp_path, {"h.csv": GERMAN.replace("20,5", "20.5")}, replace(DATA, decimal=","))
    with pytest.raises(DataError, match="decimal commas need another separator"):
        read(tmp_path, {"h.csv": "pump,ts,temp,flow\np1,1,20,5,7,5\n"})


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_read_where_they_are_said(tmp_path: Path, encoding: str) -> None:
    text = "pump,ts,Öltemp °C\np1,1,20\n".encode(encoding)
    found = read(tmp_path, {"h.csv": text}, replace(DATA, encoding=encoding), channels=("Öltemp °C",))
    assert found.machines["p1"][0].values == [20.0]


def test_what_is_not_utf8_says_which_key_helps_and_utf16_needs_none(tmp_path: Path) -> None:
    text = "pump,ts,Öltemp\np1,1,20\n"
    with pytest.raises(DataError, match=r'not UTF-8.*encoding = "cp1252"'):
        read(tmp_path, {"h.csv": text.encode("latin-1")}, channels=("Öltemp",))
    assert read(tmp_path, {"h.csv": text.encode("utf-16")}, channels=("Öltemp",)).machines["p1"][0].values == [20.0]
    with pytest.raises(ProjectError, match=r"data\.encoding"):
        read(tmp_path, {"h.csv": text}, replace(DATA, encoding="klingon"))


def test_lines_above_the_header_and_units_below_are_skipped(tmp_path: Path) -> None:
    text = "Plant 7;;;\nexported 2026\npump;ts;temp;flow\n-;s;degC;l/s\np1;1;20;7\np1;2;x;7\n"
    data = replace(DATA, header_line=3, data_line=5)
    with pytest.raises(DataError, match=r"line 6: column `temp` holds `x`"):
        read(tmp_path, {"h.csv": text}, data)
    assert rows(read(tmp_path, {"h.csv": text.replace("x", "21")}, data)) == [(1, 20, 7), (2, 21, 7)]


def test_packed_files_are_read_as_they_are(tmp_path: Path) -> None:
    packed = gzip.compress(b"ts,temp,flow\n1,20,7\n", mtime=0)
    found = read(tmp_path, {"p1.csv.gz": packed}, replace(DATA, machine="{file}"))
    assert rows(found, "p1.csv"[:2]) == [(1, 20, 7)]
    with pytest.raises(DataError, match="damaged gzip"):
        read(tmp_path, {"p1.csv.gz": packed[:-9]}, replace(DATA, machine="{file}"))


def test_readings_from_the_future_are_left_out_and_named(tmp_path: Path) -> None:
    text = "pump,ts,temp,flow\np1,1,20,7\np1,2,21,8\np1,2090-01-01,22,9\np2,2090-01-01,1,1\np2,2090-01-02,1,1\n"
    found = read(tmp_path, {"h.csv": text}, latest=1e9)
    assert rows(found) == [(1, 20, 7), (2, 21, 8)] and len(found.machines["p2"]) == 2
    said = [note for note in found.notes if "`p1`: 1 reading was dated in the future" in note]
    assert said and "line 4" in said[0] and "left out" in said[0]
    assert any("`p2`" in n and "taken as they are" in n for n in found.notes)


def test_a_history_to_predict_needs_no_failure_column(tmp_path: Path) -> None:
    data = replace(DATA, failure="failed", anomaly="fault")
    assert rows(read(tmp_path, {"h.csv": "pump,ts,temp,flow\np1,1,2,3\n"}, data, labelled=False)) == [(1, 2, 3)]
    with pytest.raises(DataError, match=r"`failed` \(data\.failure\)"):
        read(tmp_path, {"h.csv": "pump,ts,temp,flow\np1,1,2,3\n"}, data)


def test_several_patterns_name_each_file_once(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("")
    found = find([str(tmp_path / "b.csv"), str(tmp_path / "*.csv")])
    assert [path.name for path in found] == ["b.csv", "a.csv"]


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "edge.readers.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"reader `parquet` needs `pyarrow`.*edgestep\[parquet\]"):
        READERS["parquet"]
