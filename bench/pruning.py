"""Figures of pruning on NASA C-MAPSS: a GRU-64 cut to a half and a quarter, against GRUs of those sizes from scratch.

    python bench/pruning.py -o pruning.json              # everything, about half an hour on one thread
    python bench/pruning.py --folds 2                    # a look

Cross-validated over FD001's training engines; test engines are never opened. All models answer the same questions at
random cut-offs, so their differences are paired. Exits with 1 where a bar is missed: where the pruned model is worse
than the one from scratch on the mean over folds, of both questions together.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats

from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.build import build_task
from train.data.split import Split
from train.evaluate import Figure
from train.fit import Fitted
from train.folding import deal, figures
from train.infer import predict
from train.pipeline import fit_with_progress, prune_with_progress, told
from train.tasks.base import Predict

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
WHOLE = 64
CUTS = {32: 0.5, 16: 0.75}
"""Units left -> share of the whole model's units that is cut."""

Found = dict[str, list[dict[str, Figure]]]
"""Question -> for each fold, the headline figure of each model."""


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), help="JSON file of all figures.")
@click.option("--folds", "count", default=5, show_default=True, help="Folds of the cross-validation.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(out: Path | None, count: int, overrides: tuple[str, ...]) -> None:
    """Fit, prune, fit from scratch and compare, in every fold."""
    project = load_project(EXAMPLE, overrides)
    task = build_task(project)
    found: Found = {question: [] for question in task.questions}
    seconds: dict[str, list[float]] = {}
    for fold in deal(project, task, told(project), count):
        note(f"fold {fold.place + 1} of {count}")
        fitted = _models(overrides, fold.parts, project.train.seed + fold.place)
        by_model = {}
        for name, one in fitted.items():
            seconds.setdefault(name, []).append(one.cpu_seconds)
            by_model[name] = figures(task, [fold], [[fold.examine(answering(one))]])
        for question in task.questions:
            found[question].append({name: of[question] for name, of in by_model.items()})
    report = report_of(found, seconds)
    click.echo(text(report))
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(not all(bar["held"] for bar in report["bars"]))


def _models(overrides: tuple[str, ...], parts: Split, seed: int) -> dict[str, Fitted]:
    """The whole model, what is cut out of it, and models of those sizes from scratch."""

    def project(*more: str) -> Project:
        return load_project(EXAMPLE, [*overrides, *more])

    whole = project(f"model.hidden={WHOLE}")
    made = {scratch(WHOLE): fit_with_progress(whole, parts, seed)}
    for left, amount in CUTS.items():
        spec = replace(whole.prune, amount=amount)
        made[pruned(left)] = prune_with_progress(made[scratch(WHOLE)], parts, seed, spec=spec)
        made[scratch(left)] = fit_with_progress(project(f"model.hidden={left}"), parts, seed)
    return made


def answering(fitted: Fitted) -> Predict:
    """What a fitted model answers."""
    return lambda histories: predict(fitted.predictor, histories)


def scratch(width: int) -> str:
    """Name of a model fitted from scratch."""
    return f"GRU-{width}"


def pruned(width: int) -> str:
    """Name of a model cut out of the whole one."""
    return f"{WHOLE} cut to {width}"


def report_of(found: Found, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Figures, paired differences and bars, as plain tables."""
    rmse = {
        question: {name: [fold[name].value for fold in by_fold] for name in by_fold[0]}
        for question, by_fold in found.items()
    }
    bars = []
    for left in CUTS:
        gaps = {q: np.subtract(of[pruned(left)], of[scratch(left)]).tolist() for q, of in rmse.items()}
        both = np.mean(list(gaps.values()), axis=0)
        rows = {question: paired(gap) for question, gap in gaps.items()} | {"both": paired(both.tolist())}
        bars.append({"left": left, "differences": rows, "held": rows["both"]["mean"] <= 0})
    return {"rmse": rmse, "cpu_seconds": {n: float(np.mean(s)) for n, s in seconds.items()}, "bars": bars}


def paired(gaps: list[float]) -> dict[str, Any]:
    """Mean of differences, a fold each, and the 95 % interval of Student's t."""
    mean, error = float(np.mean(gaps)), float(stats.sem(gaps)) if len(gaps) > 1 else float("inf")
    reach = error * float(stats.t.ppf(0.975, max(1, len(gaps) - 1)))
    return {"folds": gaps, "mean": mean, "low": mean - reach, "high": mean + reach}


def text(report: dict[str, Any]) -> str:
    """The report as text."""
    questions = list(report["rmse"])
    names = list(report["rmse"][questions[0]])
    rows: list[list[Any]] = [
        [name, *(f"{np.mean(report['rmse'][q][name]):.2f}" for q in questions), f"{report['cpu_seconds'][name]:.0f}"]
        for name in names
    ]
    lines = []
    for bar in report["bars"]:
        for question, of in bar["differences"].items():
            each = " ".join(f"{gap:+.2f}" for gap in of["folds"])
            said = f"{of['mean']:+.2f} [{of['low']:+.2f}, {of['high']:+.2f}]"
            lines.append(f"{pruned(bar['left'])} against {scratch(bar['left'])}, {question}: {said}; folds {each}")
        lines.append(f"  not worse: {'holds' if bar['held'] else 'MISSED'}")
    head = ["RMSE at random cut-offs, mean of folds", *questions, "CPU s"]
    return "\n".join([render(head, rows), "", "Paired differences, cycles, 95 % interval over folds:", *lines])


if __name__ == "__main__":
    main()
