"""Cross-validation over training machines: the quiet yardstick on which choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.spec import Project
from edge.table import render
from edge.talk import progress
from train.build import build_task
from train.data.history import History, machines
from train.data.scale import Scaler
from train.data.split import cuts, folds, split
from train.evaluate import Figure, ask, tally, truth_of
from train.fit import fit
from train.infer import predict
from train.pipeline import check_model, told
from train.prune import epochs_of, prune
from train.report import cell, verdict
from train.tasks.base import Array, Predict, Question, Task

FOLD_SEED = 100
"""Seed of folds and cut-offs: every model, option and day meets the same questions."""

Answers = dict[tuple[str, str], list[Array]]
"""By question and model, what was answered."""


def cross_validate(project: Project, count: int) -> dict[str, Any]:
    """Headline error on every training machine, each answered by a model that never saw the machine.

    The project's model and the baselines answer the same questions, so their differences are paired. `data.test` is not
    opened. Raises DataError for machines too few, ProjectError for a project that cannot be built.
    """
    check_model(project)
    task = build_task(project)
    histories = told(project)
    project = task.study(project, histories)
    task = build_task(project)
    task.meet(Scaler.fit(task.taught(histories), project))  # one for all folds, which answer the same questions
    names = [project.model.family, *task.baselines]
    asked: dict[str, tuple[list[History], list[Array]]] = {q: ([], []) for q in task.questions}
    answers: Answers = {(q, name): [] for q in task.questions for name in names}
    seconds = []
    epochs = project.train.epochs + (epochs_of(project) if project.prune.amount else 0)
    with progress(f"cross-validating {project.model.family}", count * epochs) as advance:
        for fold, (others, held) in enumerate(folds(histories, count, FOLD_SEED, lasting=task.lasting)):
            parts = split(others, project, held, lasting=task.lasting)
            seen = 0

            def step(done: int, error: float, fold: int = fold) -> None:
                nonlocal seen
                seen += 1
                advance(1, f"fold {fold + 1}: validation error {error:.3g}")

            asked_of = (parts.train, parts.validation)
            fitted = fit(project, *asked_of, seed=project.train.seed + fold, told=step)
            if project.prune.amount:
                fitted = prune(fitted, *asked_of, seed=project.train.seed + fold, told=step)
            advance(epochs - seen, "")
            seconds.append(fitted.cpu_seconds)
            models: dict[str, Predict] = {names[0]: lambda h, by=fitted.predictor: predict(by, h)}  # type: ignore[misc]
            models |= {name: fitted_by(project, task, parts) for name, fitted_by in task.baselines.items()}
            judges = [h for h in held if task.tells(h)]
            for question, of in task.questions.items():
                about, truths, answered = put(project, task, judges, models, of)
                asked[question][0].extend(about)
                asked[question][1].extend(truths)
                for name, given in answered.items():
                    answers[question, name] += given
    headline = task.measures[0]
    found = {q: {n: tally(headline, asked[q][0], answers[q, n], asked[q][1]) for n in names} for q in task.questions}
    return _report(project, task, count, found, seconds, len(machines(histories)))


def put(
    project: Project, task: Task, judges: Sequence[History], models: dict[str, Predict], of: Question
) -> tuple[list[History], list[Array], dict[str, list[Array]]]:
    """One question put to all models: the histories it is about, the truth, and what each model answers."""
    drawn = cuts(judges, FOLD_SEED, of.starts, of.each, project.timing.warm_up_readings, of.mid_life)
    if task.measures[0].at == "record":
        windows = [h.window(c.start, len(h)) for c in drawn if task.judged(h := judges[c.index])]
        windows = [w for w in windows if task.judged(w)]
        return windows, [truth_of(task, w) for w in windows], {name: model(windows) for name, model in models.items()}
    truths = [truth_of(task, judges[c.index])[c.stop - 1 : c.stop] for c in drawn]
    keep = [i for i, truth in enumerate(truths) if not np.isnan(truth).any()]
    drawn = [drawn[i] for i in keep]
    answered = {name: ask(model, judges, drawn) for name, model in models.items()}
    return [judges[c.index] for c in drawn], [truths[i] for i in keep], answered


def _report(
    project: Project, task: Task, count: int, found: dict[str, dict[str, Figure]], seconds: list[float], fleet: int
) -> dict[str, Any]:
    model = project.model.family
    return {
        "project": project.name,
        "model": model,
        "headline": task.headline,
        "folds": count,
        "machines": fleet,
        "cpu_seconds_a_fit": round(sum(seconds) / len(seconds), 1),
        "questions": {
            question: {
                "models": {name: figure.plain() for name, figure in figures.items()},
                "behind": {name: figures[name].less(figures[model]) for name in figures if name != model},
                "verdict": task.silence or verdict(figures),
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
        [question, name, f"{gap:+.3g}", f"{low:+.3g} to {high:+.3g}"]
        for question, of in questions.items()
        for name, (gap, low, high) in of["behind"].items()
    ]
    return "\n".join(
        [
            f"{report['project']}: {report['folds']} folds over {report['machines']} training machines, "
            f"{report['cpu_seconds_a_fit']:.0f} CPU seconds a fit",
            "",
            render([report["headline"], *names], rows),
            "",
            render(["against the model", "baseline", "behind by", "95 % interval"], gaps),
            "",
            *(f"{question}: {of['verdict']}" for question, of in questions.items()),
        ]
    )
