"""SKAB, the valve test bed (Katser & Kozitsin 2020): false alarms, misses and delay of the anomaly task.

    python bench/skab.py            # fits on the first 400 rows of each file, judges the rest
    python bench/skab.py --develop  # what choices were made on: those 400 rows alone, with simulated faults

Model, normalisation and threshold come from the first 400 rows of the 16 valve files, by the data's convention healthy
and for training. A test stream begins at a random row of its file with a fresh state, several times a file, so
that counting rows is no detector: any row, also one at which the valve is already closing. Rows before 400 run through
the model where a stream begins among them, but are never judged.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from edge.spec import load_project
from edge.table import render
from edge.talk import note
from train.build import build_task
from train.data.gather import gather
from train.data.history import History
from train.data.split import Split
from train.evaluate import Judged, judge
from train.infer import predict
from train.pipeline import fit_with_progress
from train.tasks.base import Array, Predict, Task

EXAMPLE = Path(__file__).parents[1] / "examples" / "valve.toml"
HEALTHY, LEARN = 400, 280
"""Rows for training, and those of them the model learns from; the others stop the fitting and set the level."""

STARTS, LEAST, SEED = 10, 60, 7
"""Test streams a file, the rows the shortest has, and the seed of their first rows."""

BARS = {"false": 0.15, "missed": 0.35}
SHOWN = ("false", "missed", "found", "delay")
ROW = 572
"""What a detector says that knows when the valve of most files begins to close, and does not look at the sensors."""

Stream = tuple[History, int]
"""Readings that run through a model, and the first of them that is judged."""


@click.command()
@click.option("--develop", is_flag=True, help="Judge simulated faults in the rows for training; open no test row.")
@click.option("--seeds", default=3, show_default=True, help="Trainings.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(develop: bool, seeds: int, overrides: tuple[str, ...]) -> None:
    """Fit on healthy rows, judge streams that begin anywhere; exit 1 where a bar is missed."""
    project = load_project(EXAMPLE, overrides)
    files = gather(project).histories
    learn, stop = (200, 280) if develop else (LEARN, HEALTHY)
    parts = Split([h.window(0, learn) for h in files], [h.window(learn, stop) for h in files], [])
    streams = simulated([h.window(stop, HEALTHY) for h in files]) if develop else begun_anywhere(files)
    task = build_task(project)
    models: dict[str, list[Judged]] = {}
    for seed in range(seeds):
        note(f"{project.model.family}, seed {seed}")
        fitted = fit_with_progress(project, parts, seed).predictor
        models.setdefault(project.model.family, []).append(
            judged(task, streams, lambda histories, by=fitted: predict(by, histories))  # type: ignore[misc]
        )
    for name, baseline in task.baselines.items():
        models[name] = [judged(task, streams, baseline(project, task, parts))]
    models[f"after row {ROW}"] = [judged(task, streams, after(task))]
    click.echo(_text(models))
    first = models[project.model.family]
    missed = [key for key, bar in BARS.items() if not _middle(first, key) <= bar]
    for key, bar in BARS.items():
        click.echo(f"{key}: {_middle(first, key):.3f}, bar {bar:g}: {'MISSED' if key in missed else 'holds'}")
    sys.exit(bool(missed))


def begun_anywhere(files: Sequence[History]) -> list[Stream]:
    """Streams of each file that begin at random rows; the rows for training are not judged."""
    rng, streams = np.random.default_rng(SEED), []
    for h in files:
        for start in rng.integers(0, len(h) - LEAST, STARTS).tolist():
            streams.append((h.window(start, len(h)), max(0, HEALTHY - start)))
    return streams


KINDS = ("offset", "drift", "noise", "several offsets", "stuck")


def simulated(healthy: Sequence[History], length: int = 700, each: int = 2) -> list[Stream]:
    """Healthy rows, there and back again until they are long enough, with a fault of a random kind in their middle.

    Offsets are 1 to 3 deviations of the signal, drifts reach 4, noise has 0.3, 2 or 2.5 times the usual deviation.
    """
    rng, streams = np.random.default_rng(SEED), []
    for h in healthy:
        for number in range(each):
            first = int(rng.integers(0, len(h) // 3))
            there = h.x[first:]
            x = np.concatenate([there, there[-2:0:-1]] * (length // len(there)))[:length].astype(np.float32)
            onset, end = int(rng.integers(100, 200)), int(rng.integers(400, 550))
            x[onset:end] = _broken(x[:onset], x[onset:end], rng)
            at, ts = np.arange(length), np.arange(length, dtype=float)
            marks = (at >= onset) & (at < end)
            streams.append((replace(h, life=number, x=x, ts=ts, anomalous=marks), 0))
    return streams


def _broken(before: Array, x: Array, rng: np.random.Generator) -> Array:
    """Readings x [T, C] with one fault from the first to the last; `before` [·, C] is what is usual."""
    usual, middle, x = before.std(0), before.mean(0), x.copy()
    channel, sign = int(rng.integers(x.shape[1])), rng.choice([-1, 1])
    match KINDS[int(rng.integers(len(KINDS)))]:
        case "offset":
            x[:, channel] += sign * rng.uniform(1, 3) * usual[channel]
        case "drift":
            x[:, channel] += sign * np.linspace(0, 4, len(x)) * usual[channel]
        case "noise":
            x[:, channel] = middle[channel] + (x[:, channel] - middle[channel]) * rng.choice([0.3, 2.0, 2.5])
        case "several offsets":
            several = rng.choice(x.shape[1], 3, replace=False)
            x[:, several] += rng.choice([-1, 1], 3) * rng.uniform(0.5, 1.2, 3) * usual[several]
        case _:
            x[:, channel] = x[0, channel]
    return x


def judged(task: Task, streams: Sequence[Stream], model: Predict) -> Judged:
    """The model's figures on the judged rows of each stream."""
    answers = [y[first:] for y, (_, first) in zip(model([h for h, _ in streams]), streams, strict=True)]
    return judge(task, [h.window(first, len(h)) for h, first in streams], lambda _: answers)


def after(task: Task) -> Predict:
    """The detector that counts: all that comes behind so many readings since it was switched on is anomalous."""

    def answer(h: History) -> Array:
        y = np.zeros((len(h), len(task.outputs)), np.float32)
        y[ROW:, 0] = 2.0
        return y

    return lambda histories: [answer(h) for h in histories]


def _middle(of: Sequence[Judged], key: str) -> float:
    return float(np.median([one.figures[key].value for one in of]))


def _text(models: dict[str, list[Judged]]) -> str:
    rows = []
    for name, of in models.items():
        for i, one in enumerate(of):
            figures = [one.figures[key] for key in SHOWN]
            cells = [f"{f.value:.3f} [{f.interval[0]:.3f}, {f.interval[1]:.3f}]" for f in figures]
            rows.append([f"{name}, seed {i}" if len(of) > 1 else name, *cells])
    header = ["95 % interval over files", "false alarms", "missed", "faults found", "delay, s"]
    return render(header, rows)


if __name__ == "__main__":
    main()
