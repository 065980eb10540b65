"""Claims about histories as people have them: each oddity costs one clear line, never a life of another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from edge.spec import Project, parse_project
from train.data.gather import Gathered, check_apart, gather, gather_test

HEADER = "pump,ts,failed,temp,flow"


def project(pattern: Path | str, **tables: Any) -> Project:
    table: dict[str, Any] = {
        "project": {"name": "pump"},
        "data": {"path": str(pattern), "machine": "pump", "failure": "failed"},
        "signals": {"temp": {"min": -20, "max": 150}, "flow": {}},
        "task": {"kind": "rul"},
    }
    for name, values in tables.items():
        table[name] = {**table.get(name, {}), **values}
    return parse_project(table)


def gathered(folder: Path, rows: list[str], **tables: Any) -> Gathered:
    file = folder / "history.csv"
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    return gather(project(file, **tables))


def test_lives_end_at_failures(tmp_path: Path) -> None:
    rows = ["p1,0,0,20,1", "p1,1,1,21,2", "p1,2,0,22,3", "p1,3,0,23,4", "p2,0,0,24,5", "p2,1,0,25,6"]
    found = gathered(tmp_path, rows).histories
    assert [(h.machine, h.life, len(h), h.failed, h.left) for h in found] == [
        ("p1", 0, 2, True, 0.0),
        ("p1", 1, 2, False, None),
        ("p2", 0, 2, False, None),
    ]


def test_a_machine_may_be_spread_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\np1,2,0,22,3\np1,3,1,23,4\n")
    (tmp_path / "b.csv").write_text(f"{HEADER}\np1,0,0,20,1\np1,1,0,21,2\n")
    found = gather(project(tmp_path / "*.csv"))
    assert [h.ts.tolist() for h in found.histories] == [[0, 1, 2, 3]] and found.histories[0].failed
    assert found.notes == []


def test_disorder_is_sorted_and_told(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,2,0,22,3", "p1,1,0,21,2"])
    assert found.histories[0].x[:, 0].tolist() == [20, 21, 22]
    assert [n for n in found.notes if "p1" in n and "line 4" in n and "history.csv" in n and "sorted" in n]


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,", "p1,0,0,20,", "p1,1,0,21,2"])
    assert len(found.histories[0]) == 2
    assert any("1 reading was repeated" in n for n in found.notes)


def test_of_different_rows_at_one_moment_the_first_counts_and_its_failure_is_not_lost(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,2", "p1,1,1,99,9"])
    assert found.histories[0].x[:, 0].tolist() == [20, 21] and found.histories[0].failed
    assert any("other values" in n and "p1" in n for n in found.notes)


def test_a_machine_with_one_reading_is_left_out_and_named(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p2,0,0,20,1", "p2,1,0,21,2"])
    assert [h.machine for h in found.histories] == ["p2"]
    assert any("`p1` has a single reading" in n and "line 2" in n for n in found.notes)


def test_nothing_but_single_readings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no machine with two readings"):
        gathered(tmp_path, ["p1,0,0,20,1", "p2,0,0,20,1"])


def test_a_lasting_failure_is_one_failure(tmp_path: Path) -> None:
    found = gathered(
        tmp_path, ["p1,0,0,20,1", "p1,1,1,21,2", "p1,2,1,21,2", "p1,3,1,21,2", "p1,4,0,20,1", "p1,5,0,20,2"]
    )
    assert [len(h) for h in found.histories] == [2, 2]
    assert any("2 readings were taken while it had already failed" in n for n in found.notes)


def test_missing_and_implausible_values_hold_the_last_good_one(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,", "p1,1,0,,1", "p1,2,0,nan,2", "p1,3,0,999,3", "p1,4,0,25,NA"])
    np.testing.assert_array_equal(found.histories[0].x, [[20, np.nan], [20, 1], [20, 2], [20, 3], [25, 3]])
    assert any("`temp` 3" in n and "held" in n for n in found.notes)


def test_nothing_is_held_across_machines_or_lives(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,1,21,2", "p1,2,0,,3", "p1,3,0,23,4", "p2,0,0,,1", "p2,1,0,24,2"])
    assert np.isnan(found.histories[1].x[0, 0]) and np.isnan(found.histories[2].x[0, 0])


def test_text_in_a_sensor_column_names_file_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"history\.csv, line 3: column `temp` holds `hot`.*data\.missing"):
        gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,hot,2"])


def test_a_channel_without_any_value_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`temp` has no usable value"):
        gathered(tmp_path, ["p1,0,0,999,1", "p1,1,0,,2"])


def test_a_constant_channel_is_told_once(tmp_path: Path) -> None:
    found = gathered(tmp_path, [f"p{m},{t},0,20,{t}" for m in range(5) for t in range(4)])
    assert [n for n in found.notes if "`temp` never changes" in n] == found.notes


def test_a_missing_column_is_named_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column `tempp`.*did you mean `temp`"):
        gathered(tmp_path, ["p1,0,0,20,1"], signals={"tempp": {}})


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches `data\.path`"):
        gather(project(tmp_path / "*.csv"))


def test_a_folder_instead_of_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names the folder"):
        gather(project(tmp_path))


def test_a_missing_test_file_says_which_key(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches `data\.test`"):
        gather_test(project(tmp_path / "*.csv", data={"test": str(tmp_path / "none.csv")}))


def test_a_test_on_training_machines_is_refused_however_little_they_share(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,2", "p1,2,0,22,3"]).histories
    with pytest.raises(DataError, match=r"`p1` is in data\.path and in data\.test"):
        check_apart(found, gathered(tmp_path, ["p0,0,0,20,1", "p0,1,0,21,2", "p1,7,0,20,1", "p1,8,0,21,2"]).histories)
    check_apart(found, gathered(tmp_path, ["p2,0,0,20,1", "p2,1,0,21,2"]).histories)


def test_a_row_without_a_usable_value_is_no_reading(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,,nan", "p1,1,0,20,1", "p1,2,0,999,inf", "p1,3,0,,2", "p2,0,0,,1", "p2,1,0,5,"])
    assert [h.ts.tolist() for h in found.histories] == [[1, 3], [0, 1]]
    assert [n for n in found.notes if "without a usable value" in n] == [
        "2 readings were without a usable value in any channel in data.path; left out"
    ]
    said = "`temp` 2 (50 %), `flow` 1 (25 %)"
    assert any(said in n for n in found.notes)


def test_a_failure_that_an_empty_row_reports_ends_the_life_before_it(tmp_path: Path) -> None:
    rows = ["p1,0,0,20,1", "p1,1,0,21,2", "p1,2,0,,", "p1,3,1,,", "p1,4,1,22,3", "p1,5,0,20,1", "p1,6,0,20,2"]
    found = gathered(tmp_path, rows).histories
    assert [(h.ts.tolist(), h.failed, h.left) for h in found] == [([0, 1], True, 0.0), ([5, 6], False, None)]


def test_of_two_rows_at_one_moment_the_one_with_values_counts(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,1,,", "p1,1,0,21,2"]).histories
    assert found[0].x[:, 0].tolist() == [20, 21] and found[0].failed


def test_limits_that_no_reading_meets_are_named(tmp_path: Path) -> None:
    signals = {"temp": {"min": 500, "max": 600}, "flow": {"min": 500, "max": 600}}
    with pytest.raises(DataError, match="3 readings were without a value inside min … max"):
        gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,2", "p2,0,0,21,2"], signals=signals)


RESET = {"timing": {"max_gap_s": 5, "on_gap": "reset"}}
GAPS = [f"p1,{ts},{int(ts == 31)},{'' if ts == 10 else 20},{ts}" for ts in (0, 1, 6, 10, 20, 25, 30, 31)]


def test_a_gap_that_resets_a_device_begins_a_new_history_and_what_is_left_runs_on(tmp_path: Path) -> None:
    found = gathered(tmp_path, [*GAPS, "p1,40,0,20,1", "p1,50,0,20,1", "p1,51,0,20,1"], **RESET)
    assert [(h.ts.tolist(), h.life, h.failed, h.left) for h in found.histories] == [
        ([0, 1, 6, 10], 0, False, 4.0),
        ([20, 25, 30, 31], 1, True, 0.0),
        ([50, 51], 2, False, None),
    ]
    assert any("1 reading was alone between two gaps" in n for n in found.notes)


def test_the_moment_of_a_failure_is_known_in_every_stretch_that_led_to_it(tmp_path: Path) -> None:
    found = gathered(
        tmp_path, [*GAPS, "p1,40,0,20,1", "p1,41,0,20,1", "p1,60,1,,", "p1,70,0,20,1", "p1,71,0,20,1"], **RESET
    )
    assert [(h.ts[-1], h.failed, h.end) for h in found.histories] == [
        (10, False, 31.0),
        (31, True, 31.0),
        (41, True, 60.0),
        (71, False, None),
    ]
    assert found.histories[2].behind(10.0).tolist() == [2.0, 1.9]


def test_nothing_is_held_across_a_gap_that_resets(tmp_path: Path) -> None:
    rows = ["p1,0,0,20,1", "p1,1,0,20,2", "p1,10,0,,3", "p1,11,0,,4"]
    assert np.isnan(gathered(tmp_path, rows, **RESET).histories[1].x[:, 0]).all()


def test_a_gap_is_measured_between_usable_readings(tmp_path: Path) -> None:
    rows = ["p1,0,0,20,1", "p1,1,0,20,2", "p1,4,0,,", "p1,8,0,20,3", "p1,9,0,20,3"]
    assert [h.ts.tolist() for h in gathered(tmp_path, rows, **RESET).histories] == [[0, 1], [8, 9]]


def test_a_gap_that_is_held_cuts_nothing(tmp_path: Path) -> None:
    found = gathered(tmp_path, GAPS, timing={"max_gap_s": 5, "on_gap": "hold"})
    assert [len(h) for h in found.histories] == [8]


def test_what_a_float32_cannot_hold_is_held_as_implausible(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,1e39", "p1,2,0,22,-1e300", "p1,3,0,23,4"])
    assert found.histories[0].x[:, 1].tolist() == [1, 1, 1, 4]
    assert any("`flow` 2" in n for n in found.notes)


ROW = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 12),
    st.booleans(),
    st.one_of(st.sampled_from(["", "nan", "1e9", "inf"]), st.floats(-20, 150).map(str)),
    st.floats(-1e6, 1e6).map(str),
)


@given(rows=st.lists(ROW, min_size=1, max_size=60))
def test_whatever_comes_histories_are_in_order_and_plausible(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    try:
        found = gathered(folder, [",".join(str(v).lower() for v in row) for row in rows]).histories
    except DataError:
        return
    for h in found:
        assert len(h) >= 2 and h.x.dtype == np.float32 and (np.diff(h.ts) > 0).all()
        temp = h.x[:, 0]
        assert ((temp >= -20) & (temp <= 150) | np.isnan(temp)).all()
        assert not np.isnan(temp[np.argmax(~np.isnan(temp)) :]).any() or np.isnan(temp).all()
    assert len({(h.machine, h.life) for h in found}) == len(found)


def test_marks_of_anomalies_are_read_and_none_is_not_the_same_as_healthy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pump,ts,bad,temp,flow\np1,0,0,20,1\np1,1,1.0,21,2\np1,2,,22,3\n")
    data = {"path": str(tmp_path / "a.csv"), "machine": "pump", "failure": None}
    marked = gather(project(tmp_path / "a.csv", data={**data, "anomaly": "bad"})).histories[0].anomalous
    assert marked is not None and marked.tolist() == [False, True, False]
    assert gather(project(tmp_path / "a.csv", data=data)).histories[0].anomalous is None
    (tmp_path / "a.csv").write_text("pump,ts,bad,temp,flow\np1,0,maybe,20,1\n")
    with pytest.raises(DataError, match=r"line 2: column `bad` holds `maybe`"):
        gather(project(tmp_path / "a.csv", data={**data, "anomaly": "bad"}))


def test_a_mask_says_which_values_were_really_there_and_dt_how_long_ago(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,", "p1,1,0,,1", "p1,3,0,999,2", "p1,4,0,21,3"]).histories[0]
    assert found.mask.tolist() == [[True, False], [False, True], [False, True], [True, True]]
    assert found.dt.tolist() == [0, 1, 2, 1]
    assert found.window(1, 3).mask.tolist() == found.mask[1:3].tolist()


def test_a_sensor_that_stands_still_is_named_and_a_few_valued_one_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(20, 1, (4, 200)).round(3)
    noise[2, 100:180] = 20.5
    rows = [f"p{m},{t},0,{noise[m, t]},{t // 120}" for m in range(4) for t in range(200)]
    notes = gathered(tmp_path, rows).notes
    assert [n for n in notes if "stuck" in n] == [
        "machine `p2`: `temp` shows the same value 80 times in a row (40 % of the record); is the sensor stuck?"
    ]


def test_a_warm_up_that_no_life_reaches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`timing\.warm_up_readings` is 5, but the longest life .* has 3 readings"):
        gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,2", "p1,2,0,22,3"], timing={"warm_up_readings": 5})


def test_a_failure_column_that_is_always_true_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column `failed` is true in every row"):
        gathered(tmp_path, ["p1,0,1,20,1", "p1,1,1,21,2", "p1,2,1,22,3"])


def test_a_reading_from_the_future_is_left_out_and_named(tmp_path: Path) -> None:
    found = gathered(tmp_path, ["p1,0,0,20,1", "p1,1,0,21,2", "p1,2,0,22,3", "p1,2090-05-01,0,22,3"])
    assert len(found.histories[0]) == 3 and any("future" in n and "line 5" in n for n in found.notes)


def test_without_any_mark_nothing_is_known_of_anomalies(tmp_path: Path) -> None:
    rows = ["p1,0,0,20,1", "p1,1,0,21,2"]
    found = gathered(tmp_path, rows, data={"anomaly": "fault"})
    assert found.histories[0].anomalous is None and any("`fault` (data.anomaly)" in n for n in found.notes)


def test_a_spike_that_would_spoil_the_scaling_is_named(tmp_path: Path) -> None:
    rows = [f"p{m},{t},0,{20 + t % 5},{1e9 if (m, t) == (1, 30) else t % 7}" for m in range(2) for t in range(60)]
    assert [n for n in gathered(tmp_path, rows).notes if "signals.flow" in n] == [
        "`flow` reaches 1e+09, and half of its values lie between 1 and 5; if that is no reading, set min and max of "
        "`signals.flow`: what is outside counts as missing"
    ]
    calm = [row.replace("1000000000.0", "6") for row in rows]
    assert not [n for n in gathered(tmp_path, calm).notes if "signals." in n]
