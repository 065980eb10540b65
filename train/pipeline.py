"""The whole of `edge train`: histories in, a run folder out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge.errors import DataError, ProjectError
from edge.spec import Project, PruneSpec, overridden
from edge.talk import note, progress
from train.build import build_family, build_task
from train.checkpoint import YOUNGER, Checkpoint, fingerprint, histories_sha256, weights_of
from train.data.calibration import calibration
from train.data.gather import check_apart, gather, gather_test
from train.data.history import History
from train.data.split import Split, check_later, split
from train.evaluate import Judged, judge
from train.fit import Fitted, Lived, Told, fit
from train.infer import predict
from train.intervals import Answers, epochs_asked, judged_all, out_of_fold, rounds, shortfall, tables
from train.picture import picture
from train.prune import check_prunable, epochs_of, prune, pruned_report
from train.report import render_report, report_of
from train.report_html import page
from train.run import PICTURE, REPORT_PAGE, REPORT_TEXT, Run, check_free, save_run
from train.tasks.base import UNKNOWN


def train_run(project: Project, folder: Path, *, fresh: bool = False) -> Run:
    """Fit the project's model, prune it where `[prune]` says so, judge it beside the baselines on held-out machines,
    and write the run folder.

    One that was interrupted goes on where it was, unless `fresh`. Talks on stderr. Raises ProjectError for the project,
    DataError for the histories or a folder that cannot be used.
    """
    check_free(folder)
    check_model(project)
    parts = prepare(project)
    project = build_task(project).study(project, [*parts.train, *parts.validation], parts.test)
    with resuming(folder, project, parts, b"", fresh) as checkpoint:
        fitted = fit_with_progress(project, parts, checkpoint=checkpoint)
        return _finish(folder, parts, fitted, ask_with_progress(project, parts, checkpoint=checkpoint))


def prune_run(run: Run, spec: PruneSpec, folder: Path, *, overrides: Sequence[str] = (), fresh: bool = False) -> Run:
    """Cut a fitted run down as `spec` says, on the machines it was fitted to, and write the smaller one to `folder`.

    Goes on, talks and raises as `train_run` does; DataError, too, where the histories are no longer what they were.
    """
    check_free(folder)
    project = overridden(replace(run.project, prune=spec), overrides)
    if replace(project, data=run.project.data, train=run.project.train, prune=run.project.prune) != run.project:
        raise ProjectError("a fitted model keeps its project: only [data], [train] and [prune] can be overridden here")
    check_model(project)
    parts = prepare(project)
    every = [*parts.train, *parts.validation, *parts.test]
    if run.report["histories"] not in (histories_sha256(every), histories_sha256(every, but=YOUNGER)):
        raise DataError(
            f"the histories in `{project.data.path}`, or who holds them back, are not what the run was fitted to: its "
            "held-out machines might teach; say where they are with --set data.path=…, or train again"
        )
    predictor = copy.deepcopy(run.predictor)
    predictor.project = project
    courses = tuple(Lived.of(table) for table in run.report["fit"]["courses"])
    whole = Fitted(predictor, run.report["fit"]["validation_error"], courses)
    with resuming(folder, project, parts, weights_of(predictor), fresh) as checkpoint:
        small = prune_with_progress(whole, parts, checkpoint=checkpoint)
        return _finish(folder, parts, small, ask_with_progress(project, parts, checkpoint=checkpoint))


def _finish(folder: Path, parts: Split, fitted: Fitted, answers: Answers) -> Run:
    """Judge, report, draw, save; `answers` of models that never saw the machine make the intervals."""
    project, task = fitted.predictor.project, fitted.predictor.task
    judged: dict[str, Judged] = {project.model.family: judge(task, parts.test, lambda h: predict(fitted.predictor, h))}
    for name, baseline in task.baselines.items():
        judged[name] = judge(task, parts.test, baseline(project, task, parts))
    report = report_of(project, fitted, parts, judged)
    report["histories"] = histories_sha256([*parts.train, *parts.validation, *parts.test])
    if fitted.before is not None:
        report["pruned"] = pruned_report(fitted.before, fitted, parts, judged[project.model.family])
    intervals = tables(task, answers)
    if task.reaches:
        report["notes"] += shortfall(task, parts, answers)
        report["intervals"] = judged_all(fitted.predictor, intervals, parts.test)
    kept = calibration([*parts.train, *parts.validation])
    run = Run(project, fitted.predictor, parts.test, kept, report, intervals)
    predictions = predict(fitted.predictor, parts.test)
    beside = {
        REPORT_TEXT: render_report(report).encode() + b"\n",
        REPORT_PAGE: page(run, predictions, judged).encode(),
        PICTURE: picture(project, task, parts.test, predictions, judged),
    }
    save_run(folder, run, beside)
    note(f"see {folder / REPORT_PAGE}")
    return run


@contextmanager
def resuming(folder: Path, project: Project, parts: Split, more: bytes, fresh: bool) -> Iterator[Checkpoint]:
    """The checkpoint beside `folder`: what it resumes is told, and it is gone when the block ends well."""
    mark = fingerprint(project, parts.train, parts.validation, more=more)
    checkpoint = Checkpoint(folder.absolute().with_name(f".{folder.absolute().name}.resume"), mark)
    if fresh:
        checkpoint.drop()
    elif checkpoint.epochs:
        note(f"resuming `{folder}`, interrupted behind epoch {checkpoint.epochs}; --fresh starts anew")
    elif checkpoint.foreign:
        note(f"`{folder}` was interrupted under another project, other histories or another version; starting anew")
    try:
        yield checkpoint
    except (KeyboardInterrupt, SystemExit):
        if checkpoint.epochs:
            kept = "1 epoch is" if checkpoint.epochs == 1 else f"{checkpoint.epochs} epochs are"
            note(f"{kept} kept; the same command goes on from there")
        raise
    checkpoint.drop()


def check_model(project: Project) -> None:
    """Raises ProjectError for an unknown task, family or key, or one that cannot be pruned, before any file is read."""
    task = build_task(project)
    build_family(project, len(project.channels), task.width)
    if project.prune.amount:
        check_prunable(project)


def prepare(project: Project) -> Split:
    """Histories gathered and dealt out, with the notes about them told. Raises DataError."""
    histories, test = told(project), tested(project)
    task = build_task(build_task(project).study(project, histories, test or []))
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


def fit_with_progress(
    project: Project, parts: Split, seed: int | None = None, checkpoint: Checkpoint | None = None
) -> Fitted:
    """`fit` on one thread, and `prune` where the project says so, under a bar with the best validation error so far."""
    with _progress(f"fitting {project.model.family}", project, project.train.epochs) as told:
        fitted = fit(project, parts.train, parts.validation, seed=seed, told=told, checkpoint=checkpoint)
    if not project.prune.amount:
        return fitted
    return prune_with_progress(fitted, parts, seed, checkpoint)


def prune_with_progress(
    whole: Fitted,
    parts: Split,
    seed: int | None = None,
    checkpoint: Checkpoint | None = None,
    spec: PruneSpec | None = None,
) -> Fitted:
    """`prune` on one thread under a bar."""
    project = whole.predictor.project
    project = project if spec is None else replace(project, prune=spec)
    with _progress(f"pruning {project.model.family}", project, epochs_of(project)) as told:
        teachers = (parts.train, parts.validation)
        return prune(whole, *teachers, spec=project.prune, seed=seed, told=told, checkpoint=checkpoint)


def ask_with_progress(
    project: Project, parts: Split, seed: int | None = None, checkpoint: Checkpoint | None = None
) -> Answers:
    """`out_of_fold` on one thread under a bar; nothing where the project asks for no intervals."""
    count = rounds(project, parts)
    if not count:
        return {}
    with _progress(f"intervals of {project.model.family}", project, count * epochs_asked(project)) as told:
        return out_of_fold(project, parts, seed=seed, told=told, checkpoint=checkpoint)


@contextmanager
def _progress(label: str, project: Project, epochs: int) -> Iterator[Told]:
    """A bar that takes what a course tells, one course behind the other."""
    unit = build_task(project).exam_unit
    with progress(label, epochs) as advance:
        seen = 0

        def told(done: int, error: float) -> None:
            nonlocal seen
            advance(done - seen if done > seen else done, f"validation error {error:.3g} {unit}".rstrip())
            seen = done

        yield told
