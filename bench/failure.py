"""C-MAPSS as people meet it who ask "will it fail within the next 30 cycles?": the failure task beside its baselines.

    python bench/failure.py

Leads, warnings and false alarms need whole lives, so they come from cross-validation over the training engines: each is
answered by a model that never saw it. Log loss and precision are repeated on the test engines, whose records end before
the failure. Settings are those of examples/turbofan.toml, chosen there for remaining useful life, with fewer epochs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.build import build_task
from train.data.gather import gather, gather_test
from train.data.history import History, machines
from train.data.split import folds, split
from train.evaluate import Judged, judge
from train.infer import predict
from train.pipeline import fit_with_progress
from train.tasks.alarms import MONTH_S
from train.tasks.base import Array, Predict

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
FILES = ("FD001", "FD003")
SETTINGS = ("task.kind=failure", "task.horizon=30", "alarm.hold_readings=3", "train.epochs=60", "train.patience=20")
FOLD_SEED = 100
BARS = {"precision": 0.8, "warned": 0.9}
"""Least average precision, and least share of failures warned of, cross-validated."""


@click.command()
@click.option("--folds", "count", default=3, show_default=True, help="Folds of the cross-validation.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(count: int, overrides: tuple[str, ...]) -> None:
    """Cross-validate on the training engines, then judge the test engines; exit 1 where a bar is missed."""
    missed = False
    for file in FILES:
        project = _project(file, overrides)
        task = build_task(project)
        lives = gather(project).histories
        crossed = {name: judge(task, lives, by) for name, by in _crossed(project, lives, count).items()}
        click.echo(f"{file}, {len(machines(lives))} training engines in {count} folds\n{_text(crossed)}\n")
        test = gather_test(project)
        assert test is not None
        parts = split(lives, project, test.histories)
        fitted = fit_with_progress(project, parts).predictor
        models: dict[str, Predict] = {project.model.family: lambda h, by=fitted: predict(by, h)}  # type: ignore[misc]
        models |= {name: baseline(project, task, parts) for name, baseline in task.baselines.items()}
        judged = {name: judge(task, parts.test, model) for name, model in models.items()}
        click.echo(f"{file}, {len(machines(parts.test))} test engines\n{_text(judged)}\n")
        for key, bar in BARS.items():
            value = crossed[project.model.family].figures[key].value
            missed |= not value >= bar
            click.echo(f"{file} {key}: {value:.3f}, bar {bar:g}: {'holds' if value >= bar else 'MISSED'}")
    sys.exit(missed)


def _project(file: str, overrides: tuple[str, ...]) -> Project:
    given = load_project(EXAMPLE, [*SETTINGS, *overrides])
    paths = {key: Path(str(getattr(given.data, key)).replace("FD001", file)).absolute() for key in ("path", "test")}
    moved = [f"data.{key}={json.dumps(str(path))}" for key, path in paths.items()]
    return load_project(EXAMPLE, [*SETTINGS, *overrides, *moved])


def _crossed(project: Project, lives: Sequence[History], count: int) -> dict[str, Predict]:
    """Each model, answering every engine with the one of its fits that never saw it."""
    task = build_task(project)
    fits: dict[str, dict[str, Predict]] = {name: {} for name in (project.model.family, *task.baselines)}
    for fold, (others, held) in enumerate(folds(lives, count, FOLD_SEED)):
        note(f"{project.data.path.rpartition('/')[2]}, fold {fold + 1} of {count}")
        parts = split(others, project, held)
        fitted = fit_with_progress(project, parts, project.train.seed + fold).predictor
        models: dict[str, Predict] = {project.model.family: lambda h, by=fitted: predict(by, h)}  # type: ignore[misc]
        models |= {name: baseline(project, task, parts) for name, baseline in task.baselines.items()}
        for name, model in models.items():
            fits[name].update(dict.fromkeys(machines(held), model))
    return {name: _routed(by) for name, by in fits.items()}


def _routed(by: dict[str, Predict]) -> Predict:
    def answer(histories: Sequence[History]) -> list[Array]:
        answers: dict[int, Array] = {}
        for model in dict.fromkeys(by.values()):
            places = [i for i, h in enumerate(histories) if by[h.machine] is model]
            answers |= dict(zip(places, model([histories[i] for i in places]), strict=True))
        return [answers[i] for i in range(len(histories))]

    return answer


def _text(models: dict[str, Judged]) -> str:
    rows = []
    for name, of in models.items():
        cells = []
        for key in ("every", "precision", "rate", "warned", "lead", "false_alarms"):
            figure = of.figures[key]
            # A cycle counts as a second in these files: months say nothing, thousands of cycles do.
            value, (low, high) = figure.value, figure.interval
            if key == "false_alarms":
                value, low, high = (v * 1000 / MONTH_S for v in (value, low, high))
            cells.append("-" if value != value else f"{value:.3g} [{low:.3g}, {high:.3g}]")
        seen = [f"{of.by_history[s].value:.3f}" for s in ("30", "50", "100")]
        rows.append([name, *cells, " / ".join(seen)])
    header = ["", "log loss, bits", "average precision", "predicted / seen", "warned of", "lead, cycles",
              "false alarms in 1000 cycles", "log loss, 30/50/100 seen"]  # fmt: skip
    return render(header, rows)


if __name__ == "__main__":
    main()
