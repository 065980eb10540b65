"""Readers: every error names file, line and column, and what to do."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Record, check_names, find
from edge.spec import DataSpec

SPEC = DataSpec(path="", machine="machine", time="ts", failure="failed")


def read(path: Path, spec: DataSpec = SPEC, channels: Sequence[str] = ("a", "b")) -> list[Record]:
    return [
        r for rows in assemble(READERS["csv"](), [path], Plan.plain(spec, channels)).machines.values() for r in rows
    ]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "h.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_common_separator_is_understood(tmp_path: Path, separator: str) -> None:
    rows = ["machine,ts,b,a,failed,extra", "m1,10,2.5,1.5,false,x", "m1,2026-03-01T00:00:00Z,3,2,TRUE,y"]
    records = read(write(tmp_path, "\n".join(rows).replace(",", separator)))
    assert [r.values for r in records] == [[1.5, 2.5], [2.0, 3.0]]
    assert [r.ts for r in records] == [10.0, 1772323200.0]
    assert [r.failed for r in records] == [False, True]


def test_a_byte_order_mark_and_windows_lines_are_understood(tmp_path: Path) -> None:
    records = read(write(tmp_path, b"\xef\xbb\xbfmachine,ts,a,b,failed\r\nm1,1,2,3,0\r\n"))
    assert records[0].machine == "m1" and records[0].values == [2.0, 3.0]


@pytest.mark.parametrize("text", ["", "NaN", "nan", "NA", "n/a", "null", "inf", "-inf"])
def test_no_value_is_missing_not_an_error(tmp_path: Path, text: str) -> None:
    value = read(write(tmp_path, f"machine,ts,a,b,failed\nm1,1,{text},3,0\n"))[0].values[0]
    assert value != value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"h\.csv` is empty"),
        ("machine,ts,a,failed\n", r"no column `b` \(signals\.b\)"),
        ("machine,time,a,b,failed\n", r"no column `ts` \(data\.time\)"),
        ("pump,ts,a,b,failed\n", r"no column `machine` \(data\.machine\).*\{file\}"),
        ("machine,ts,a,b,b,failed\n", r"two columns called `b`"),
        ("machine,ts,a,b,failed\nm1,1,2,3\n", r"line 2: 4 fields where the header has 5"),
        ("machine,ts,a,b,failed\nm1,1,ok,3,0\n", r"line 2: column `a` holds `ok`.*missing = \[\"ok\"\]"),
        ("machine,ts,a,b,failed\nm1,1,2,3,0\nm1,soon,2,3,0\n", r"line 3: column `ts` holds `soon`"),
        ("machine,ts,a,b,failed\nm1,1772323200000,2,3,0\n", r"line 2: column `ts`.*time_unit = .ms"),
        ("machine,ts,a,b,failed\n,1,2,3,0\n", r"line 2: column `machine` is empty"),
        ("machine,ts,a,b,failed\nm1,1,2,3,perhaps\n", r"line 2: column `failed` holds `perhaps`"),
        (b"machine,ts,a,b,failed\nm1,1,2,\xff,0\n", r"not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(write(tmp_path, text))


def test_a_text_declared_missing_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "machine,ts,a,b,failed\nm1,1,ERR,3,0\n")
    value = read(path, replace(SPEC, missing=("err",)))[0].values[0]
    assert value != value


def test_a_number_declared_missing_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "machine,ts,a,b,failed\nm1,1,-999,3,0\n")
    value = read(path, replace(SPEC, missing=("-999",)))[0].values[0]
    assert value != value


def test_each_file_may_be_one_machine(tmp_path: Path) -> None:
    path = write(tmp_path, "ts,a,b,failed\n1,2,3,0\n")
    assert read(path, replace(SPEC, machine="{file}"))[0].machine == "h"


@given(st.binary(max_size=300))
def test_no_file_whatever_raises_anything_but_data_error(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "h.csv"
    for head in (b"", b"machine,ts,a,b,failed\n"):
        path.write_bytes(head + junk)
        with suppress(DataError):
            read(path)


def test_files_of_one_name_are_not_one_machine(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "telemetry.csv" for folder in "ab"]
    with pytest.raises(DataError, match=r"several files are called `telemetry`"):
        check_names(paths, replace(SPEC, machine="{file}"))
    check_names(paths, SPEC)


def test_a_folder_and_an_empty_pattern_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"names the folder .*\*\.csv"):
        find(str(tmp_path))
    with pytest.raises(DataError, match=r"no file matches `data\.path`"):
        find(str(tmp_path / "*.csv"))


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pump[1].csv"
    path.write_text("")
    assert find(str(path)) == [path]


def cmapss(tmp_path: Path, name: str, units: Sequence[int]) -> Path:
    path = tmp_path / name
    rows = [" ".join(map(str, (unit, cycle, *range(24)))) for unit in units for cycle in (1, 2, 3)]
    path.write_text("  \n".join(rows) + "\n")
    return path


def test_cmapss_training_units_fail_at_their_last_row(tmp_path: Path) -> None:
    path = cmapss(tmp_path, "train_FD009.txt", [1, 2])
    records = list(READERS["cmapss"]().records(path, SPEC, ("setting_2", "sensor_1")))
    assert [(r.machine, r.ts, r.failed) for r in records][2:4] == [
        ("train_FD009-1", 3.0, True),
        ("train_FD009-2", 1.0, False),
    ]
    assert records[-1].failed and records[0].values == [1.0, 3.0]


def test_cmapss_test_units_are_cut_and_their_truth_lies_beside(tmp_path: Path) -> None:
    path = cmapss(tmp_path, "test_FD009.txt", [1, 2])
    (tmp_path / "RUL_FD009.txt").write_text("112\n98\n")
    reader = READERS["cmapss"]()
    assert not any(r.failed for r in reader.records(path, SPEC, ("sensor_1",)))
    assert reader.remaining(path) == {"test_FD009-1": 112.0, "test_FD009-2": 98.0}


def test_cmapss_says_which_columns_it_has(tmp_path: Path) -> None:
    path = cmapss(tmp_path, "train_FD009.txt", [1])
    with pytest.raises(DataError, match=r"no column `sensor_99`.*did you mean"):
        list(READERS["cmapss"]().records(path, SPEC, ("sensor_99",)))
