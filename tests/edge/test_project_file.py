"""The project file: typed, checked, and clear about what is wrong in it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError, ProjectError
from edge.readers.base import find
from edge.spec import flat, load_project, parse_project

TEXT = """
[project]
name = "pump"
[data]
path = "history/*.csv"
machine = "pump_id"
failure = "failed"
[signals]
vibration_rms = { unit = "mm/s", min = 0, max = 50 }
bearing_temp = { unit = "degC" }
[task]
kind = "rul"
cap = 125
[model]
family = "gru"
hidden = 32
[alarm]
raise_below = 30
clear_above = 40
"""


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    path = tmp_path / "pump.toml"
    path.write_text(TEXT)
    return path


def test_signals_keep_the_order_of_the_file(pump: Path) -> None:
    assert load_project(pump).channels == ("vibration_rms", "bearing_temp")


def test_regime_columns_are_channels_after_the_signals(pump: Path) -> None:
    project = load_project(pump, ["regime.columns=['load', 'bearing_temp']"])
    assert project.channels == ("vibration_rms", "bearing_temp", "load")


def test_paths_are_relative_to_the_project_file(pump: Path) -> None:
    assert load_project(pump).data.path == str(pump.parent / "history/*.csv")


def test_a_folder_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "line[1]"
    (folder / "history").mkdir(parents=True)
    (folder / "pump.toml").write_text(TEXT)
    (folder / "history" / "a.csv").write_text("")
    assert find(load_project(folder / "pump.toml").data.path) == [folder / "history" / "a.csv"]


def test_paths_expand_variables_with_defaults(pump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANT", raising=False)
    assert load_project(pump, ["data.path=${PLANT:-here}/a.csv"]).data.path == str(pump.parent / "here/a.csv")
    monkeypatch.setenv("PLANT", "/there")
    assert load_project(pump, ["data.path=${PLANT:-here}/a.csv"]).data.path == "/there/a.csv"
    monkeypatch.delenv("PLANT")
    with pytest.raises(ProjectError, match=r"PLANT.*not set"):
        load_project(pump, ["data.path=${PLANT}/a.csv"])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.machin=x", r"data\.machin.*did you mean `machine`"),
        ("tarin.seed=1", r"tarin.*did you mean `train`"),
        ("train.epochs=many", r"train\.epochs.*whole number"),
        ("train.epochs=0", r"train\.epochs.*above 0"),
        ("train.validation_share=2", r"validation_share.*0 to 0\.9"),
        ("timing.on_gap=wait", r"on_gap.*hold or reset"),
        ("timing.period_s=0", r"period_s"),
        ("timing.period_s=inf", r"period_s.*finite"),
        ("timing.max_gap_s=0.5", r"max_gap_s.*below `timing\.period_s`"),
        ("train.seed=-1", r"train\.seed"),
        ("regime.columns=['load', 'load']", r"`load` twice"),
        ("alarm.clear_above=10", r"clear_above.*raise_below"),
        ("mqtt.qos=2", r"qos"),
        ("mqtt.readings=plant/telemetry", r"mqtt\.readings.*\{machine\}"),
        ("mqtt.readings=plant/m{machine}/telemetry", r"mqtt\.readings.*whole topic level"),
        ("mqtt.readings=plant/#/{machine}", r"wildcards"),
        ("mqtt.predictions=plant/{machine}/telemetry", r"three different"),
        ("signals.pump_id={}", r"pump_id.*label"),
        ("signals.failed={}", r"failed.*label"),
        ("signals.bearing_temp={min=5,max=1}", r"bearing_temp.*min 5 is not below max 1"),
        ("project.name=a b", r"project\.name"),
        ("signals=3", r"signals.*table"),
        ("nonsense", r"--set takes key=value"),
        ("project.name.x=1", r"not a table"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_remedy(pump: Path, override: str, says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        load_project(pump, [override])


def test_another_task_leaves_the_former_tasks_keys_and_the_levels_of_its_alarm_behind(pump: Path) -> None:
    before = load_project(pump)
    after = load_project(pump, ["task.kind=failure", "alarm.raise_above=0.4"])
    assert before.task.options and not after.task.options
    assert after.alarm.raise_below is None and after.alarm.clear_above is None and after.alarm.raise_above == 0.4
    assert after.alarm.hold_readings == before.alarm.hold_readings


def test_another_family_leaves_the_former_familys_keys_behind(pump: Path) -> None:
    assert load_project(pump, ["model.family=gru"]).model.options == {"hidden": 32}
    assert load_project(pump, ["model.family=tcn", "model.levels=2"]).model.options == {"levels": 2}


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[project]\nname = "x"\n')
    with pytest.raises(ProjectError, match=r"p\.toml.*`data` is missing"):
        load_project(path)


@pytest.mark.parametrize("content", [b"[project\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"p\.toml"):
        load_project(path)


def test_a_project_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no project file .*gone\.toml"):
        load_project(tmp_path / "gone.toml")


def test_flat_and_parse_are_inverse(pump: Path) -> None:
    project = load_project(pump)
    assert parse_project(flat(project)) == project


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["project", "data", "signals", "task", "model", "train", "mqtt"]), JUNK))
def test_no_table_whatever_raises_anything_but_our_errors(table: dict[str, Any]) -> None:
    with pytest.raises(EdgeError):
        parse_project(table)
