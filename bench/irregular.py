"""C-MAPSS with holes: what is lost when readings, or single values, are dropped at random in training and test alike.

    python bench/irregular.py -o irregular.json        # FD001, 40 % dropped; goes on where the file ends
    python bench/irregular.py --develop                # cross-validated on training engines, for choices

Lives are counted in time, so a dropped reading still counts as a cycle. Of a training engine the last reading stays: it
says when the engine failed. A test engine is asked at the last reading that is left of it. Exits with 1 where neither
family for irregular readings is within BAR of itself on full data. Test engines only report.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge.atomic import writing
from edge.readers.base import find
from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.cv import cross_validate, render_cv
from train.evaluate import judge
from train.infer import predict
from train.pipeline import fit_with_progress, prepare

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
FAMILIES = {"gru": ("hidden=32", "dropout=0.1"), "gru_d": ("hidden=32", "dropout=0.1"), "ode_rnn": ("hidden=32",)}
"""Keys of `[model]` that each begins with."""

DROPS = ("nothing", "readings", "values")
BAR = 1.5
"""Largest loss of RMSE, in cycles, with readings dropped."""

SENSORS = slice(5, 26)
"""Fields of a row that are values of sensors."""


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), help="JSON file that keeps every figure.")
@click.option("--families", default=",".join(FAMILIES), show_default=True, help="Families to compare.")
@click.option("--drops", default=",".join(DROPS), show_default=True, help="What is dropped.")
@click.option("--share", default=0.4, show_default=True, help="Share that is dropped.")
@click.option("--seeds", default=3, show_default=True, help="Trainings of each, each with holes of its own.")
@click.option("--develop", is_flag=True, help="Three-fold cross-validation of training engines instead.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(
    out: Path | None, families: str, drops: str, share: float, seeds: int, develop: bool, overrides: tuple[str, ...]
) -> None:
    """Train on full and on thinned FD001, judge on the test engines thinned alike."""
    found: dict[str, Any] = json.loads(out.read_text()) if out is not None and out.exists() else {}
    for seed in range(1 if develop else seeds):
        for dropped in drops.split(","):
            for family in families.split(","):
                key = f"{family} {dropped} {seed}"
                if key in found:
                    continue
                note(key)
                with tempfile.TemporaryDirectory() as folder:
                    project = _project(family, _thinned(Path(folder), dropped, share, seed), overrides)
                    if develop:
                        click.echo(f"{key}\n{render_cv(cross_validate(project, 3))}\n")
                        continue
                    found[key] = _judged(project, seed)
                if out is not None:
                    with writing(out) as file:
                        file.write((json.dumps(found, indent=1) + "\n").encode())
    if not develop:
        medians = dict(_medians(found, families.split(","), drops.split(",")))
        click.echo(_text(medians))
        sys.exit(not _held(medians))


def _project(family: str, paths: dict[str, Path], overrides: tuple[str, ...]) -> Project:
    model = [f"model.family={family}", *(f"model.{option}" for option in FAMILIES.get(family, ()))]
    data = [f"data.{key}={json.dumps(str(path))}" for key, path in paths.items()]
    return load_project(EXAMPLE, ["task.count=time", *model, *data, *overrides])


def _judged(project: Project, seed: int) -> dict[str, float]:
    parts = prepare(project)
    fitted = fit_with_progress(project, parts, seed)
    judged = judge(fitted.predictor.task, parts.test, lambda h: predict(fitted.predictor, h))
    seen = {key: figure.value for key, figure in judged.by_history.items() if key != "all"}
    figures = {key: figure.value for key, figure in judged.figures.items()}
    return {**figures, **seen, "cpu_seconds": fitted.cpu_seconds}


def _thinned(folder: Path, dropped: str, share: float, seed: int) -> dict[str, Path]:
    """The files of the example with holes, under their own names, so that engines are split as ever."""
    data = load_project(EXAMPLE).data
    train, test = (find(path)[0] for path in (data.path, data.test) if path is not None)
    truth = test.with_name(test.name.replace("test_", "RUL_"))
    rng = np.random.default_rng([seed, 4])
    rows, _ = _holes(_units(train), dropped, share, rng, keep_last=True)
    (folder / train.name).write_text(rows)
    rows, behind = _holes(_units(test), dropped, share, rng, keep_last=False)
    (folder / test.name).write_text(rows)
    left = [float(line) + more for line, more in zip(truth.read_text().split(), behind, strict=True)]
    (folder / truth.name).write_text("".join(f"{cycles:g}\n" for cycles in left))
    return {"path": folder / train.name, "test": folder / test.name}


def _units(path: Path) -> Iterator[list[list[str]]]:
    """The rows of each engine."""
    unit: list[list[str]] = []
    for line in path.read_text().splitlines():
        row = line.split()
        if unit and row[0] != unit[0][0]:
            yield unit
            unit = []
        unit.append(row)
    yield unit


def _holes(
    units: Iterator[list[list[str]]], dropped: str, share: float, rng: np.random.Generator, keep_last: bool
) -> tuple[str, list[int]]:
    """The text that is left, and the cycles from the last reading left of each engine to its last one."""
    lines, behind = [], []
    for unit in units:
        kept = rng.random(len(unit)) >= (share if dropped == "readings" else 0.0)
        kept[:1] = True
        kept[-1] |= keep_last
        behind.append(len(unit) - 1 - int(np.flatnonzero(kept)[-1]))
        for row, stays in zip(unit, kept, strict=True):
            if stays and dropped == "values":
                gone = rng.random(len(row[SENSORS])) < share
                row[SENSORS] = ["nan" if lost else cell for cell, lost in zip(row[SENSORS], gone, strict=True)]
            if stays:
                lines.append(" ".join(row))
    return "\n".join(lines) + "\n", behind


def _medians(
    found: dict[str, Any], families: list[str], drops: list[str]
) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
    for family in families:
        for dropped in drops:
            runs = [figures for key, figures in found.items() if key.startswith(f"{family} {dropped} ")]
            if runs:
                yield (family, dropped), {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _held(medians: dict[tuple[str, str], dict[str, float]]) -> bool:
    losses = [
        medians[family, "readings"]["capped"] - medians[family, "nothing"]["capped"]
        for family in ("gru_d", "ode_rnn")
        if (family, "readings") in medians and (family, "nothing") in medians
    ]
    return bool(losses) and min(losses) <= BAR


def _text(medians: dict[tuple[str, str], dict[str, float]]) -> str:
    rows = []
    for (family, dropped), of in medians.items():
        whole = medians.get((family, "nothing"))
        loss = "" if whole is None or dropped == "nothing" else f"{of['capped'] - whole['capped']:+.2f}"
        rows.append([family, dropped, of["capped"], loss, *(of[k] for k in KEYS)])
    return render(["family", "dropped", "capped RMSE", "loss", *HEADS], rows)


KEYS = ("raw", "every", "30", "50", "cpu_seconds")
HEADS = ("raw", "every reading", "30 seen", "50 seen", "CPU s")


if __name__ == "__main__":
    main()
