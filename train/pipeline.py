"""The whole of `edge train`: histories in, a run folder out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.errors import DataError
from edge.spec import Project
from edge.talk import note, progress
from train.build import build_family, build_task
from train.data.calibration import calibration
from train.data.gather import check_apart, gather, gather_test
from train.data.history import History
from train.data.split import Split, check_later, split
from train.evaluate import Judged, judge
from train.fit import Fitted, fit
from train.infer import predict
from train.picture import picture
from train.report import render_report, report_of
from train.run import PICTURE, REPORT_TEXT, Run, check_free, save_run
from train.tasks.base import UNKNOWN


def train_run(project: Project, folder: Path) -> Run:
    """Fit the project's model, judge it beside the baselines on held-out machines, and write the run folder.

    Talks on stderr. Raises ProjectError for the project, DataError for the histories or a folder that cannot be used.
    """
    check_free(folder)
    check_model(project)
    parts = prepare(project)
    fitted = fit_with_progress(project, parts)
    task, project = fitted.predictor.task, fitted.predictor.project
    judged: dict[str, Judged] = {project.model.family: judge(task, parts.test, lambda h: predict(fitted.predictor, h))}
    for name, baseline in task.baselines.items():
        judged[name] = judge(task, parts.test, baseline(project, task, parts))
    report = report_of(project, fitted, parts, judged)
    kept = calibration([*parts.train, *parts.validation])
    run = Run(project, fitted.predictor, parts.test, kept, report)
    pictured = picture(project, task, parts.test, predict(fitted.predictor, parts.test), judged)
    save_run(folder, run, {REPORT_TEXT: render_report(report).encode() + b"\n", PICTURE: pictured})
    return run


def check_model(project: Project) -> None:
    """Raises ProjectError for an unknown task, family or key, before any file is read."""
    task = build_task(project)
    build_family(project, len(project.channels), task.width)


def prepare(project: Project) -> Split:
    """Histories gathered and dealt out, with the notes about them told. Raises DataError."""
    histories, test = told(project), tested(project)
    task = build_task(project)
    if test is not None:
        (check_apart if task.lasting else check_later)(histories, test)
    parts = split(histories, project, test, lasting=task.lasting)
    if not any(task.judged(h) for h in parts.test):
        raise DataError(UNKNOWN)
    return parts


def told(project: Project) -> list[History]:
    """The histories of `data.path`; what is odd about them is told."""
    gathered = gather(project)
    tell(gathered.notes)
    return gathered.histories


def tested(project: Project) -> list[History] | None:
    """The histories of `data.test`, if any; what is odd about them is told."""
    gathered = gather_test(project)
    if gathered is None:
        return None
    tell(gathered.notes)
    return gathered.histories


TOLD = 12
"""Notes told one by one; a fleet with a habit would otherwise bury the report."""


def tell(notes: Sequence[str]) -> None:
    """Notes on stderr, the first of them one by one, the rest counted."""
    for line in notes[:TOLD]:
        note(f"note: {line}")
    if len(notes) > TOLD:
        note(f"note: … and {len(notes) - TOLD} more notes")


def fit_with_progress(project: Project, parts: Split, seed: int | None = None) -> Fitted:
    """`fit` on one thread under a progress bar that shows the best validation error so far."""
    unit = build_task(project).exam_unit
    with progress(f"fitting {project.model.family}", project.train.epochs) as advance:
        return fit(
            project,
            parts.train,
            parts.validation,
            seed=seed,
            told=lambda done, error: advance(1, f"validation error {error:.3g} {unit}".rstrip()),
        )
