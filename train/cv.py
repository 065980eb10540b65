"""Cross-validation over training machines: the quiet yardstick on which choices are made."""

from __future__ import annotations

from typing import Any

from edge.spec import Project
from edge.table import render
from edge.talk import progress
from train import intervals
from train.build import build_task
from train.data.history import machines
from train.evaluate import Figure
from train.folding import Answers, deal, epochs_in, examiner, figures, teach
from train.infer import predict
from train.pipeline import check_model, told
from train.report import around, cell, verdict
from train.tasks.base import Predict, Task


def cross_validate(project: Project, count: int) -> dict[str, Any]:
    """Headline error on every training machine, each answered by a model that never saw the machine.

    The project's model and the baselines answer the same questions, so their differences are paired. `data.test` is not
    opened. Raises DataError for machines too few, ProjectError for a project that cannot be built.
    """
    check_model(project)
    histories = told(project)
    project = build_task(project).study(project, histories)
    task = examiner(project, histories)
    names = [project.model.family, *task.baselines]
    answers: dict[str, list[Answers]] = {name: [] for name in names}
    seconds = []
    epochs = epochs_in(project)
    exam = deal(project, task, histories, count)
    unseen: list[intervals.Answers] = []
    with progress(f"cross-validating {project.model.family}", count * epochs) as advance:
        for fold in exam:
            seen = 0

            def step(done: int, error: float, fold: int = fold.place) -> None:
                nonlocal seen
                seen += 1
                advance(1, f"fold {fold + 1}: validation error {error:.3g}")

            fitted = teach(project, fold, project.train.seed + fold.place, step)
            advance(epochs - seen, "")
            seconds.append(fitted.cpu_seconds)
            models: dict[str, Predict] = {names[0]: lambda h, by=fitted.predictor: predict(by, h)}  # type: ignore[misc]
            models |= {name: fitted_by(project, task, fold.parts) for name, fitted_by in task.baselines.items()}
            unseen.append(intervals.ask(fitted.predictor, fold.parts.test))
            for name, model in models.items():
                answers[name].append(fold.examine(model))
    by_model = {name: figures(task, exam, [answers[name]]) for name in names}
    found = {question: {name: by_model[name][question] for name in names} for question in task.questions}
    report = _report(project, task, count, found, seconds, len(machines(histories)))
    return report | ({"intervals": intervals.crosswise(task, unseen)} if task.reaches else {})


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
            *around(report.get("intervals", [])),
        ]
    )
