"""Intervals of a training: each machine is asked about by a model that never saw it, and the answers make tables."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.intervals import Interval, around
from edge.spec import Project
from train.build import build_task
from train.checkpoint import Checkpoint
from train.conformal import Asked, Floats, cut, interval_of, least
from train.data.history import History
from train.data.split import Split, folds, most_folds, split
from train.evaluate import Figure
from train.fit import Told, fit
from train.infer import predict
from train.predictor import Predictor
from train.prune import epochs_of, prune
from train.tasks.alarms import Flags
from train.tasks.base import Array, Reach, Task
from train.tasks.measure import Measure, cost, mean

FOLDS = 5
"""Models that are fitted so that each machine is asked about by one that never saw it."""

FOLD_SEED = 200
"""Seed of these folds and of mid-life starts; another one than cross-validation's, which may be around all this."""

STARTS = 8
"""Mid-life starts of each history; all together weigh as much as the start at its first reading."""

MOST = 256
"""Readings asked about behind each start, at most."""

PARTS = 6
"""Parts of the predicted range by which coverage is told."""

ITSELF = cost(lambda values, truth: values[:, 0])
"""What a machine contributes to a figure that was already made of its readings."""

Answers = Mapping[str, Asked]
"""By output, what was asked about it."""


def ask(predictor: Predictor, histories: Sequence[History]) -> Answers:
    """Every warm reading of histories that the model never saw, from the first reading on and from mid-life on.

    A device meets machines in mid-life, too, and knows less of them. Readings whose truth nobody knows are left out.
    """
    task, warm = predictor.task, predictor.project.timing.warm_up_readings
    if not task.reaches:
        return {}
    windows, truths, late = [], [], []
    for h in (h for h in histories if task.tells(h)):
        rng = np.random.default_rng([FOLD_SEED, zlib.crc32(h.machine.encode()), h.life])
        starts = rng.integers(0, max(0, len(h) - warm) + 1, STARTS)
        for place, start in enumerate((0, *starts)):
            window = h.window(int(start), len(h))
            truth = task.truth(window)
            if truth is not None:  # of the last readings, where the truth lies ahead, nothing may be known
                windows.append(window)
                truths.append(truth)
                late.append(place > 0)
    answers = predict(predictor, windows)
    places = {name: place for place, (name, _) in enumerate(task.outputs)}
    return {
        reach.output: Asked.joined(
            [
                _asked(w.machine, mid, warm, predicted[:, places[reach.output]], truth[:, places[reach.output]])
                for w, mid, predicted, truth in zip(windows, late, answers, truths, strict=True)
            ]
        )
        for reach in (task.reaches if windows else ())
    }


def _asked(machine: str, late: bool, warm: int, predicted: Array, truth: Array) -> Asked:
    """One output along one window; predicted and truth [T]."""
    known = np.flatnonzero(~np.isnan(truth))
    known = known[known >= warm - 1]
    if len(known) > MOST:  # neighbours say the same
        known = known[np.linspace(0, len(known) - 1, MOST).round().astype(np.intp)]
    share = (1 / STARTS if late else 1.0) / max(len(known), 1)
    return Asked(
        np.full(len(known), machine),
        known + 1,
        np.full(len(known), late),
        np.full(len(known), share),
        predicted[known].astype(np.float64),
        truth[known].astype(np.float64),
    )


def rounds(project: Project, parts: Split) -> int:
    """How many models the intervals of a project take; 0 where it asks for none, or machines are too few for any."""
    task = build_task(project)
    if all(_telling(task, parts) < _needed(reach) for reach in task.reaches):
        return 0
    return min(FOLDS, most_folds([*parts.train, *parts.validation], lasting=task.lasting))


def _telling(task: Task, parts: Split) -> int:
    return len({h.machine for h in (*parts.train, *parts.validation) if task.tells(h)})


def _needed(reach: Reach) -> int:
    """Machines: for its share, and for two folds of which each can teach, tell when to stop, and be asked."""
    return max(least(reach.share), 4)


def epochs_asked(project: Project) -> int:
    """Epochs of one of these models at most."""
    return project.train.epochs + (epochs_of(project) if project.prune.amount else 0)


def out_of_fold(
    project: Project,
    parts: Split,
    *,
    seed: int | None = None,
    told: Told = lambda done, error: None,
    checkpoint: Checkpoint | None = None,
) -> Answers:
    """What models made as the project's own say about machines of the training side that they never saw.

    The held-out machines of `parts` are not touched. Goes on where it was interrupted, as `fit` does.
    """
    task = build_task(project)
    seed = project.train.seed if seed is None else seed
    histories = sorted([*parts.train, *parts.validation], key=lambda h: (h.machine, h.life, float(h.ts[0])))
    found: list[Answers] = []
    count = rounds(project, parts)
    for fold, (others, held) in enumerate(folds(histories, count, FOLD_SEED, lasting=task.lasting) if count else ()):
        group = split(others, project, held, lasting=task.lasting)
        teachers = (group.train, group.validation)
        name = f"interval {fold + 1}"
        made = fit(project, *teachers, seed=seed + 1 + fold, told=told, checkpoint=checkpoint, name=name)
        if project.prune.amount:
            made = prune(made, *teachers, seed=seed + 1 + fold, told=told, checkpoint=checkpoint, name=f"{name} prune")
        found.append(ask(made.predictor, held))
    return together(found)


def together(found: Sequence[Answers]) -> Answers:
    """Answers of several models, each about machines of its own."""
    names = dict.fromkeys(name for answers in found for name in answers)
    return {name: Asked.joined([answers[name] for answers in found if name in answers]) for name in names}


def tables(task: Task, answers: Answers) -> tuple[Interval, ...]:
    """The tables of a task's outputs, of those that can have one."""
    empty = np.empty(0)
    nothing = Asked(np.empty(0, np.str_), np.empty(0, np.intp), np.empty(0, np.bool_), empty, empty, empty)
    made = (interval_of(answers.get(reach.output, nothing), reach) for reach in task.reaches)
    return tuple(interval for interval in made if interval is not None)


def shortfall(task: Task, parts: Split, answers: Answers) -> list[str]:
    """What to say about outputs for which machines are too few, one sentence for all that lack the same: too few to
    fit models at all, or too few that could be asked, such as records that end before the furthest horizon.
    """
    fleet, short = _telling(task, parts), dict[str, list[str]]()
    for reach in task.reaches:
        needed, could = _needed(reach), fleet
        if fleet >= needed:
            needed = least(reach.share)
            could = len(np.unique(answers[reach.output].machine)) if reach.output in answers else 0
        if could >= needed:
            continue
        became = "is not given" if reach.low is None or reach.high is None else "is the whole range"
        lacks = (
            f"{became}: it needs {needed} machines "
            f"whose truth is known, and could ask {could}; add machines, or lower task.interval"
        )
        short.setdefault(f"the {100 * reach.share:g} % interval of {{}} {lacks}", []).append(reach.output)
    return [said.replace("{}", _several(names)) for said, names in short.items()]


def _several(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} other outputs"


def held(interval: Interval, asked: Asked) -> tuple[Flags, Floats]:
    """Is the truth of each reading inside [N], and how wide is its interval [N]? In the output's unit."""
    ends = around(interval)
    pairs = np.array([ends(p, s) for p, s in zip(asked.predicted.tolist(), asked.seen.tolist(), strict=True)]).reshape(
        -1, 2
    )
    truth = cut(asked.truth, interval)
    # A device says seven digits, and float32 computed them: an end is not missed by less.
    slack = 1e-6 * np.maximum(np.abs(pairs).max(1, initial=0.0), np.abs(truth))
    return (pairs[:, 0] - slack <= truth) & (truth <= pairs[:, 1] + slack), pairs[:, 1] - pairs[:, 0]


def judged(found: Sequence[tuple[Interval, Asked]], unit: str) -> dict[str, Any]:
    """Coverage and mean width of tables, each asked about machines that neither it nor its model ever saw, as a report:
    overall, from the first reading, from mid-life on, and by level of the prediction. Every machine weighs the same.
    """
    interval = found[0][0]
    asked = Asked.joined([asked for _, asked in found])
    inside, width = (np.concatenate(column) for column in zip(*(held(*one) for one in found), strict=True))
    low, high = (float(edge) for edge in (asked.predicted.min(), asked.predicted.max()))
    edges = np.linspace(low, high, PARTS + 1)
    part = np.clip(np.searchsorted(edges, asked.predicted, side="right") - 1, 0, PARTS - 1)
    groups = {"all": np.ones(len(part), np.bool_), "first": ~asked.late, "late": asked.late}
    levels = [(edges[i], edges[i + 1], part == i) for i in range(PARTS) if (part == i).any()]
    return {
        "output": interval.output,
        "unit": unit,
        "share": interval.share,
        "calibrated_on": interval.machines,
        **{name: _figures(asked, which, inside, width, unit) for name, which in groups.items() if which.any()},
        "levels": [
            {"from": float(a), "to": float(b), **_figures(asked, which, inside, width, unit)} for a, b, which in levels
        ],
    }


def crosswise(task: Task, answers: Sequence[Answers]) -> list[dict[str, Any]]:
    """`judged` of each output by folds alone: the answers about one fold are put to the tables that those about the
    others make, so that an estimate of coverage takes no further fits.
    """
    found = []
    for name, unit in task.outputs:
        pairs = []
        for fold in (answer for answer in answers if name in answer):
            others = together([answer for answer in answers if answer is not fold])
            pairs += [(table, fold[name]) for table in tables(task, others) if table.output == name]
        found += [judged(pairs, unit)] if pairs else []
    return found


def judged_all(
    predictor: Predictor, intervals: Sequence[Interval], histories: Sequence[History]
) -> list[dict[str, Any]]:
    """`judged` of each table, asked about histories that neither it nor the model ever saw."""
    answers, units = ask(predictor, histories), dict(predictor.task.outputs)
    return [judged([(one, answers[one.output])], units[one.output]) for one in intervals if one.output in answers]


def _figures(asked: Asked, which: Flags, inside: Flags, width: Floats, unit: str) -> dict[str, Any]:
    measures = (Measure("coverage", "coverage", "", ITSELF, mean), Measure("width", "mean width", unit, ITSELF, mean))
    return {
        measure.key: _by_machine(measure, asked.machine[which], asked.weight[which], values[which]).plain()
        for measure, values in zip(measures, (inside.astype(np.float64), width), strict=True)
    }


def _by_machine(measure: Measure, machine: NDArray[Any], weight: Floats, values: Floats) -> Figure:
    names, mine = np.unique(machine, return_inverse=True)
    means = np.bincount(mine, weight * values) / np.bincount(mine, weight)
    sums, over = measure.pool([np.array([[one]]) for one in means])
    return Figure(measure, tuple(map(str, names)), sums, over)


def sentence(found: dict[str, Any]) -> str:
    """One judged table, told in a sentence."""
    unit = f" {found['unit']}" if found["unit"] else ""
    coverage, width = found["all"]["coverage"], found["all"]["width"]
    parts = [
        f"{100 * found[name]['coverage']['value']:.1f} % {said}"
        for name, said in (("first", "from the first reading"), ("late", "from mid-life on"))
        if name in found
    ]
    return (
        f"{100 * found['share']:g} % interval of {found['output']}: holds {100 * coverage['value']:.1f} % "
        f"[{100 * coverage['low']:.1f}, {100 * coverage['high']:.1f}] of the truth ({', '.join(parts)}), "
        f"mean width {width['value']:.4g}{unit} [{width['low']:.4g}, {width['high']:.4g}]"
    )
