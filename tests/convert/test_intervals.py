"""The table of intervals goes the whole road: run, bundle, `edge info`, `edge score`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from edge.bundle import Bundle
from edge.cli import group
from edge.intervals import Interval, ends
from edge.spec import load_project
from tests.support.pumps import write_pumps
from train.pipeline import train_run


def edge(*arguments: object) -> str:
    """What a verb that ends well prints."""
    found = CliRunner().invoke(group, [str(a) for a in arguments])
    assert found.exit_code == 0, (found.output, found.exception)
    return found.stdout


def test_a_table_travels_and_every_prediction_is_told_with_its_ends(tmp_path: Path) -> None:
    run = train_run(load_project(write_pumps(tmp_path, "gru", epochs=2), ["task.interval=0.5"]), tmp_path / "run")
    bundle = tmp_path / "pump.edge"
    edge("convert", tmp_path / "run", "-o", bundle, "--target", "onnx", "--recipe", "float32")
    [table] = run.intervals
    assert Bundle.open(bundle).manifest.intervals == (table,)
    assert "interval 50 % of rul, from 8 machines" in edge("info", bundle)
    rows = list(csv.DictReader(edge("score", bundle, tmp_path / "history.csv").splitlines()))
    told = [json.loads(line) for line in edge("score", bundle, tmp_path / "history.csv", "--json").splitlines()]
    assert list(rows[0])[2:6] == list(told[0])[2:6] == ["seq", "rul", "rul_low", "rul_high"] and len(rows) == len(told)
    for row, one in zip(rows, told, strict=True):
        assert_told(table, one)
        assert float(row["rul_low"]) == one["rul_low"]


FORECAST = """
[project]
name = "waves"
[data]
path = "history.csv"
machine = "machine"
[signals]
a = { unit = "degC" }
b = {}
[task]
kind = "forecast"
horizons = [1, 4]
interval = 0.9
[model]
family = "gru"
hidden = 4
[train]
epochs = 4
learning_rate = 0.02
"""
MACHINES, READINGS = 24, 40


def waves(path: Path, machines: int, seed: int) -> None:
    """Machines with two waves, each of its own phase."""
    rng = np.random.default_rng(seed)
    rows = ["machine,ts,a,b"]
    for m in range(machines):
        t = np.arange(READINGS) + rng.integers(60)
        x = np.stack([60 + 5 * np.sin(t / 5), np.cos(t / 5)], 1) + rng.normal(size=(READINGS, 2)) * [0.5, 0.1]
        rows += [f"{seed}-{m},{i},{a:.4f},{b:.4f}" for i, (a, b) in enumerate(x.tolist())]
    path.write_text("\n".join(rows) + "\n")


def test_every_forecast_is_told_with_ends_that_hold_what_comes(tmp_path: Path) -> None:
    waves(tmp_path / "history.csv", MACHINES, 0)
    waves(tmp_path / "others.csv", 10, 1)
    (tmp_path / "waves.toml").write_text(FORECAST)
    run = train_run(load_project(tmp_path / "waves.toml"), tmp_path / "run")
    names = ["a_in_1", "b_in_1", "a_in_4", "b_in_4"]
    assert [table.output for table in run.intervals] == names
    bundle = tmp_path / "waves.edge"
    edge("convert", tmp_path / "run", "-o", bundle, "--target", "onnx", "--recipe", "float32")
    about = edge("info", bundle)
    assert "interval 90 % of a_in_4, from" in about and "more intervals" not in about
    assert "the 90 % interval of" not in "".join(run.report["notes"]), "enough machines for all of them"
    told = [json.loads(line) for line in edge("score", bundle, tmp_path / "others.csv", "--json").splitlines()]
    said = [key for name in names for key in (name, f"{name}_low", f"{name}_high")]
    assert len(told) == 10 * READINGS and list(told[0])[3:15] == said
    for one in told:
        for table in run.intervals:
            assert_told(table, one)
    came = [row for row in csv.DictReader((tmp_path / "others.csv").read_text().splitlines())]
    for table in run.intervals:
        channel, _, ahead = table.output.partition("_in_")
        held = [
            one[f"{table.output}_low"] <= float(came[i + int(ahead)][channel]) <= one[f"{table.output}_high"]
            for i, one in enumerate(told)
            if i % READINGS < READINGS - int(ahead)
        ]
        # Of ten machines that neither model nor table ever saw.
        assert 0.75 < sum(held) / len(held) < 1.0, table.output


def assert_told(table: Interval, said: dict[str, Any]) -> None:
    """A prediction holds the ends that its table says."""
    low, high = ends(table, said[table.output], said["seq"])
    close = 1e-5 * max(1.0, abs(low), abs(high))
    told_low, told_high = said[f"{table.output}_low"], said[f"{table.output}_high"]
    assert abs(told_low - low) < close and abs(told_high - high) < close
    assert told_low <= said[table.output] <= told_high
