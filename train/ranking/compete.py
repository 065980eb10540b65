"""The fits of a ranking: every family on every fold from every seed, every baseline on every fold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import DataError, MissingExtra, NotWritten, ProjectError
from edge.spec import ModelSpec, Project
from edge.talk import note, progress
from train.build import build_task
from train.checkpoint import fingerprint
from train.data.history import History
from train.evaluate import Figure
from train.fit import one_thread
from train.folding import Fold, deal, epochs_in, examiner, figures, teach
from train.infer import predict
from train.ranking.budget import Entrant
from train.ranking.store import Fit, Outcome, Store
from train.ranking.workers import Tell, work_through
from train.tasks.base import Task


@dataclass(frozen=True)
class Plan:
    """What is asked for: folds, seeds a family, processes, and the folder of finished fits."""

    folds: int
    seeds: int
    jobs: int
    folder: Path


@dataclass(frozen=True)
class Contestant:
    """What became of a family (`entrant`) or a baseline: its figures by question, or `why` there are none.

    `by_seed`: by question, the error of each seed alone. `cpu_seconds` is the mean of a fit. `first` is what the first
    seed left behind on the first fold.
    """

    name: str
    entrant: Entrant | None
    figures: dict[str, Figure]
    by_seed: dict[str, list[float]]
    cpu_seconds: float
    first: Outcome | None
    why: str = ""


def compete(project: Project, histories: Sequence[History], entered: Sequence[Entrant], plan: Plan) -> list[Contestant]:
    """All fits that are not in the plan's folder yet, and what all together found. Talks on stderr.

    Every model answers the questions of `edge train --cv`; a family's first seed is the very fit that it makes. Fits
    that fail take no other with them. Raises DataError for machines too few.
    """
    task = examiner(project, histories)
    exam = deal(project, task, histories, plan.folds)
    fits = _fits(project, histories, entered, plan)
    store = Store(plan.folder)
    found = {fit: outcome for fit in fits if (outcome := store.find(fit)) is not None}
    lost = {fit.name: outcome.why for fit, outcome in found.items() if outcome.why}
    missing = [fit for fit in fits if fit not in found and fit.name not in lost]
    if found:
        note(f"{len(found)} of {len(fits)} fits are in `{plan.folder}` already; --fresh makes all of them anew")
    elif any(store.path(fit).exists() for fit in fits):
        note(f"the fits in `{plan.folder}` are of another project, other histories or another version; starting anew")
    try:
        lost |= _made(project, histories, missing, plan)
    except (KeyboardInterrupt, SystemExit):
        kept = sum(store.find(fit) is not None for fit in fits)
        note(f"{kept} of {len(fits)} fits are kept in `{plan.folder}`; the same command goes on from there")
        raise
    found |= {fit: outcome for fit in missing if (outcome := store.find(fit)) is not None}
    lost |= {entrant.name: entrant.why for entrant in entered if entrant.why}
    of = {entrant.name: entrant for entrant in entered}
    made = []
    for name in dict.fromkeys([*of, *(fit.name for fit in fits)]):
        if name in lost:
            made.append(Contestant(name, of.get(name), {}, {}, 0.0, None, lost[name]))
            continue
        mine = [fit for fit in fits if fit.name == name]
        seeds = list(dict.fromkeys(fit.seed for fit in mine))
        sittings = [[found[fit].answers for fit in mine if fit.seed == seed] for seed in seeds]
        seconds = sum(found[fit].cpu_seconds for fit in mine) / len(mine)
        alone = [figures(task, exam, [sitting]) for sitting in sittings]
        by_seed = {question: [one[question].value for one in alone] for question in task.questions}
        made.append(Contestant(name, of.get(name), figures(task, exam, sittings), by_seed, seconds, found[mine[0]]))
    return made


def _fits(project: Project, histories: Sequence[History], entered: Sequence[Entrant], plan: Plan) -> list[Fit]:
    """Fold by fold within each seed, so that a family that cannot be fitted says so early; each one's in that order."""
    task = build_task(project)
    baselines = [*task.baselines, *task.yardsticks]
    neutral = replace(project, model=ModelSpec())
    marks = {e.name: fingerprint(e.project, histories) for e in entered if not e.why}
    mark = fingerprint(neutral, histories)
    fits = []
    for seed in range(plan.seeds):
        for fold in range(plan.folds):
            if not seed:
                told = f"{mark} fold {fold} of {plan.folds}"
                fits += [Fit(name, neutral, fold, 0, False, told) for name in baselines]
            for e in entered:
                if not e.why:
                    told = f"{marks[e.name]} fold {fold} of {plan.folds}, seed {seed}"
                    fits.append(Fit(e.name, e.project, fold, seed, True, told))
    return fits


def _made(project: Project, histories: Sequence[History], fits: Sequence[Fit], plan: Plan) -> dict[str, str]:
    """Make `fits` in processes of their own. Who could not be fitted, and why: the rest of its fits is left out."""
    lost: dict[str, str] = {}
    units = [epochs_in(fit.project) if fit.family else 1 for fit in fits]
    seen = [0] * len(fits)
    known = Known(project, list(histories), plan)
    heard = work_through(make, known, fits, plan.jobs, lambda place: fits[place].name not in lost)
    with progress("ranking", sum(units)) as advance, closing(heard):
        for word in heard:
            fit, place = fits[word.place], word.place
            if isinstance(word.said, float):
                seen[place] += 1
                advance(1, f"{fit.label}: validation error {word.said:.3g}")
            if isinstance(word.said, NotWritten):
                raise word.said
            why = word.said if isinstance(word.said, str) else word.died
            if why:
                note(f"{fit.label}: {why}")
                lost[fit.name] = why
            if word.done or word.died:
                advance(units[place] - seen[place], fit.label)
    return lost


@dataclass(frozen=True)
class Known:
    """What every process is given when it starts."""

    project: Project
    histories: list[History]
    plan: Plan


def make(known: Known, fit: Fit, tell: Tell) -> None:
    """One fit, its exam, and its outcome on disk. Tells each epoch's best validation error, and why it failed.

    A failure is an outcome, too, but for what can be mended: a library that is missing, a disk that is full. The latter
    ends the ranking.
    """
    store = Store(known.plan.folder)
    task = examiner(known.project, known.histories)
    exam = deal(known.project, task, known.histories, known.plan.folds)
    try:
        try:
            with one_thread():
                fold = exam[fit.fold]
                made = _family(known, store, fit, fold, tell) if fit.family else _baseline(task, fit, fold)
        except NotWritten:
            raise
        except (DataError, ProjectError) as error:
            tell(str(error))
            if isinstance(error, MissingExtra):
                return
            made = Outcome({}, 0.0, why=str(error))
        store.keep(fit, made)
    except NotWritten as error:
        tell(error)
        return
    store.checkpoint(fit).drop()


def _family(known: Known, store: Store, fit: Fit, fold: Fold, tell: Tell) -> Outcome:
    # The first seed is that of `edge train --cv`; further ones lie beyond all of its folds.
    seed = fit.project.train.seed + fit.seed * known.plan.folds + fit.fold
    fitted = teach(fit.project, fold, seed, lambda done, error: tell(float(error)), store.checkpoint(fit))
    predictor = fitted.predictor
    answers = fold.examine(lambda histories: predict(predictor, histories))
    return Outcome(answers, fitted.cpu_seconds, predictor.project, predictor.state_dict())


def _baseline(task: Task, fit: Fit, fold: Fold) -> Outcome:
    started = time.process_time()
    model = {**task.baselines, **task.yardsticks}[fit.name](fit.project, task, fold.parts)
    return Outcome(fold.examine(model), time.process_time() - started)
