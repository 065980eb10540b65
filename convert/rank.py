"""The whole of `edge rank`: histories in, a folder with the ranking out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.costs import costs
from device.profile import describe_machine
from edge import atomic
from edge.spec import Project
from train.build import build_task
from train.data.calibration import calibration
from train.data.history import History, machines
from train.folder import check_ours
from train.folding import deal, examiner
from train.models import FAMILIES
from train.pipeline import told
from train.ranking.budget import entrants
from train.ranking.compete import Contestant, Plan, compete
from train.ranking.page import page
from train.ranking.picture import as_png
from train.ranking.report import render_ranking, report_of
from train.run import Run, rebuilt

FITS = "fits"
JSON, TEXT, PICTURE, PAGE = "ranking.json", "ranking.txt", "ranking.png", "ranking.html"
OURS = frozenset({FITS, JSON, TEXT, PICTURE, PAGE})
"""What lies in the folder of a ranking."""


@dataclass(frozen=True)
class Asked:
    """What a ranking is asked for: families, overrides of `[model]`, parameters at most, folds, seeds, processes."""

    families: Sequence[str]
    overrides: Sequence[str]
    most: int
    folds: int
    seeds: int
    jobs: int


def rank(project: Project, asked: Asked, folder: Path, *, fresh: bool = False) -> dict[str, Any]:
    """Rank families of one size beside the task's baselines and yardsticks, and write the folder; its report.

    Fits that the folder holds already are not made again, unless `fresh`. Raises ProjectError for a name or key nobody
    knows, DataError for histories or a folder that cannot be used.
    """
    check_ours(folder, OURS, "ranking")
    for name in asked.families:
        FAMILIES[name]  # a name nobody knows is told before files are read
    histories = told(project)
    project = build_task(project).study(project, histories)
    entered = entrants(project, asked.families, asked.most, asked.overrides)
    plan = Plan(asked.folds, asked.seeds, asked.jobs, folder / FITS)
    if fresh and plan.folder.exists():
        shutil.rmtree(plan.folder)
    contestants = compete(project, histories, entered, plan)
    found = costs(_runs(project, histories, contestants, plan))
    fleet = len(machines(histories))
    report = report_of(project, contestants, found, plan, asked.most, fleet, describe_machine())
    atomic.write(folder / JSON, json.dumps(report, indent=1, allow_nan=False) + "\n")
    atomic.write(folder / TEXT, render_ranking(report) + "\n")
    atomic.write(folder / PICTURE, as_png(report))
    atomic.write(folder / PAGE, page(report))
    return report


def _runs(
    project: Project, histories: Sequence[History], contestants: Sequence[Contestant], plan: Plan
) -> dict[str, Run]:
    """What each family's first seed left behind on the first fold, as a run that can be converted."""
    parts = deal(project, examiner(project, histories), histories, plan.folds)[0].parts
    kept = calibration([*parts.train, *parts.validation])
    runs = {}
    for contestant in contestants:
        first = contestant.first
        if first is not None and first.project is not None and first.weights is not None:
            predictor = rebuilt(first.project, first.weights)
            runs[contestant.name] = Run(first.project, predictor, parts.test, kept, {})
    return runs
