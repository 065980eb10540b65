"""Folds over training machines, and the questions that every model is asked on them: one exam for all comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.errors import DataError
from edge.spec import Project
from train.build import build_task
from train.checkpoint import Checkpoint
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split, cuts, folds, split
from train.evaluate import Figure, ask, tally, truth_of
from train.fit import Fitted, Told, fit
from train.prune import epochs_of, prune
from train.tasks.base import Array, Predict, Question, Task

FOLD_SEED = 100
"""Seed of folds and cut-offs: every model, option and day meets the same questions."""

Answers = dict[str, list[Array]]
"""By question, what one model answered on one fold: an array for each history that the question is about."""


@dataclass(frozen=True)
class Paper:
    """One question put to the machines held out: the histories it is `about`, the truth of each, and how it is `put`
    to a model.
    """

    about: list[History]
    truths: list[Array]
    put: Callable[[Predict], list[Array]]


@dataclass(frozen=True)
class Fold:
    """Who teaches and who tells when to stop (`parts`, whose test group is who is held out), and the exam."""

    place: int
    parts: Split
    papers: dict[str, Paper]

    def examine(self, model: Predict) -> Answers:
        """What `model` answers to every question."""
        return {question: paper.put(model) for question, paper in self.papers.items()}


def examiner(project: Project, histories: Sequence[History]) -> Task:
    """The project's task as it judges every model on every fold: errors that are told in deviations of the readings are
    so by one scale for all. Raises ProjectError for the project, DataError for the histories.
    """
    task = build_task(project)
    return task.scaled_by(Scaler.fit(task.taught(histories), project))


def deal(project: Project, task: Task, histories: Sequence[History], count: int) -> list[Fold]:
    """The folds of these histories, the same ones for every model, and what `task` asks on them. Raises DataError for
    machines too few, and where a question meets no reading whose truth is known.
    """
    dealt = []
    for place, (others, held) in enumerate(folds(histories, count, FOLD_SEED, lasting=task.lasting)):
        judges = [h for h in held if task.tells(h)]
        papers = {question: paper(project, task, judges, of) for question, of in task.questions.items()}
        dealt.append(Fold(place, split(others, project, held, lasting=task.lasting), papers))
    for question in task.questions:
        if not any(fold.papers[question].about for fold in dealt):
            raise DataError(
                f"nothing can be asked {question}: none of the readings drawn for it has a truth that is known; write "
                "down what was right at more readings, or judge by `edge train`, which asks at every one"
            )
    return dealt


def paper(project: Project, task: Task, judges: Sequence[History], of: Question) -> Paper:
    """One question as it is put to `judges`, whose truth is known somewhere."""
    drawn = cuts(judges, FOLD_SEED, of.starts, of.each, project.timing.warm_up_readings, of.mid_life)
    if task.measures[0].at == "record":
        windows = [h.window(c.start, len(h)) for c in drawn if task.judged(h := judges[c.index])]
        windows = [w for w in windows if task.judged(w)]
        return Paper(windows, [truth_of(task, w) for w in windows], lambda model: model(windows))
    truths = [truth_of(task, judges[c.index])[c.stop - 1 : c.stop] for c in drawn]
    keep = [i for i, truth in enumerate(truths) if not np.isnan(truth).any()]
    kept = [drawn[i] for i in keep]
    return Paper([judges[c.index] for c in kept], [truths[i] for i in keep], lambda model: ask(model, judges, kept))


def teach(
    project: Project, fold: Fold, seed: int, told: Told = lambda done, error: None, checkpoint: Checkpoint | None = None
) -> Fitted:
    """The project's model fitted to a fold, and pruned where `[prune]` says so. Raises DataError."""
    taught = (fold.parts.train, fold.parts.validation)
    fitted = fit(project, *taught, seed=seed, told=told, checkpoint=checkpoint)
    if project.prune.amount:
        fitted = prune(fitted, *taught, seed=seed, told=told, checkpoint=checkpoint)
    return fitted


def epochs_in(project: Project) -> int:
    """Epochs of `teach`, at most."""
    return project.train.epochs + (epochs_of(project) if project.prune.amount else 0)


def figures(task: Task, exam: Sequence[Fold], sittings: Sequence[Sequence[Answers]]) -> dict[str, Figure]:
    """The headline error of one model by question. A sitting, one a seed, holds its answers fold by fold.

    What a machine contributes is the mean over sittings, so the figure is that of a model drawn from the seeds, and
    its interval stays one over machines.
    """
    found = {}
    for question in task.questions:
        papers = [fold.papers[question] for fold in exam]
        about = [h for paper in papers for h in paper.about] * len(sittings)
        truths = [t for paper in papers for t in paper.truths] * len(sittings)
        answered = [a for sitting in sittings for answers in sitting for a in answers[question]]
        figure = tally(task.measures[0], about, answered, truths)
        found[question] = replace(figure, sums=figure.sums / len(sittings))
    return found
