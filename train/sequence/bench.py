"""The whole of `edge bench sequence`: a task, a family and a seed in, a report and a picture out."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from edge import __version__, atomic
from edge.errors import ProjectError
from edge.talk import note, progress
from edge.typed import plain
from train.checkpoint import Checkpoint
from train.folder import check_ours
from train.models.base import Family
from train.sequence import SEQUENCE_TASKS
from train.sequence.base import Asked, Plan, SequenceTask
from train.sequence.course import Limits, examine, quick, teach
from train.sequence.lag import gradient_by_lag
from train.sequence.picture import picture
from train.sequence.sizing import chosen, make, options_of, weights

REPORT, PICTURE = "report.json", "picture.png"
SAVE_EVERY_S = 10.0
"""Seconds between two savings of a course; a minute's work should never be lost."""


@dataclass(frozen=True)
class Wanted:
    """One row of the benchmark. `given`: `key=value` of the family; what is None is the task's own plan."""

    task: str
    family: str
    asked: Asked = field(default_factory=Asked)
    seed: int = 0
    given: Sequence[str] = ()
    budget: int | None = None
    rate: float | None = None
    epochs: int | None = None
    minutes: float | None = None
    device: str = "cpu"

    def command(self) -> str:
        """What to type for the same figures."""
        said: list[tuple[str, Any]] = [("task", self.task), ("family", self.family)]
        said += [(key, value) for key, value in _values(self.asked) if key != "permuted"]
        words = [word for key, value in said for word in (f"--{key}", str(value))]
        words += ["--permuted"] if self.asked.permuted else []
        named = ("seed", "budget", "rate", "epochs", "minutes")
        said = [(key, value) for key in named if (value := getattr(self, key)) is not None]
        said += [("set", pair) for pair in self.given]
        said += [("device", self.device)] if self.device != "cpu" else []
        words += [word for key, value in said for word in (f"--{key}", str(value))]
        return shlex.join(["edge", "bench", "sequence", *words])


def bench_sequence(wanted: Wanted, folder: Path | None = None, *, fresh: bool = False) -> dict[str, Any]:
    """Fit a family to a sequence task and judge it once on the test set; the report, in `folder` with a picture, too.

    With a folder, one that was interrupted goes on where it was, unless `fresh`. Talks on stderr. Raises ProjectError
    for what is asked, DataError for the task's data or a folder that cannot be used.
    """
    if folder is not None:
        check_ours(folder, {REPORT, PICTURE}, "benchmark")
    if wanted.device == "cuda" and not torch.cuda.is_available():
        raise ProjectError("--device cuda: torch sees no GPU here; leave it out")
    where = torch.device(wanted.device) if wanted.device != "cpu" else nullcontext()
    with where, quick(), torch.random.fork_rng(devices=[]):
        task: SequenceTask = SEQUENCE_TASKS[wanted.task](wanted.asked)
        plan = _planned(task, wanted)
        options = options_of(task, wanted.family, plan, chosen(wanted.given), wanted.budget)
        torch.manual_seed(wanted.seed)
        family = make(task, wanted.family, options)
        _tell(task, wanted, family)
        with _resuming(folder, wanted, task, plan, options, fresh) as checkpoint:
            report = _fitted(wanted, task, family, plan, options, checkpoint)
            if folder is not None:
                atomic.write(folder / PICTURE, picture(report))
                atomic.write(folder / REPORT, json.dumps(report, indent=1) + "\n")
                note(f"see {folder / PICTURE}")
    return report


def _planned(task: SequenceTask, wanted: Wanted) -> Plan:
    """The task's plan for this family, under what the user asked for."""
    plan = task.plan(wanted.family)
    plan = plan if wanted.rate is None else replace(plan, learning_rate=wanted.rate)
    return plan if wanted.epochs is None else replace(plan, epochs=wanted.epochs)


def _fitted(
    wanted: Wanted,
    task: SequenceTask,
    family: Family,
    plan: Plan,
    options: Mapping[str, Any],
    checkpoint: Checkpoint | None,
) -> dict[str, Any]:
    """Teach, judge, report."""
    probe = task.probe()
    before = gradient_by_lag(family, probe)
    steps = plan.epochs * -(-len(task.training) // plan.batch) - (checkpoint.epochs if checkpoint else 0)
    with progress(f"{wanted.family} learns {wanted.task}", steps) as advance:
        limits = Limits(plan.epochs, wanted.minutes)
        at, ended = teach(task, family, plan, limits, wanted.seed, advance, checkpoint)
    started = time.process_time()
    after = gradient_by_lag(family, probe)
    loss, figure = examine(task, family, task.test)
    published = task.published().get(wanted.family)
    best = at.looks[at.best_look - 1] if at.best_look else [0, 0.0, at.best_error, float("nan")]
    return {
        "command": wanted.command(),
        "task": wanted.task,
        "family": wanted.family,
        "length": wanted.asked.length or (getattr(task, "length", None) if task.fixed_length else None),
        "seed": wanted.seed,
        "options": dict(options),
        "parameters": weights(family),
        "memory": family.memory,
        "metric": task.metric,
        "unit": task.unit,
        "higher": task.higher,
        "figure": figure,
        "loss": loss,
        "naive": task.naive(),
        "published": None if published is None else plain(published),
        "source": task.source,
        "plan": plain(plan),
        "validation": {"loss": best[2], "figure": best[3], "step": best[0]},
        "ended": ended,
        "steps": at.done,
        "epochs": at.done * plan.batch / len(task.training),
        "cpu_seconds": at.cpu_seconds + time.process_time() - started,
        "device": wanted.device,
        "gradient_by_lag": {"before": _short(before), "after": _short(after)},
        "looks": [[int(look[0]), *_short(look[1:])] for look in at.looks],
        "versions": {"edge": __version__, "torch": torch.__version__},
    }


def _short(values: Sequence[float]) -> list[float]:
    """Six digits are enough for a report."""
    return [float(f"{value:.6g}") for value in values]


def _tell(task: SequenceTask, wanted: Wanted, family: Family) -> None:
    """What is odd about this pair."""
    note(f"{wanted.task}: {task.summary}; `{wanted.family}` has {weights(family)} weights")
    if task.fixed_length and family.memory is not None and family.memory < task.length:
        note(
            f"note: `{wanted.family}` sees {family.memory} readings, the task spans {task.length}; what lies further "
            "back cannot be learnt; widen its memory with --set"
        )


@contextmanager
def _resuming(
    folder: Path | None, wanted: Wanted, task: SequenceTask, plan: Plan, options: Mapping[str, Any], fresh: bool
) -> Iterator[Checkpoint | None]:
    """The checkpoint beside `folder`, gone when the block ends well; None without a folder."""
    if folder is None:
        yield None
        return
    same = replace(wanted, minutes=None).command()  # a longer time may go on from a shorter one
    mark = json.dumps(
        [same, plain(plan), dict(options), __version__, torch.__version__, _known_by(task)], sort_keys=True
    )
    path = folder.absolute().with_name(f".{folder.absolute().name}.resume")
    checkpoint = Checkpoint(path, hashlib.sha256(mark.encode()).hexdigest(), SAVE_EVERY_S)
    if fresh:
        checkpoint.drop()
    elif checkpoint.epochs:
        note(f"resuming `{folder}`, interrupted behind step {checkpoint.epochs}; --fresh starts anew")
    elif checkpoint.foreign:
        note(f"`{folder}` was interrupted with other settings or another version; starting anew")
    try:
        yield checkpoint
    except (KeyboardInterrupt, SystemExit):
        if checkpoint.epochs:
            note(f"{checkpoint.epochs} steps are kept; the same command goes on from there")
        raise
    checkpoint.drop()


def _known_by(task: SequenceTask) -> list[int | str]:
    """What tells the task's examples from those of another file: how many there are, and a few of them."""
    probe = hashlib.sha256(task.probe().cpu().numpy().tobytes()).hexdigest()
    return [len(task.training), len(task.validation), len(task.test), task.inputs, task.outputs, task.length, probe]


def _values(asked: Asked) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in vars(asked).items() if value]
