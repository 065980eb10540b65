"""What a training found, as a table for people and as plain tables for programs."""

from __future__ import annotations

from typing import Any

from edge.spec import Project
from edge.table import render
from train.data.history import machines
from train.data.split import Split
from train.evaluate import Figure, Judged
from train.fit import Fitted
from train.intervals import sentence
from train.prune import render_pruned


def report_of(project: Project, fitted: Fitted, parts: Split, judged: dict[str, Judged]) -> dict[str, Any]:
    """The report of a run: plain tables, ready for JSON. `judged` begins with the model, the baselines follow."""
    family, task = fitted.predictor.family, fitted.predictor.task
    return {
        "project": project.name,
        "model": project.model.family,
        "options": dict(project.model.options),
        "weights": sum(p.numel() for p in family.parameters()),
        "seed": project.train.seed,
        "judged_at": task.said(parts.test),
        "split": project.train.split,
        "notes": list(task.notes),
        "machines": {name: len(machines(getattr(parts, name))) for name in ("train", "validation", "test")},
        "fit": {
            "epochs": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "validation_error": fitted.validation_error,
            "cpu_seconds": round(fitted.cpu_seconds, 1),
            "courses": [course.plain() for course in fitted.courses],
        },
        "unit": task.outputs[0][1],
        "headline": task.headline,
        "models": {name: of.plain() for name, of in judged.items()},
        "verdict": task.silence or verdict({name: of.headline for name, of in judged.items()}),
    }


def verdict(figures: dict[str, Figure]) -> str:
    """One sentence: does the model (the first) beat the best baseline, by how much, and is that proved."""
    model, *baselines = figures
    best = min(baselines, key=lambda name: figures[name].value)
    gain, low, high = figures[best].less(figures[model])
    unit = figures[model].measure.unit
    alone = len(figures[model].machines) == 1
    unit = f" {unit}" if unit else ""
    interval = "no interval" if alone else f"95 % interval {_signed(low)} to {_signed(high)}{unit}"
    proved = not alone and (low > 0 or high < 0)
    doubt = "one machine proves nothing" if alone else "the interval holds zero"
    if gain > 0 and proved:
        return f"{model} beats the best baseline, {best}, by {_plain(gain)}{unit} ({interval})."
    if gain > 0:
        return (
            f"{model} is {_plain(gain)}{unit} better than the best baseline, {best}, "
            f"but that is not proved: {doubt} ({interval})."
        )
    tail = "." if proved else f", though {doubt}."
    return f"The baseline wins: {best} is {_plain(-gain)}{unit} better than {model} (gain of {model}: {interval}){tail}"


def facts(report: dict[str, Any]) -> list[str]:
    """Who taught, who judged at what, how long it took, and what was pruned; a line each."""
    count, fit = report["machines"], report["fit"]
    courses = len(fit["courses"])
    best = f"best {fit['best_epoch']}" if courses == 1 else f"{courses} courses, best {fit['best_epoch']} of the last"
    same = ", the same ones at later readings" if report["split"] == "time" else ""
    return [
        f"{count['train']} machines taught, {count['validation']} told when to stop, "
        f"{count['test']} were held out{same}",
        f"judged at {report['judged_at']}",
        *report["notes"],
        f"{fit['epochs']} epochs ({best}), {fit['cpu_seconds']:.0f} CPU seconds",
        *([render_pruned(report["pruned"])] if "pruned" in report else []),
        *around(report.get("intervals", [])),
    ]


TOLD = 4
"""Intervals told one by one; a forecast may have dozens."""


def around(found: list[dict[str, Any]]) -> list[str]:
    """Judged intervals, a sentence each."""
    said = [sentence(one) for one in found[:TOLD]]
    return [*said, f"{len(found) - TOLD} more intervals: see report.json"] if len(found) > TOLD else said


def render_report(report: dict[str, Any]) -> str:
    """The report as text: what was fitted, the table beside the baselines, and the verdict."""
    options = "".join(f" {key}={value}" for key, value in report["options"].items())
    head = f"{report['project']}: {report['model']}{options}, {report['weights']} weights, seed {report['seed']}"
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
    brackets = "In brackets: 95 % bootstrap interval over machines."
    return "\n".join([head, *facts(report), "", table, "", brackets, report["verdict"]])


FINE = 1.0
"""Figures below are told to three decimals."""


def _plain(value: float) -> str:
    return f"{value:.3f}" if abs(value) < FINE else f"{value:.2f}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + _plain(value)


def cell(figure: dict[str, Any]) -> str:
    """A figure with its interval in brackets; a dash where there is nothing to say."""
    value = figure["value"]
    if value is None:
        return "-"
    middle, digits = (2, 1) if abs(value) >= FINE else (3, 3)
    if abs(value) >= 1000:
        middle = digits = 0
    return f"{value:.{middle}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
