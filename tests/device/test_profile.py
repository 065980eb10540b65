"""The profile measures every file alike and says plainly which to deploy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device.choose import runnable
from device.footprint import measure
from device.profile import Measured, advice, profile, rounds
from edge.bundle import Bundle
from edge.errors import BundleError


def test_every_file_of_every_installed_backend_is_measured(bundle: Bundle) -> None:
    calls = []
    report = profile(bundle, 250, lambda n, _: calls.append(n))
    assert sum(calls) == rounds(bundle, 250)
    assert [(m.backend, m.executable) for m in report.rows] == [(k.name, e.key) for k, e in runnable(bundle)]
    for row in report.rows:
        assert row.steps == 300
        assert 0 < row.p10_us <= row.median_us <= row.p90_us <= row.p99_us <= row.max_us
        assert row.resident_mb and row.load_ms > 0
        assert row.bytes == len(bundle.read(row.executable.replace("/", "/", 1) + "." + row.executable.split("/")[0]))
    assert min(m.ratio or 0 for m in report.rows if m.recipe == "float32") == 1
    assert all(m.metric is not None for m in report.rows)
    assert report.advice.startswith("Deploy --backend")
    assert set(report.machine) == {"processor", "architecture", "system", "python"}


def test_a_file_that_does_not_load_is_named(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="does not load in a fresh process"):
        measure(bundle.path, "litert", "int3")


EXACT = Measured("t/float32", "litert", "x", "float32", 1, 3.0, 4.0, 5, 6, 7, 1.0, 12.0, 0.0, 1000, 40, 150)
SMALL = replace(EXACT, executable="t/dynamic-int8", recipe="dynamic-int8", metric=12.1, change=0.1, bytes=400)


@pytest.mark.parametrize(
    ("median", "said"),
    [
        (
            5.0,
            "Deploy --backend litert --recipe float32: 4 µs of every 1 s reading; dynamic-int8 is no gain here (1.25",
        ),
        (3.9, "no gain here (hardly faster, +0.1 cycles RMSE), though its file is 40 % of the size"),
        (2.0, "Deploy --backend litert --recipe dynamic-int8: 2 times as fast as float32 here, +0.1 cycles RMSE"),
    ],
)
def test_a_less_accurate_file_must_be_clearly_faster(median: float, said: str) -> None:
    assert said in advice([EXACT, replace(SMALL, median_us=median)], "RMSE", "cycles", 1.0)


def test_advice_without_a_choice() -> None:
    assert "the fastest that runs here" in advice([EXACT], "RMSE", "cycles", 1.0)
    assert "holds no float32 file" in advice([SMALL], "RMSE", "cycles", 1.0)
