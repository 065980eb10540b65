"""Cross-validation over training machines: the quiet yardstick on which choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.spec import Project
from edge.table import render
from edge.talk import progress
from train.baselines import BASELINES
from train.build import build_task
from train.data.history import History, machines
from train.data.split import Cut, cuts, folds, split
from train.evaluate import Figure, Predict, ask, tally, truth_of
from train.fit import fit
from train.infer import predict
from train.pipeline import check_model, told
from train.prune import epochs_of, prune
from train.report import cell, verdict
from train.tasks.base import Array, Task

FOLD_SEED = 100
"""Seed of folds and cut-offs: every model, option and day meets the same questions."""

QUESTIONS = {"seen from the first reading": (1, 20, False), "seen from mid-life on": (5, 4, True)}
"""Name -> (first readings a life, cut-offs behind each, are first readings random)."""


def cross_validate(project: Project, count: int) -> dict[str, Any]:
    """Headline error at random cut-offs of every training machine, each answered by a model that never saw the machine.

    The project's model and the baselines answer the same questions, so their differences are paired. `data.test` is not
    opened. Raises DataError for machines too few, ProjectError for a project that cannot be built.
    """
    check_model(project)
    task = build_task(project)
    histories = told(project)
    names = [project.model.family, *BASELINES]
    asked: dict[str, tuple[list[History], list[Array]]] = {q: ([], []) for q in QUESTIONS}
    answers: dict[tuple[str, str], list[Array]] = {(q, name): [] for q in QUESTIONS for name in names}
    seconds = []
    epochs = project.train.epochs + (epochs_of(project) if project.prune.amount else 0)
    with progress(f"cross-validating {project.model.family}", count * epochs) as advance:
        for fold, (others, held) in enumerate(folds(histories, count, FOLD_SEED)):
            parts = split(others, project, held)
            seen = 0

            def step(done: int, error: float, fold: int = fold) -> None:
                nonlocal seen
                seen += 1
                advance(1, f"fold {fold + 1}: validation error {error:.1f}")

            asked_of = (parts.train, parts.validation)
            fitted = fit(project, *asked_of, seed=project.train.seed + fold, told=step)
            if project.prune.amount:
                fitted = prune(fitted, *asked_of, seed=project.train.seed + fold, told=step)
            advance(epochs - seen, "")
            seconds.append(fitted.cpu_seconds)
            models: dict[str, Predict] = {names[0]: lambda h, by=fitted.predictor: predict(by, h)}  # type: ignore[misc]
            models |= {name: fitted_by(project, task, parts) for name, fitted_by in BASELINES.items()}
            judges = [h for h in held if task.truth(h) is not None]
            for question, (starts, each, mid_life) in QUESTIONS.items():
                drawn = cuts(judges, FOLD_SEED, starts, each, project.timing.warm_up_readings, mid_life)
                asked[question][0].extend(judges[c.index] for c in drawn)
                asked[question][1].extend(_truth(task, judges, c) for c in drawn)
                for name, model in models.items():
                    answers[question, name] += ask(model, judges, drawn)
    headline = task.measures[0]
    found = {q: {n: tally(headline, *_pair(asked[q], answers[q, n])) for n in names} for q in QUESTIONS}
    return _report(project, count, found, seconds, len(machines(histories)))


def _pair(
    asked: tuple[list[History], list[Array]], answers: list[Array]
) -> tuple[Sequence[History], list[Array], list[Array]]:
    return asked[0], answers, asked[1]


def _truth(task: Task, histories: Sequence[History], cut: Cut) -> Array:
    return truth_of(task, histories[cut.index])[cut.stop - 1 : cut.stop]


def _report(
    project: Project, count: int, found: dict[str, dict[str, Figure]], seconds: list[float], fleet: int
) -> dict[str, Any]:
    model = project.model.family
    return {
        "project": project.name,
        "model": model,
        "folds": count,
        "machines": fleet,
        "cpu_seconds_a_fit": round(sum(seconds) / len(seconds), 1),
        "questions": {
            question: {
                "models": {name: figure.plain() for name, figure in figures.items()},
                "behind": {name: figures[name].less(figures[model]) for name in figures if name != model},
                "verdict": verdict(figures),
            }
            for question, figures in found.items()
        },
    }


def render_cv(report: dict[str, Any]) -> str:
    """The report of `cross_validate` as text."""
    questions = report["questions"]
    names = list(next(iter(questions.values()))["models"])
    rows = [[question, *(cell(of["models"][name]) for name in names)] for question, of in questions.items()]
    gaps = [
        [question, name, f"{gap:+.2f}", f"{low:+.2f} to {high:+.2f}"]
        for question, of in questions.items()
        for name, (gap, low, high) in of["behind"].items()
    ]
    return "\n".join(
        [
            f"{report['project']}: {report['folds']} folds over {report['machines']} training machines, random "
            f"cut-offs, {report['cpu_seconds_a_fit']:.0f} CPU seconds a fit",
            "",
            render(["RMSE at random cut-offs", *names], rows),
            "",
            render(["against the model", "baseline", "behind by", "95 % interval"], gaps),
            "",
            *(f"{question}: {of['verdict']}" for question, of in questions.items()),
        ]
    )
