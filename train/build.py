"""From the names in a project file to the modules they stand for."""

from __future__ import annotations

from edge.spec import Project
from edge.typed import build
from train.data.scale import Scaler
from train.models import FAMILIES
from train.models.base import Family
from train.predictor import Predictor
from train.tasks import TASKS
from train.tasks.base import Task


def build_task(project: Project) -> Task:
    """The task of `[task]` and `[alarm]`. Raises ProjectError for an unknown task or key."""
    cls = TASKS[project.task.kind]
    task: Task = cls(build(cls.Options, project.task.options, "task"), project)
    return task


def build_family(project: Project, inputs: int, outputs: int) -> Family:
    """The family of `[model]` with fresh weights, for C `inputs` and O `outputs`. Raises ProjectError for an unknown
    name or key.
    """
    cls = FAMILIES[project.model.family]
    family: Family = cls(inputs, outputs, build(cls.Options, project.model.options, "model"))
    return family


def build_predictor(project: Project, scaler: Scaler) -> Predictor:
    """The whole model with fresh weights around a scaler; its project has the alarm that the task decides by."""
    task = build_task(project)
    family = build_family(project, len(project.channels), task.width)
    return Predictor(task.settled(project), scaler, family, task)
