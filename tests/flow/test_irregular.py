"""Readings at any time, values that are missing: the same to training, to `edge score` and to the daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from convert.pack import convert
from edge.bundle import Bundle
from edge.cli import group
from edge.spec import load_project
from tests.support.broker import Broker, Listener, Served, wait_for
from tests.support.traffic import count, heard
from train.data.gather import gather
from train.infer import predict
from train.models import FAMILIES
from train.pipeline import train_run
from train.predictor import Predictor

PROJECT = """
[project]
name = "tiny"
[data]
path = "history.csv"
machine = "pump"
failure = "failed"
[signals]
wear = { max = 100 }
heat = {}
load = {}
[task]
kind = "rul"
cap = 60
count = "time"
[model]
hidden = 8
[train]
epochs = 2
[timing]
period_s = 2.0
max_gap_s = 50.0
on_gap = "reset"
warm_up_readings = 3
[mqtt]
readings    = "plant/{machine}/telemetry"
predictions = "plant/{machine}/health"
control     = "plant/{machine}/control"
"""
CHANNELS = ("wear", "heat", "load")
LATE = 20
"""The reading of each pump behind a gap at which a device forgets."""


def history(pumps: int = 12, seed: int = 0) -> list[tuple[str, float, list[float | None], bool]]:
    """Lives of 30 to 50 readings at any time, of which a third of the values is missing, absurd or text for neither;
    some rows have none. Values that a pump has not sent yet are missing, too.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for pump in range(pumps):
        steps = int(rng.integers(30, 50))
        gaps = rng.exponential(2.0, steps).round(3) + 0.001
        gaps[LATE] = 80.0
        ts = (1000.0 + np.cumsum(gaps)).round(3)
        worn = np.column_stack([ts - ts[-1], rng.normal(size=steps), rng.uniform(0, 5, steps)]).round(4)
        lost = rng.random((steps, 3)) < 0.33
        lost[12] = True
        lost[[0, -1, LATE, LATE + 1], 0] = False
        for i in range(steps):
            cells: list[float | None] = [None if gone else float(v) for v, gone in zip(worn[i], lost[i], strict=True)]
            if i in (5, 25):
                cells[0] = 9999.0
            rows.append((f"p{pump}", float(ts[i]), cells, i == steps - 1))
    return rows


@dataclass(frozen=True)
class Walked:
    """What one family made of the history."""

    bundle: Path
    history: Path
    predictor: Predictor


@pytest.fixture(scope="module", params=[name for name in FAMILIES if FAMILIES[name].takes])
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Each family that takes more than readings, on its way from a CSV file to a bundle."""
    folder = tmp_path_factory.mktemp(request.param)
    lines = ["pump,ts,failed,wear,heat,load"]
    for pump, ts, cells, failed in history():
        lines.append(",".join([pump, repr(ts), str(int(failed)), *("" if v is None else repr(v) for v in cells)]))
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    (folder / "pump.toml").write_text(PROJECT)
    run = train_run(load_project(folder / "pump.toml", [f"model.family={request.param}"]), folder / "run")
    bundle = convert(run, folder / "pump.edge", targets=["onnx"], recipes=["float32"])
    return Walked(bundle.path, folder / "history.csv", run.predictor)


def scored(walked: Walked) -> list[bytes]:
    """Every line of `edge score --json`."""
    found = CliRunner().invoke(group, ["score", str(walked.bundle), str(walked.history), "--json"])
    assert found.exit_code == 0, found.output
    return found.stdout.encode().splitlines()


def test_info_says_that_more_than_readings_is_taken(walked: Walked) -> None:
    said = CliRunner().invoke(group, ["info", str(walked.bundle)]).output
    assert "takes    the time since the reading before" in said
    assert ("which values are fresh" in said) == ("mask" in Bundle.open(walked.bundle).manifest.takes)


def test_score_says_what_the_parallel_forward_says_of_a_history_with_holes(walked: Walked) -> None:
    said = {(p["machine"], p["ts"]): p["rul"] for p in map(json.loads, scored(walked))}
    project = walked.predictor.project
    histories = gather(project).histories
    assert len(histories) == 24 and not all(h.mask.all() for h in histories)
    assert all(h.dt[0] == 0 and len(np.unique(h.dt)) > 5 for h in histories)
    want = predict(walked.predictor, histories)
    assert {(h.machine, float(ts)) for h in histories for ts in h.ts} == said.keys()
    span = Bundle.open(walked.bundle).manifest.outputs[0].span
    for h, y in zip(histories, want, strict=True):
        got = [said[h.machine, float(ts)] for ts in h.ts]
        np.testing.assert_allclose(got, y[:, 0], rtol=0, atol=1e-4 * span)


def test_the_daemon_says_of_nulls_and_late_readings_what_score_says(
    walked: Walked, broker: Broker, listen: Callable[..., Listener], serve: Callable[..., Served]
) -> None:
    want: dict[str, list[bytes]] = {}
    for line in scored(walked):
        want.setdefault(json.loads(line)["machine"], []).append(line)
    listener = listen("plant/+/health")
    daemon = serve(walked.bundle, broker, "--backend", "onnx").ready()
    listener.publish(
        [
            (f"plant/{pump}/telemetry", orjson.dumps({"ts": ts, "values": dict(zip(CHANNELS, cells, strict=True))}))
            for pump, ts, cells, _ in history()
        ]
    )
    wait_for("all predictions", lambda: count(heard(listener)) >= count(want))
    assert heard(listener) == want
    assert daemon.stop() == 0
