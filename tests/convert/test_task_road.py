"""Every task but the first (whose road all families travel): trained, converted, verified, scored, served."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from convert.pack import convert
from convert.step import StepModule
from convert.targets import TARGETS
from device.choose import runnable
from device.payload import encode
from device.prediction import Prediction
from device.runtime import Runtime
from edge.bundle import Bundle
from edge.cli import group
from edge.readers.assemble import Plan, assemble
from edge.readers.csv_text import CsvReader
from edge.recipes import RECIPES
from edge.spec import load_project, parse_project
from train.build import build_predictor
from train.data.faults import with_faults
from train.data.history import inputs
from train.data.scale import Scaler
from train.data.simulate import Fleet, Life, project_text, simulate, write_histories
from train.infer import predict
from train.pipeline import train_run
from train.run import Run, load_run
from train.tasks import TASKS

OPTIONS: dict[str, list[str]] = {
    "failure": ["task.horizon=80", "alarm.raise_above=0.4", "alarm.clear_below=0.2"],
    "anomaly": ["task.suspect_readings=80", "task.smooth_readings=10"],
    "forecast": ["task.horizons=[1, 6]", "alarm.raise_above=3.5", "alarm.clear_below=3.0"],
    "classify": ["data.label=state", "alarm.raise_above=0.25"],
}
LIVES: dict[str, Callable[[Sequence[Life]], list[Life]]] = {"classify": with_faults}
"""What a task's histories say beyond readings and failures."""


@dataclass(frozen=True)
class Road:
    """What one journey leaves behind."""

    folder: Path
    run: Run
    bundle: Bundle

    @property
    def histories(self) -> list[Path]:
        """Files of all machines."""
        return sorted((self.folder / "history").glob("*.csv"))


@pytest.fixture(scope="module", params=[kind for kind in TASKS if kind != "rul"])
def road(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Road:
    """A small model of each task."""
    folder = tmp_path_factory.mktemp(f"task-{request.param}")
    lives = LIVES.get(request.param, list)(simulate(Fleet(machines=8, seed=1)))
    write_histories(folder / "history", lives)
    (folder / "p.toml").write_text(project_text(test=None))
    settings = [f"task.kind={request.param}", *OPTIONS.get(request.param, []), "model.hidden=8", "train.epochs=3"]
    run = train_run(load_project(folder / "p.toml", [*settings, "train.learning_rate=0.02"]), folder / "run")
    return Road(folder, run, convert(run, folder / "p.edge"))


def test_each_file_is_certified_on_every_output(road: Road) -> None:
    rows = road.bundle.manifest.certificate.rows
    assert {(r.target, r.recipe) for r in rows} == {(t, r) for t in TARGETS for r in RECIPES}
    assert all(r.ok and (r.declined or r.max_error is not None) for r in rows)
    truth = predict(road.run.predictor, road.run.heldout)
    for kind, executable in runnable(road.bundle):
        backend = kind(road.bundle, executable)
        for history, want in zip(road.run.heldout, truth, strict=True):
            state = backend.new_state()
            got = np.array([backend.step(array("f", row), state) for row in inputs(history, backend_fill(road))])
            for i, output in enumerate(road.bundle.manifest.outputs):
                allowed = RECIPES[executable.recipe].tolerance * output.span
                np.testing.assert_allclose(got[:, i], want[:, i], rtol=0, atol=allowed, err_msg=executable.key)


def backend_fill(road: Road) -> Any:
    return road.run.predictor.scaler.fill


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_forecast_of_one_horizon_is_exported_too(name: str) -> None:
    table = {"project": {"name": "t"}, "data": {"path": "x"}, "signals": {"a": {"unit": "bar"}, "b": {}}}
    project = parse_project({**table, "task": {"kind": "forecast", "horizons": [24]}, "model": {"family": "tcn"}})
    step = StepModule(build_predictor(project, Scaler(2)).eval())
    assert TARGETS[name](step).emit("float32").content


def test_errors_of_the_task_and_of_its_outputs_have_units_of_their_own(road: Road) -> None:
    certificate, task = road.bundle.manifest.certificate, road.run.predictor.task
    assert (certificate.metric_unit, certificate.unit) == (task.measures[0].unit, task.outputs[0][1])


def test_a_bundle_verifies_from_the_file_alone(road: Road) -> None:
    found = CliRunner().invoke(group, ["verify", str(road.bundle.path), "--json"])
    assert found.exit_code == 0, found.output
    assert all(row["ok"] for row in json.loads(found.stdout))


def test_the_daemons_runtime_says_byte_for_byte_what_score_says(road: Road) -> None:
    path = road.histories[0]
    found = CliRunner().invoke(group, ["score", str(road.bundle.path), str(path), "--json"])
    assert found.exit_code == 0, found.output
    kind, executable = next((k, e) for k, e in runnable(road.bundle) if e.recipe == "float32" and e.target == "tflite")
    runtime = Runtime(road.bundle, kind(road.bundle, executable))
    said = []
    project = road.bundle.manifest.project
    machines = assemble(CsvReader(), [path], Plan.of(project), labelled=False).machines
    for record in (record for records in machines.values() for record in records):
        answer = runtime.feed(record.machine, record.ts, record.values)
        assert isinstance(answer, Prediction)
        said.append(encode(answer))
        if record.failed:
            runtime.reset(record.machine)
    assert b"\n".join(said) + b"\n" == found.stdout_bytes
    names = {output.name for output in road.bundle.manifest.outputs}
    assert names <= set(json.loads(said[0])) and any(json.loads(line)["alarm"] for line in said)


def test_the_alarm_the_task_decided_by_is_in_run_and_bundle(road: Road) -> None:
    level = road.run.predictor.task.alarm.raise_above
    assert level is not None
    assert load_run(road.folder / "run").project.alarm.raise_above == level
    assert Bundle.open(road.bundle.path).manifest.project.alarm.raise_above == level


def test_a_saved_run_predicts_the_same(road: Road) -> None:
    again = load_run(road.folder / "run")
    for a, b in zip(*(predict(r.predictor, road.run.heldout[:2]) for r in (road.run, again)), strict=True):
        np.testing.assert_array_equal(a, b)
    for before, after in zip(road.run.heldout, again.heldout, strict=True):
        assert (before.anomalous is None) == (after.anomalous is None)
        np.testing.assert_array_equal(before.label, after.label)


def test_the_report_names_its_measures_and_its_baselines(road: Road) -> None:
    report, task = road.run.report, road.run.predictor.task
    assert list(report["models"]) == ["gru", *task.baselines]
    assert list(report["models"]["gru"]["measures"]) == [m.key for m in task.measures]
    text = (road.folder / "run" / "report.txt").read_text()
    assert all(measure.name in text for measure in task.measures) and task.headline == report["headline"]
