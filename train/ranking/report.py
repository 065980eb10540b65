"""What a ranking found, as plain tables for programs and as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.spec import Project
from edge.table import measured_in, render
from train.build import build_task
from train.ranking.budget import size
from train.ranking.compete import Contestant, Plan
from train.ranking.pareto import pareto
from train.report import cell, verdict


@dataclass(frozen=True)
class Cost:
    """What a family costs on a device: its int8 file that steps fastest here, in that file's own backend.

    `files` says the same of every exported file, `notes` what a target declined or got wrong; without an int8 file
    there is no `file`.
    """

    file: str = ""
    backend: str = ""
    bytes: int | None = None
    median_us: float | None = None
    files: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())


def report_of(
    project: Project,
    contestants: Sequence[Contestant],
    costs: Mapping[str, Cost],
    plan: Plan,
    most: int,
    fleet: int,
    machine: dict[str, str],
) -> dict[str, Any]:
    """The report: a row each, those who answered by the first question's error, the others behind them."""
    task = build_task(project)
    first = next(iter(task.questions))
    answered = sorted((c for c in contestants if not c.why), key=lambda c: c.figures[first].value)
    best = {q: min((c.figures[q] for c in answered), key=lambda f: f.value) for q in task.questions if answered}
    weighed = {
        c.name: (c.figures[first].value, cost.median_us, float(cost.bytes))
        for c in answered
        if (cost := costs.get(c.name)) and cost.median_us is not None and cost.bytes is not None
    }
    front = pareto(weighed)
    rows = []
    for c in [*answered, *(c for c in contestants if c.why)]:
        cost = costs.get(c.name, Cost())
        rows.append(
            {
                "name": c.name,
                "family": c.entrant is not None,
                "options": dict(c.entrant.project.model.options) if c.entrant else {},
                "parameters": _parameters(c),
                "errors": {question: figure.plain() for question, figure in c.figures.items()},
                "by_seed": c.by_seed,
                "behind": {q: figure.less(best[q]) for q, figure in c.figures.items()},
                "cpu_seconds_a_fit": None if c.why else round(c.cpu_seconds, 2),
                "file": cost.file,
                "backend": cost.backend,
                "bytes": cost.bytes,
                "median_us": cost.median_us,
                "files": list(cost.files),
                "pareto": c.name in front,
                "why": c.why,
                "notes": list(cost.notes),
            }
        )
    return {
        "project": project.name,
        "headline": task.headline,
        "unit": task.measures[0].unit,
        "budget": most,
        "folds": plan.folds,
        "seeds": plan.seeds,
        "machines": fleet,
        "measured_on": machine,
        "questions": list(task.questions),
        "rows": rows,
        "verdicts": {q: _verdict(answered, q) for q in task.questions} if not task.silence else {first: task.silence},
    }


def _parameters(c: Contestant) -> int | None:
    """As counted before the fit; pruning leaves fewer."""
    if c.entrant is None:
        return None
    if c.first is None or c.first.project is None or c.first.project.model == c.entrant.project.model:
        return c.entrant.parameters
    return size(c.first.project)


def _verdict(answered: Sequence[Contestant], question: str) -> str:
    """The best family against the best baseline."""
    families = [c for c in answered if c.entrant is not None]
    baselines = {c.name: c.figures[question] for c in answered if c.entrant is None}
    if not families or not baselines:
        return "nothing to compare"
    model = min(families, key=lambda c: c.figures[question].value)
    return verdict({model.name: model.figures[question], **baselines})


def render_ranking(report: dict[str, Any]) -> str:
    """The report as text: the table, how far each is behind the best, and what could not be done."""
    questions, unit = report["questions"], report["unit"]
    good = [row for row in report["rows"] if not row["why"]]
    first, several = questions[0], report["seeds"] > 1
    header = [
        "",
        "model",
        *questions,
        *["over seeds"] * several,
        "parameters",
        "int8 bytes",
        "µs a step",
        "file",
        "CPU s a fit",
    ]
    cells = [
        [
            "*" if row["pareto"] else "",
            row["name"],
            *(cell(row["errors"][q]) for q in questions),
            *[spread(row["by_seed"][first])] * several,
            row["parameters"],
            row["bytes"],
            None if row["median_us"] is None else f"{row['median_us']:.2f}",
            row["file"] or "-",
            f"{row['cpu_seconds_a_fit']:.1f}",
        ]
        for row in good
    ]
    behind = [[row["name"], *(_gap(*of) for of in row["behind"].values())] for row in good]
    seeds = f"{report['seeds']} seeds a family" if report["seeds"] > 1 else "one seed a family"
    return "\n".join(
        [
            f"{report['project']}: {report['folds']} folds over {report['machines']} training machines, {seeds}, "
            f"at most {report['budget']} parameters",
            f"{measured_in(report['headline'], unit)}, cross-validated, with its 95 % interval over machines",
            "",
            render(header, cells),
            "",
            *legend(report),
            "",
            *([render(["behind the best by", *questions], behind), ""] if behind else []),
            *(f"{question}: {said}" for question, said in report["verdicts"].items()),
            *amiss(report),
        ]
    )


def _gap(gap: float, low: float, high: float) -> str:
    return f"{gap:+.3g} [{low:+.3g}, {high:+.3g}]" if gap or low or high else "-"


def spread(errors: list[float]) -> str:
    """The smallest and the largest error of several seeds."""
    return f"{min(errors):.3g} … {max(errors):.3g}" if len(errors) > 1 else "-"


def legend(report: dict[str, Any]) -> list[str]:
    """What the columns mean; a line each."""
    on, first = report["measured_on"], report["questions"][0]
    seeds = [f"over seeds: the error {first} of one seed alone, smallest and largest; intervals are over machines"]
    return [
        *seeds * (report["seeds"] > 1),
        f"* no other family is at least as good in error ({first}), µs and bytes: Pareto-best",
        f"bytes and µs: the dynamic-int8 file that steps fastest on {on['processor']}, all families in turns",
        "The best of many is partly luck: what was chosen here is judged anew by `edge train`, on machines held out.",
    ]


def amiss(report: dict[str, Any]) -> list[str]:
    """Who could not be ranked, and what could not be exported; a line each."""
    lost = [f"{row['name']} is not ranked: {row['why']}" for row in report["rows"] if row["why"]]
    return lost + [f"{row['name']}, {said}" for row in report["rows"] for said in row["notes"]]
