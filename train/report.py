"""What a training found, as a table for people and as plain tables for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.spec import Project
from edge.table import render
from train.data.history import History, machines
from train.data.split import Split
from train.evaluate import Figure, Judged
from train.fit import Fitted
from train.prune import render_pruned
from train.tasks.base import Task


def report_of(project: Project, fitted: Fitted, parts: Split, judged: dict[str, Judged]) -> dict[str, Any]:
    """The report of a run: plain tables, ready for JSON. `judged` begins with the model, the baselines follow."""
    family = fitted.predictor.family
    return {
        "project": project.name,
        "model": project.model.family,
        "options": dict(project.model.options),
        "weights": sum(p.numel() for p in family.parameters()),
        "seed": project.train.seed,
        "cut_offs": _cut_offs(fitted.predictor.task, parts.test),
        "machines": {name: len(machines(getattr(parts, name))) for name in ("train", "validation", "test")},
        "fit": {
            "epochs": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "validation_error": fitted.validation_error,
            "cpu_seconds": round(fitted.cpu_seconds, 1),
            "courses": [course.plain() for course in fitted.courses],
        },
        "unit": fitted.predictor.task.outputs[0][1],
        "headline": fitted.predictor.task.headline,
        "models": {name: of.plain() for name, of in judged.items()},
        "verdict": verdict({name: of.headline for name, of in judged.items()}),
    }


def _cut_offs(task: Task, histories: Sequence[History]) -> dict[str, int]:
    """Lives that ran to failure, the cut-offs drawn in them, and the records that were judged at their last reading."""
    drawn = [len(task.judged(h)) for h in histories if h.failed]
    last = sum(len(task.judged(h)) for h in histories if not h.failed)
    return {"lives": len(drawn), "drawn": sum(drawn), "last": last}


def _asked(cut_offs: dict[str, int]) -> str:
    """What the cut-offs are, as half a sentence."""
    lives, drawn, last = (cut_offs[key] for key in ("lives", "drawn", "last"))
    parts = [f"{drawn} drawn in {lives} lives that ran to failure"] if drawn else []
    parts += [f"the last reading of {last} records that end before it"] if last else []
    return f"{drawn + last} cut-offs: {' and '.join(parts)}"


def verdict(figures: dict[str, Figure]) -> str:
    """One sentence: does the model (the first) beat the best baseline, by how much, and is that proved."""
    model, *baselines = figures
    best = min(baselines, key=lambda name: figures[name].value)
    gain, low, high = figures[best].less(figures[model])
    unit = figures[model].measure.unit
    alone = len(figures[model].machines) == 1
    interval = "no interval" if alone else f"95 % interval {low:+.2f} to {high:+.2f} {unit}".rstrip()
    proved = not alone and (low > 0 or high < 0)
    doubt = "one machine proves nothing" if alone else "the interval holds zero"
    if gain > 0 and proved:
        return f"{model} beats the best baseline, {best}, by {gain:.2f} {unit} ({interval})."
    if gain > 0:
        return (
            f"{model} is {gain:.2f} {unit} better than the best baseline, {best}, "
            f"but that is not proved: {doubt} ({interval})."
        )
    tail = "." if proved else f", though {doubt}."
    return f"The baseline wins: {best} is {-gain:.2f} {unit} better than {model} (gain of {model}: {interval}){tail}"


def render_report(report: dict[str, Any]) -> str:
    """The report as text: what was fitted, the table beside the baselines, and the verdict."""
    count, fit = report["machines"], report["fit"]
    options = "".join(f" {key}={value}" for key, value in report["options"].items())
    head = [
        f"{report['project']}: {report['model']}{options}, {report['weights']} weights, seed {report['seed']}",
        f"{count['train']} machines taught, {count['validation']} told when to stop, {count['test']} were held out",
        f"judged at {_asked(report['cut_offs'])}",
        "ridges learn from those that told when to stop, too, once these have chosen the penalty",
        f"{fit['epochs']} epochs (best {fit['best_epoch']}), {fit['cpu_seconds']:.0f} CPU seconds",
    ]
    if "pruned" in report:
        head.append(render_pruned(report["pruned"]))
    models = report["models"]
    first = next(iter(models.values()))
    rows = []
    for key, measure in first["measures"].items():
        rows.append([measure["name"], measure["unit"], *(cell(m["measures"][key]) for m in models.values())])
    for seen, figure in first["by_history"].items():
        if seen != "all":
            name = f"{report['headline']}, only {seen} seen"
            rows.append([name, figure["unit"], *(cell(m["by_history"][seen]) for m in models.values())])
    table = render(["held-out machines", "unit", *models], rows)
    return "\n".join([*head, "", table, "", "In brackets: 95 % bootstrap interval over machines.", report["verdict"]])


def cell(figure: dict[str, Any]) -> str:
    """A figure with its interval in brackets."""
    digits = 0 if abs(figure["value"]) >= 1000 else 1
    middle = f"{figure['value']:.{2 * digits}f}"
    return f"{middle} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
