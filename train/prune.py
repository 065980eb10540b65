"""Structured pruning: whole units leave the network, in steps, and what remains is fitted again behind each cut."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from edge.errors import ProjectError
from edge.spec import Project, PruneSpec
from train.build import build_family
from train.checkpoint import Checkpoint
from train.data.batches import Lesson, cut, pad
from train.data.history import History
from train.data.split import Split
from train.evaluate import Judged, judge
from train.fit import Course, Fitted, Schedule, School, Told, one_thread
from train.infer import predict
from train.models import FAMILIES
from train.models.base import Family, Place, Units
from train.predictor import Predictor
from train.tasks.base import Task

Kept = Sequence[Tensor]
"""For each group of a family's `units`, the places [K] of those that stay, ascending."""

ASKED = 256
"""Lessons that say how much a unit matters, at most."""


def prune(
    whole: Fitted,
    training: Sequence[History],
    validation: Sequence[History],
    *,
    spec: PruneSpec | None = None,
    seed: int | None = None,
    course: Course | None = None,
    told: Told = lambda done, error: None,
    checkpoint: Checkpoint | None = None,
    name: str = "prune",
) -> Fitted:
    """Cut units out of a fitted model as `spec`, or else `[prune]` of its project, says: in steps, fitted behind each.

    The same machines teach and say when to stop; the learning rate rises and falls anew behind each cut. Raises
    ProjectError where the family cannot be pruned, or nothing is cut.
    """
    predictor, error = whole.predictor, whole.validation_error
    project, family, task, scaler = predictor.project, predictor.family, predictor.task, predictor.scaler
    seed = project.train.seed if seed is None else seed
    training, validation = task.taught(training), task.taught(validation)
    courses = list(whole.courses)
    spec = project.prune if spec is None else spec
    project = replace(project, prune=spec)
    steps = check_prunable(project)
    with one_thread(), torch.random.fork_rng(devices=[]):
        school = School(project, task, scaler, training, validation, seed, course or Course())
        for step, width in enumerate(steps):
            torch.manual_seed(_seed(seed, step))
            rng = np.random.default_rng([seed, 2, step])
            felt = importance(family, task, school.lessons, rng, school.course.longest)
            family = narrow(family, project, keep(felt, width))
            project = narrowed(project, width)
            schedule = schedule_of(spec, project, last=step == len(steps) - 1)
            lived, error = school.teach(family, schedule, rng, told, checkpoint, f"{name} to {width}")
            courses.append(lived)
        small = Predictor(project, scaler, family, task).eval()
        small.task.settle(small, training, validation)
        return Fitted(small, error, tuple(courses), whole)


def schedule_of(spec: PruneSpec, project: Project, *, last: bool) -> Schedule:
    """The course behind a cut; only the last one, which decides, may end early."""
    if last:
        return Schedule(spec.last_epochs, project.train.patience, project.train.learning_rate)
    return Schedule(spec.epochs, spec.epochs, project.train.learning_rate)


def epochs_of(project: Project) -> int:
    """Epochs that pruning as `[prune]` says takes at most."""
    return (len(check_prunable(project)) - 1) * project.prune.epochs + project.prune.last_epochs


def check_prunable(project: Project) -> list[int]:
    """The widths that the steps of `[prune]` leave. Raises ProjectError where the family cannot be pruned, or the share
    is less than one unit.
    """
    width, spec = width_of(project), project.prune
    steps = list(widths(width, spec))
    if not steps:
        key = FAMILIES[project.model.family].width
        raise ProjectError(f"`prune.amount` = {spec.amount:g} of model.{key} = {width} is no unit; ask for more")
    return steps


def width_of(project: Project) -> int:
    """Units a group of the project's model has. Raises ProjectError where its family cannot be pruned."""
    family = build_family(project, 1, 1)
    if not family.units():
        known = [name for name in FAMILIES if FAMILIES[name](1, 1, FAMILIES[name].Options()).units()]
        raise ProjectError(
            f"model family `{project.model.family}` cannot be pruned; of those that can there are {', '.join(known)}"
        )
    width: int = getattr(family.options, family.width)
    return width


def widths(width: int, spec: PruneSpec) -> Iterator[int]:
    """Units left behind each step, down to what `amount` leaves: every step cuts the same share of what is there."""
    last = width
    final = max(1, width - round(spec.amount * width))
    for step in range(1, spec.steps + 1):
        left = round(width * (final / width) ** (step / spec.steps))
        if left < last:
            yield left
        last = left


def narrowed(project: Project, width: int) -> Project:
    """The project of the cut model: the smaller width, and nothing more to prune."""
    key = FAMILIES[project.model.family].width
    options = {**project.model.options, key: width}
    return replace(project, model=replace(project.model, options=options), prune=replace(project.prune, amount=0.0))


def importance(
    family: Family, task: Task, lessons: Sequence[Lesson], rng: np.random.Generator, longest: int
) -> list[Tensor]:
    """How much the loss would change without each unit: one tensor [width] a group.

    First-order Taylor expansion in a gate on what is read of a unit (Molchanov et al. 2019, Importance Estimation for
    Neural Network Pruning, eq. 8, with the gate of section 3.2): the square, summed over lessons, of the sum over all
    reading weights of weight times gradient. `family` is folded.
    """
    probe = copy.deepcopy(family).eval()
    groups = probe.units()
    found = [torch.zeros(_width(probe, group)) for group in groups]
    for i in rng.permutation(len(lessons))[:ASKED]:
        batch = pad([cut(lessons[i], 0, longest)])
        probe.zero_grad()
        task.loss(batch.through(probe), batch).backward()  # type: ignore[no-untyped-call]
        for total, group in zip(found, groups, strict=True):
            total += torch.stack([_felt(probe, place) for place in group.reads]).sum(0).square()
    return found


def keep(matters: Sequence[Tensor], width: int) -> list[Tensor]:
    """The `width` units of each group that matter most, in their old order."""
    return [felt.argsort(descending=True, stable=True)[:width].sort().values for felt in matters]


def narrow(family: Family, project: Project, kept: Kept) -> Family:
    """A family of the smaller width, ready to be fitted on, that has the weights of the kept units; `family` is of
    `project`'s model and stays as it is.
    """
    width = len(kept[0])
    smaller = build_family(narrowed(project, width), family.inputs, family.outputs)
    weights = {name: _tensor(family, name) for name in _names(family)}
    for group, which in zip(family.units(), kept, strict=True):
        total = _width(family, group)
        for place in (*group.makes, *group.reads):
            rows = torch.cat([which + total * i for i in range(place.times)])
            weights[place.weight] = weights[place.weight].index_select(place.dim, rows)
    for name, weight in weights.items():
        _write(smaller, name, weight)
    return smaller.train(family.training)


def mask(family: Family, kept: Kept) -> Family:
    """A copy of a folded family in which every unit but the kept is silent, and unheard where silence is no zero."""
    masked = copy.deepcopy(family)
    for group, which in zip(family.units(), kept, strict=True):
        total = _width(family, group)
        gone = torch.ones(total, dtype=torch.bool)
        gone[which] = False
        for place in (*group.makes, *group.reads):
            rows = gone.repeat(place.times).nonzero()[:, 0]
            with torch.no_grad():
                _tensor(masked, place.weight).index_fill_(place.dim, rows, 0.0)
    return masked


def pruned_report(whole: Fitted, small: Fitted, parts: Split, after: Judged) -> dict[str, Any]:
    """Before and after: width, weights, and the headline error on held-out machines with its paired change."""
    before = judge(whole.predictor.task, parts.test, lambda h: predict(whole.predictor, h)).headline
    change, low, high = after.headline.less(before)
    key = FAMILIES[whole.predictor.project.model.family].width
    return {
        "key": f"model.{key}",
        "before": _size(whole.predictor) | {"error": before.value, "validation_error": whole.validation_error},
        "after": _size(small.predictor) | {"error": after.headline.value, "validation_error": small.validation_error},
        "change": {"value": change, "low": low, "high": high, "unit": before.measure.unit, "name": before.measure.name},
    }


def render_pruned(pruned: dict[str, Any]) -> str:
    """The report of a pruning as one sentence."""
    before, after, change = pruned["before"], pruned["after"], pruned["change"]
    share = 100 * after["weights"] / before["weights"]
    interval = f"95 % interval {change['low']:+.3g} to {change['high']:+.3g}"
    unit = f" {change['unit']}" if change["unit"] else ""
    return (
        f"pruned: {pruned['key']} {before['width']} -> {after['width']}, weights {before['weights']} -> "
        f"{after['weights']} ({share:.0f} %); {change['name']} {before['error']:.4g} -> {after['error']:.4g}{unit} "
        f"(change {change['value']:+.3g}, {interval})"
    )


def _size(predictor: Predictor) -> dict[str, int]:
    weights = sum(p.numel() for p in predictor.family.parameters())
    return {"width": width_of(predictor.project), "weights": weights}


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, 2, step]).generate_state(1)[0])


def _names(family: Family) -> Iterator[str]:
    """Dotted names of all weights, each as one plain tensor whatever it is made of while fitting."""
    for name, module in family.named_modules():
        if "parametrizations" in name.split("."):
            continue
        prefix = f"{name}." if name else ""
        own = [n for n, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))]
        made = list(module.parametrizations) if is_parametrized(module) else []
        yield from (prefix + n for n in (*own, *made))


def _owner(family: nn.Module, name: str) -> tuple[nn.Module, str]:
    module, _, attribute = name.rpartition(".")
    return family.get_submodule(module), attribute


def _tensor(family: nn.Module, name: str) -> Tensor:
    module, attribute = _owner(family, name)
    tensor: Tensor = getattr(module, attribute).detach()
    return tensor


def _write(family: nn.Module, name: str, weight: Tensor) -> None:
    module, attribute = _owner(family, name)
    with torch.no_grad():
        if is_parametrized(module, attribute):
            setattr(module, attribute, weight)
        else:
            getattr(module, attribute).copy_(weight)


def _width(family: Family, group: Units) -> int:
    place = group.reads[0]
    return _tensor(family, place.weight).shape[place.dim] // place.times


def _felt(probe: nn.Module, place: Place) -> Tensor:
    """Weight times gradient [width], summed over all a unit's entries in one weight."""
    module, attribute = _owner(probe, place.weight)
    weight = getattr(module, attribute)
    felt: Tensor = (weight.detach() * weight.grad).movedim(place.dim, 0).flatten(1).sum(1)
    return felt.view(place.times, -1).sum(0)
