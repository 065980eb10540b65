"""The table of intervals goes the whole road: run, bundle, `edge info`, `edge score`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from click.testing import CliRunner

from edge.bundle import Bundle
from edge.cli import group
from edge.intervals import ends
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
        low, high = ends(table, one["rul"], one["seq"])
        assert abs(one["rul_low"] - low) < 1e-4 and abs(one["rul_high"] - high) < 1e-4
        assert float(row["rul_low"]) == one["rul_low"] <= one["rul"] <= one["rul_high"]
