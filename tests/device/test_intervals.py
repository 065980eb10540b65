"""Intervals as they are served: two more keys, a pure function of the reading, a model of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device.choose import open_backend
from device.payload import encode
from device.prediction import Prediction
from device.runtime import Runtime
from edge.bundle import Bundle, write_bundle
from edge.errors import BundleError
from edge.intervals import Interval, Stage, ends
from edge.manifest import Output
from tests.support.tiny import SPAN, readings

TABLE = Interval(
    "rul",
    0.9,
    40,
    (Stage(0, (20.0, 90.0), (5.0, 30.0), (10.0, 12.5)), Stage(6, (20.0,), (3.0,), (4.0,))),
    0.0,
    SPAN,
)


def with_table(bundle: Bundle, path: Path, *tables: Interval) -> Bundle:
    """The bundle with tables of intervals in its manifest, as a device would open it."""
    members = {file.path: bundle.read(file.path) for file in bundle.manifest.files}
    write_bundle(path, replace(bundle.manifest, intervals=tables), members)
    return Bundle.open(path)


@pytest.fixture
def told(bundle: Bundle, tmp_path: Path) -> Bundle:
    return with_table(bundle, tmp_path / "told.edge", TABLE)


def served(bundle: Bundle, steps: int = 12) -> list[Prediction]:
    runtime = Runtime(bundle, open_backend(bundle, "litert"))
    found = [runtime.feed("a", 100.0 + i, row) for i, row in enumerate(readings(steps, 3).tolist())]
    return [one for one in found if isinstance(one, Prediction)]


def test_the_ends_stand_right_behind_the_output_they_are_around(told: Bundle) -> None:
    first = served(told)[0]
    keys = ["ts", "machine", "seq", "rul", "rul_low", "rul_high", "alarm", "warm", "gap_s", "model"]
    assert list(first.table()) == keys and list(json.loads(encode(first))) == keys


def test_the_ends_are_the_tables_and_all_else_is_as_without_it(told: Bundle, bundle: Bundle) -> None:
    for seen, (one, plain) in enumerate(zip(served(told), served(bundle), strict=True), start=1):
        rul, low, high = one.outputs.values()
        assert plain == one._replace(outputs={"rul": rul}, model=plain.model)
        assert (low, high) == pytest.approx(ends(TABLE, rul, seen), rel=1e-6, abs=1e-6) and low <= rul <= high
        assert (low, high) == (float(f"{low:.7g}"), float(f"{high:.7g}"))


def test_the_same_readings_give_the_same_bytes(told: Bundle) -> None:
    assert [encode(p) for p in served(told)] == [encode(p) for p in served(told)]


def test_a_repaired_machine_is_one_that_was_not_seen(told: Bundle) -> None:
    runtime = Runtime(told, open_backend(told, "litert"))
    rows = readings(8, 3).tolist()
    for i, row in enumerate(rows):
        runtime.feed("a", 100.0 + i, row)
    runtime.reset("a")
    again = runtime.feed("a", 200.0, rows[0])
    assert isinstance(again, Prediction) and again.outputs == served(told)[0].outputs


def test_another_table_is_another_model(told: Bundle, bundle: Bundle, tmp_path: Path) -> None:
    other = with_table(bundle, tmp_path / "other.edge", replace(TABLE, stages=TABLE.stages[:1]))
    none = with_table(bundle, tmp_path / "none.edge")
    assert len({told.manifest.model, bundle.manifest.model, other.manifest.model}) == 3
    assert none.manifest.model == bundle.manifest.model


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ((replace(TABLE, output="life"),), "an interval of `life` has no place"),
        ((TABLE, TABLE), "an interval of `rul` has no place"),
        ((replace(TABLE, share=2.0),), "intervals of `rul`: its share is 2"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    bundle: Bundle, tmp_path: Path, tables: tuple[Interval, ...], says: str
) -> None:
    with pytest.raises(BundleError, match=says):
        with_table(bundle, tmp_path / "wrong.edge", *tables)


def test_an_output_that_has_the_name_of_an_end_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    outputs = (*bundle.manifest.outputs, Output("rul_low", "cycles", 0.0, 1.0))
    members = {file.path: bundle.read(file.path) for file in bundle.manifest.files}
    write_bundle(tmp_path / "twice.edge", replace(bundle.manifest, outputs=outputs, intervals=(TABLE,)), members)
    with pytest.raises(BundleError, match="has no place among its outputs"):
        Bundle.open(tmp_path / "twice.edge")
