"""Claims about roll-out: one primed state, many readings, nobody else's state."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from convert.pack import convert
from device.choose import open_backend
from device.prediction import Prediction
from device.rollout import roll_out
from device.runtime import Runtime
from edge.bundle import Bundle
from edge.cli import group
from edge.errors import DataError
from edge.spec import parse_project
from train.build import build_predictor
from train.data.history import History
from train.data.scale import Scaler
from train.infer import predict
from train.run import Run


def made(folder: Path, **task: Any) -> tuple[Run, Bundle]:
    """A model with fresh weights: enough to go round in circles."""
    t = np.arange(60)
    x = np.stack([20 + np.sin(t / 5), 3 + 0.5 * np.cos(t / 5)], 1).astype(np.float32)
    history = History("m", 0, 60.0 * t.astype(np.float64), x, False, None)
    project = parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "h.csv"},
            "signals": {"a": {}, "b": {}},
            "model": {"hidden": 4},
            "timing": {"period_s": 60.0, "max_gap_s": 600.0},
            "task": {"kind": "forecast", **task},
        }
    )
    run = Run(project, build_predictor(project, Scaler.fit([history], project)).eval(), [history], [history], {})
    return run, convert(run, folder / "p.edge", targets=["onnx"], recipes=["float32"])


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Bundle]:
    return made(tmp_path_factory.mktemp("able"), horizons=[1, 3])


def primed(run: Run, bundle: Bundle) -> tuple[Runtime, Prediction]:
    runtime = Runtime(bundle, open_backend(bundle, "onnx", "float32"))
    last = None
    for ts, row in zip(run.heldout[0].ts.tolist(), run.heldout[0].x.tolist(), strict=True):
        last = runtime.feed("m", ts, row)
    assert isinstance(last, Prediction)
    return runtime, last


def test_each_step_is_what_the_model_says_of_the_path_so_far(able: tuple[Run, Bundle]) -> None:
    run, bundle = able
    steps = list(roll_out(*primed(run, bundle), 5))
    history = run.heldout[0]
    x, ts = history.x, history.ts
    for moment, values in steps:
        (said,) = predict(run.predictor, [History("m", 0, ts, x, False, None)])
        np.testing.assert_allclose(list(values.values()), said[-1, :2], rtol=1e-5)
        x, ts = np.vstack([x, np.array([list(values.values())], np.float32)]), np.append(ts, moment)
    assert ts[-5:].tolist() == [history.ts[-1] + 60.0 * k for k in range(1, 6)]


def test_the_machine_that_is_served_stays_as_it_is(able: tuple[Run, Bundle]) -> None:
    runtime, last = primed(*able)
    before = runtime.snapshot("m")
    assert len(list(roll_out(runtime, last, 7))) == 7
    assert runtime.snapshot("m") == before and list(runtime.machines) == ["m"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"horizons": [2, 3]}, "does not forecast `a`, `b` one reading ahead"),
        ({"horizons": 2, "channels": ["a"]}, "does not forecast `b` one reading ahead"),
    ],
)
def test_a_model_that_cannot_names_what_is_missing(tmp_path: Path, task: dict[str, Any], said: str) -> None:
    run, bundle = made(tmp_path, **task)
    runtime, last = primed(run, bundle)
    with pytest.raises(DataError, match=said):
        next(roll_out(runtime, last, 1))


def scored(bundle: Bundle, history: Path, *options: str) -> str:
    found = CliRunner().invoke(group, ["score", str(bundle.path), str(history), *options])
    if found.exception:
        raise found.exception
    return found.stdout


def written(path: Path, run: Run, more: Sequence[str] = ()) -> Path:
    history = run.heldout[0]
    rows = [f"m,{ts:g},{a!r},{b!r},0" for ts, (a, b) in zip(history.ts, history.x.tolist(), strict=True)]
    path.write_text("\n".join(["machine,ts,a,b,failed", *rows, *more]))
    return path


def test_score_writes_the_path_of_each_machine(able: tuple[Run, Bundle], tmp_path: Path) -> None:
    run, bundle = able
    history = written(tmp_path / "h.csv", run)
    rows = list(csv.DictReader(io.StringIO(scored(bundle, history, "--rollout", "4"))))
    lines = [json.loads(line) for line in scored(bundle, history, "--rollout", "4", "--json").splitlines()]
    assert [list(row) for row in (rows[0], lines[0])] == [["ts", "machine", "step", "a", "b"]] * 2
    assert [line["step"] for line in lines] == [1, 2, 3, 4] == [int(row["step"]) for row in rows]
    (last,) = (json.loads(line) for line in scored(bundle, history, "--json").splitlines()[-1:])
    assert (lines[0]["a"], lines[0]["b"]) == (last["a_in_1"], last["b_in_1"])


def test_what_cannot_be_scored_leaves_the_older_file(able: tuple[Run, Bundle], tmp_path: Path) -> None:
    _, bundle = able
    empty = tmp_path / "empty.csv"
    empty.write_text("machine,ts,a,b,failed\nm,1,,,0\n")
    out = tmp_path / "out.csv"
    out.write_text("older")
    for options in ((), ("--rollout", "2")):
        found = CliRunner().invoke(group, ["score", str(bundle.path), str(empty), "-o", str(out), *options])
        assert isinstance(found.exception, DataError) and out.read_text() == "older"
