"""ETTh1 (Zhou et al. 2021), all seven channels: MSE of forecasts 24, 48 and 96 hours ahead.

    python bench/forecast.py            # opens the test rows; what choices were made on: --develop
    python bench/forecast.py --develop  # the same on the validation rows
    python bench/forecast.py --seeds 1 --set model.family=gru --set model.hidden=64   # another family

The protocol of the literature: rows 0 … 8639 teach, 8640 … 11519 tell when to stop, the targets of the test lie in
11520 … 14399; z-scores of the training rows; every window counts, the last one, too; the error is the mean over all
steps up to the horizon and all channels. The model runs through the rows before the test as it would on a device.
"""

from __future__ import annotations

import sys
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
from train.infer import predict
from train.pipeline import fit_with_progress
from train.tasks.base import Predict

EXAMPLE = Path(__file__).parents[1] / "examples" / "etth1.toml"
TRAIN, VALIDATION, TEST = 8640, 11520, 14400
"""Rows behind the last one of each part."""

BARS = {24: 0.34, 48: 0.37, 96: 0.40}
"""Steps ahead -> the largest mean squared error."""


@click.command()
@click.option("--develop", is_flag=True, help="Judge the validation rows; open no test row.")
@click.option("--seeds", default=3, show_default=True, help="Trainings of each horizon.")
@click.option("--horizon", "asked", type=int, multiple=True, help="Only this one; may be repeated.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(develop: bool, seeds: int, asked: tuple[int, ...], overrides: tuple[str, ...]) -> None:
    """Fit a model for each horizon and seed; exit 1 where a bar is missed."""
    rows: list[list[object]] = []
    missed: list[int] = []
    for steps in asked or tuple(BARS):
        project = load_project(EXAMPLE, [*overrides, f"task.horizons={steps}"])
        (whole,) = gather(project).histories
        warm = project.timing.warm_up_readings
        parts = Split([whole.window(0, TRAIN)], [whole.window(TRAIN - warm, VALIDATION)], [])
        begin, end = (TRAIN, VALIDATION) if develop else (VALIDATION, TEST)
        found, task = [], build_task(project)
        for seed in range(seeds):
            note(f"{project.model.family}, {steps} hours, seed {seed}")
            fitted = fit_with_progress(project, parts, seed)
            task = fitted.predictor.task
            mse, mae = errors(lambda h, by=fitted.predictor: predict(by, h), whole, steps, begin, end)  # type: ignore[misc]
            found.append(mse)
            name = f"{project.model.family}, seed {seed}"
            weights = sum(p.numel() for p in fitted.predictor.family.parameters())
            cells = [f"{mse:.4f}", f"{mae:.4f}", weights, fitted.best_epoch, f"{fitted.cpu_seconds:.0f}"]
            rows.append([steps, name, *cells])
            note(f"MSE {mse:.4f}, MAE {mae:.4f}")
        for name, baseline in task.baselines.items():
            mse, mae = errors(baseline(project, task, parts), whole, steps, begin, end)
            rows.append([steps, name, f"{mse:.4f}", f"{mae:.4f}", None, None, None])
        if steps in BARS:
            holds = float(np.median(found)) <= BARS[steps]
            missed += [] if holds else [steps]
            said = f"median; bar {BARS[steps]:g} {'holds' if holds else 'MISSED'}"
            rows.append([steps, said, f"{np.median(found):.4f}", None, None, None, None])
    part = "validation" if develop else "test"
    click.echo(render(["hours", f"on {part} rows", "MSE", "MAE", "weights", "best epoch", "CPU s"], rows))
    sys.exit(bool(missed))


def errors(model: Predict, whole: History, steps: int, begin: int, end: int) -> tuple[float, float]:
    """MSE and MAE over every window whose `steps` targets lie in rows `begin` … `end - 1`; all rows before them run
    through the model. Z-scores are counted here, from the rows that taught alone.
    """
    (answers,) = model([whole.window(0, end)])
    mean, deviation = whole.x[:TRAIN].mean(0), whole.x[:TRAIN].std(0)
    z = (whole.x.astype(np.float64) - mean) / deviation
    froms = np.arange(begin - 1, end - steps)
    found = (answers[froms].reshape(len(froms), steps, -1).astype(np.float64) - mean) / deviation
    gap = found - z[froms[:, None] + 1 + np.arange(steps)]
    return float((gap**2).mean()), float(np.abs(gap).mean())


if __name__ == "__main__":
    main()
