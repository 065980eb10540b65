"""A run's report as one page that opens anywhere: no script, nothing to load, light or dark as the reader's screen is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from train.report import cell, facts

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2430; --muted: #6b7280; --grid: #e5e7eb;
  --model: #0f766e; --first: #d97706; --soft: #f3f6f6 }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e6e8ec; --muted: #9aa2af; --grid: #323844;
  --model: #2dd4bf; --first: #f59e0b; --soft: #1c2127 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem }
.of { color: var(--muted); margin: 0 0 1.4rem }
.verdict { border-left: 4px solid var(--model); background: var(--soft); padding: .8rem 1rem; margin: 0; font-size: 1.1rem }
figure { margin: .6rem 0 } figure svg { width: 100%; height: auto } figcaption, .note { color: var(--muted); font-size: .9rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .93rem; width: 100% }
th, td { padding: .38rem .8rem .38rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid);
  font-variant-numeric: tabular-nums }
th { font-weight: 600; vertical-align: bottom } th:first-child, td:first-child { text-align: left; white-space: normal }
td .in { color: var(--muted); font-size: .84em } .model { color: var(--model); font-weight: 600 }
ul { padding-left: 1.2rem; margin: .4rem 0 } summary { cursor: pointer; color: var(--muted) }
pre { overflow-x: auto; background: var(--soft); padding: .8rem 1rem; font-size: .84rem; line-height: 1.4 }
@page { margin: 14mm }
@media print { :root { --paper: #fff; --ink: #1f2430; --muted: #555c68; --grid: #d5d8dd; --model: #0f766e;
  --first: #b45309; --soft: #fff; color-scheme: light } body { padding: 0; max-width: none; font-size: 10.5pt }
  figure, table, .verdict { break-inside: avoid } h2 { break-after: avoid } details { display: none } }
"""


@dataclass(frozen=True)
class Picture:
    """A drawing of the page: an inline `svg`, and what it shows in a sentence."""

    title: str
    svg: str
    caption: str


def render_html(report: dict[str, Any], pictures: Sequence[Picture], project: str) -> str:
    """The page: verdict first, then pictures, the table beside the baselines, facts; `project` is its project file's
    text.
    """
    title = f"{report['project']}: {report['model']}"
    options = ", ".join(f"{key} {value}" for key, value in report["options"].items())
    drawn = "".join(
        f"<h2>{escape(p.title)}</h2><figure>{p.svg}<figcaption>{escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in facts(report))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p class="of">{escape(f"{options + ', ' if options else ''}{report['weights']:,} weights")}</p>
<p class="verdict">{escape(report["verdict"])}</p>
{drawn}
<h2>Beside honest baselines</h2>
<div class="wide">{_table(report)}</div>
<p class="note">In brackets: 95 % bootstrap interval over machines. The machines judged here taught nothing.</p>
<h2>How it was fitted</h2>
<ul>{said}</ul>
<details><summary>Project file, with every default</summary><pre>{escape(project)}</pre></details>
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
    head = "".join(f'<th{_mark(i)}>{escape(name)}</th>' for i, name in enumerate(models))
    body = "".join(
        f"<tr><td>{escape(name)}{f' ({escape(unit)})' if unit else ''}</td>"
        + "".join(f"<td{_mark(i)}>{_figure(figure)}</td>" for i, figure in enumerate(figures))
        + "</tr>"
        for name, unit, figures in rows
    )
    return f"<table><thead><tr><th>held-out machines</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mark(column: int) -> str:
    return ' class="model"' if column == 0 else ""


def _figure(figure: dict[str, Any]) -> str:
    middle, bracket, interval = cell(figure).partition(" [")
    return escape(middle) + (f' <span class="in">[{escape(interval)}</span>' if bracket else "")
