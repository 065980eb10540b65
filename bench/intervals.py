"""Coverage and width of the 90 % interval of remaining life, cross-validated on NASA C-MAPSS FD001.

    python bench/intervals.py                      # 5 fits to cross-validate, 6 for the test engines
    python bench/intervals.py --seeds 0 --nested   # each fold makes its table of its own 5 fits: 30 fits

Exits with 1 where the cross-validated coverage is off by more than the bar. Test engines only report here: method,
levels and stages were chosen on training engines.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.build import build_task
from train.cv import cross_validate
from train.data.split import folds, split
from train.folding import FOLD_SEED
from train.intervals import ask, judged, judged_all, sentence, tables
from train.pipeline import ask_with_progress, fit_with_progress, prepare, told

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
COUNT = 5
BAR = 0.03
"""What the cross-validated coverage may be off by."""


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), help="JSON file of all figures.")
@click.option("--seeds", default=1, show_default=True, help="Cross-validations; 0 for none.")
@click.option("--nested", is_flag=True, help="Cross-validate once more, with a table of each fold's own fits.")
@click.option("--test/--no-test", default=True, show_default=True, help="Report on the test engines, too.")
@click.option("--share", default=0.9, show_default=True, help="Which share of the truth the interval shall hold.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(out: Path | None, seeds: int, nested: bool, test: bool, share: float, overrides: tuple[str, ...]) -> None:
    """Ask models about engines that neither they nor their tables ever saw."""
    found: dict[str, dict[str, Any]] = {}
    for seed in range(seeds):
        note(f"cross-validating, seed {seed}")
        project = load_project(EXAMPLE, [*overrides, f"task.interval={share}", f"train.seed={seed}"])
        [found[f"cross-validated, seed {seed}"]] = cross_validate(project, COUNT)["intervals"]
        note(sentence(found[f"cross-validated, seed {seed}"]))
    project = load_project(EXAMPLE, [*overrides, f"task.interval={share}"])
    if nested:
        found["cross-validated, nested"] = _nested(project)
        note(sentence(found["cross-validated, nested"]))
    held = [abs(of["all"]["coverage"]["value"] - share) <= BAR for of in found.values()]
    if test:
        parts = prepare(project)
        fitted, answers = fit_with_progress(project, parts), ask_with_progress(project, parts)
        [found["test engines"]] = judged_all(fitted.predictor, tables(fitted.predictor.task, answers), parts.test)
    click.echo(_text(found))
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(not all(held))


def _nested(project: Project) -> dict[str, Any]:
    """As a user would: of each fold's training side a model and a table, both asked about the machines held back."""
    task, pairs = build_task(project), []
    for fold, (others, back) in enumerate(folds(told(project), COUNT, FOLD_SEED, lasting=task.lasting)):
        note(f"fold {fold + 1} of {COUNT}")
        parts = split(others, project, back, lasting=task.lasting)
        fitted, answers = fit_with_progress(project, parts, seed=fold), ask_with_progress(project, parts, seed=fold)
        pairs += [(table, ask(fitted.predictor, back)[table.output]) for table in tables(task, answers)]
    return judged(pairs, task.outputs[0][1])


def _text(found: dict[str, dict[str, Any]]) -> str:
    def cells(of: dict[str, Any]) -> list[str]:
        return [_interval(of["coverage"], 3), _interval(of["width"], 1)]

    rows = [[name, *(cell for of in ("all", "first", "late") for cell in cells(found[name][of]))] for name in found]
    header = ["", *(f"{what}, {of}" for of in ("all", "first reading", "mid-life") for what in ("coverage", "width"))]
    levels = [
        [name, f"{level['from']:.0f} to {level['to']:.0f}", *cells(level)]
        for name, of in found.items()
        for level in of["levels"]
    ]
    return "\n\n".join([render(header, rows), render(["", "predicted", "coverage", "width"], levels)])


def _interval(figure: dict[str, Any], digits: int) -> str:
    return f"{figure['value']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


if __name__ == "__main__":
    main()
