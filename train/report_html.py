"""A run's report as one page that opens anywhere: no script, nothing to load, light or dark as its reader's screen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from edge.intervals import Interval
from edge.spec import flat
from train.curves import draw_curves
from train.evaluate import Judged
from train.interval_picture import draw_intervals
from train.intervals import sentence
from train.picture import svg
from train.report import cell, facts
from train.run import Run
from train.tasks.base import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Picture:
    """A drawing of the page: an inline `svg`, and what it shows in a sentence."""

    title: str
    svg: str
    caption: str


def page(run: Run, predictions: Sequence[Array], judged: dict[str, Judged]) -> str:
    """The page of a run: what its task draws of `predictions` [T, O] on the held-out histories, and its courses."""
    task, courses = run.predictor.task, run.report["fit"]["courses"]
    error = f"validation error ({task.exam_unit})" if task.exam_unit else "validation error"
    found = Picture(
        "Predictions against the truth",
        svg(lambda drawing: task.draw(drawing, run.heldout, predictions, judged), "predictions against truth"),
        f"Judged at {run.report['judged_at']}. Thin bars, where there are any: 95 % bootstrap interval over machines.",
    )
    around = [_around(run, interval, table, predictions) for interval, table in _judged(run)]
    learnt = Picture(
        "How it learnt",
        svg(lambda drawing: draw_curves(drawing, courses, error), "loss and validation error by epoch", height=3.4),
        "Validation histories taught nothing: they chose the epoch whose weights were kept (dot; dotted on the left).",
    )
    return render_html(
        run.report, [found, *around, learnt], json.dumps(flat(run.project), indent=1, ensure_ascii=False)
    )


def _judged(run: Run) -> list[tuple[Interval, dict[str, Any]]]:
    """The first table of intervals that was judged, with what was found: what more there are is in the facts."""
    found = {table["output"]: table for table in run.report.get("intervals", [])}
    return [(interval, found[interval.output]) for interval in run.intervals if interval.output in found][:1]


def _around(run: Run, interval: Interval, found: dict[str, Any], predictions: Sequence[Array]) -> Picture:
    def draw(drawing: Drawing) -> None:
        draw_intervals(drawing, run.predictor.task, interval, found, run.heldout, predictions)

    return Picture(
        "How sure it is",
        svg(draw, f"intervals of {interval.output}"),
        f"{sentence(found)}. The table was made of {interval.machines} machines of the training side, each asked by a "
        "model that never saw it.",
    )


def render_html(report: dict[str, Any], pictures: Sequence[Picture], project: str) -> str:
    """The page: verdict first, then pictures, the table beside the baselines, facts; `project` is its text."""
    title = f"{report['project']}: {report['model']}"
    options = ", ".join(f"{key} {value}" for key, value in report["options"].items())
    drawn = "".join(
        f"<h2>{escape(p.title)}</h2><figure>{p.svg}<figcaption>{escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in facts(report))
    body = f"""<p class="of">{escape(f"{options + ', ' if options else ''}{report['weights']:,} weights")}</p>
<p class="verdict">{escape(report["verdict"])}</p>
{drawn}
<h2>Beside honest baselines</h2>
<div class="wide">{_table(report)}</div>
<p class="note">In brackets: 95 % bootstrap interval over machines. What is judged here taught nothing.</p>
<h2>How it was fitted</h2>
<ul>{said}</ul>
<details><summary>The project, with every default</summary><pre>{escape(project)}</pre></details>"""
    return document(title, body)


def document(title: str, body: str) -> str:
    """A whole page in the house's style; `body` is HTML."""
    style = files("train").joinpath("report.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{style}</style></head><body>
<h1>{escape(title)}</h1>
{body}
</body></html>
"""


def _table(report: dict[str, Any]) -> str:
    """Measures, and the headline by what was seen, for the model and every baseline."""
    models = report["models"]
    first = next(iter(models.values()))
    rows = [
        (measure["name"], measure["unit"], [m["measures"][key] for m in models.values()])
        for key, measure in first["measures"].items()
    ]
    rows += [
        (f"{report['headline']}, only {seen} seen", figure["unit"], [m["by_history"][seen] for m in models.values()])
        for seen, figure in first["by_history"].items()
        if seen != "all"
    ]
    head = "".join(f"<th{_mark(i)}>{escape(name)}</th>" for i, name in enumerate(models))
    body = "".join(
        f"<tr><td>{escape(name)}{f' ({escape(unit)})' if unit else ''}</td>"
        + "".join(f"<td{_mark(i)}>{figure_of(figure)}</td>" for i, figure in enumerate(figures))
        + "</tr>"
        for name, unit, figures in rows
    )
    return f"<table><thead><tr><th>held-out machines</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mark(column: int) -> str:
    return ' class="model"' if column == 0 else ""


def figure_of(figure: dict[str, Any]) -> str:
    """A figure of a report, its interval in small print."""
    middle, bracket, interval = cell(figure).partition(" [")
    return escape(middle) + (f' <span class="in">[{escape(interval)}</span>' if bracket else "")
