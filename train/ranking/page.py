"""A ranking as one page that opens anywhere."""

from __future__ import annotations

from html import escape
from typing import Any

from edge.table import measured_in
from train.ranking.picture import as_svg
from train.ranking.report import amiss, legend, spread
from train.report_html import document, figure_of


def page(report: dict[str, Any]) -> str:
    """The page: verdicts, picture, table, and what could not be done."""
    title = f"{report['project']}: {sum(row['family'] for row in report['rows'])} families ranked"
    of = (
        f"{report['folds']} folds over {report['machines']} training machines, {report['seeds']} seeds a family, "
        f"at most {report['budget']:,} parameters"
    )
    said = "<br>".join(escape(f"{question}: {text}") for question, text in report["verdicts"].items())
    notes = "".join(f"<li>{escape(line)}</li>" for line in (*legend(report), *amiss(report)))
    caption = "Bars: 95 % bootstrap interval over machines. A file's µs were measured in turns with all others."
    body = f"""<p class="of">{escape(of)}</p>
<p class="verdict">{said}</p>
<h2>Error, and what it costs</h2><figure>{as_svg(report)}<figcaption>{escape(caption)}</figcaption></figure>
<h2>All of them</h2>
<div class="wide">{_table(report)}</div>
<ul>{notes}</ul>"""
    return document(title, body)


def _table(report: dict[str, Any]) -> str:
    questions = report["questions"]
    error = measured_in(report["headline"], report["unit"])
    several = report["seeds"] > 1
    names = [
        "model",
        *(f"{error}, {q}" for q in questions),
        *["over seeds"] * several,
        "parameters",
        "int8 bytes",
        "µs a step",
        "CPU s a fit",
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = []
    for row in report["rows"]:
        if row["why"]:
            continue
        us = "-" if row["median_us"] is None else f"{row['median_us']:.2f}"
        size = "-" if row["bytes"] is None else f"{row['bytes']:,} ({row['file'].partition('/')[0]})"
        weights = "-" if row["parameters"] is None else f"{row['parameters']:,}"
        cells = [*(figure_of(row["errors"][q]) for q in questions)]
        cells += [spread(row["by_seed"][questions[0]])] * several
        cells += [escape(text) for text in (weights, size, us, f"{row['cpu_seconds_a_fit']:.1f}")]
        mark = ' class="model"' if row["pareto"] else ""
        name = ("* " if row["pareto"] else "") + row["name"]
        body.append(f"<tr><td{mark}>{escape(name)}</td>" + "".join(f"<td>{one}</td>" for one in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
