"""Every family on NASA C-MAPSS FD001 under one budget: the error on test engines over seeds, and every exported file.

    python bench/families.py -o runs/families --set model.dropout=0.1      # hours on one thread; goes on where it was
    python bench/families.py -o runs/families --render                     # the tables alone

Test engines only report here: which family and which settings is asked of `edge rank`, which never opens them. Files
are those of the first seed. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from convert.pack import prove
from convert.targets import TARGETS
from edge import atomic
from edge.recipes import RECIPES
from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.data.calibration import calibration
from train.data.split import Split
from train.evaluate import judge
from train.infer import predict
from train.models import FAMILIES
from train.pipeline import fit_with_progress, prepare
from train.ranking.budget import Entrant, entrants
from train.run import Run

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
WORSE = {"dynamic-int8": 0.1, "static-int8": 0.3}
"""How much worse an int8 file may be, in cycles."""


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("runs/families"), show_default=True)
@click.option("--seeds", default=5, show_default=True, help="Trainings of each family.")
@click.option("--families", help="Some of the families, with commas between them; else all.")
@click.option("--parameters", default=32_000, show_default=True, help="The budget that says how wide a family is.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, where a family knows it.")
@click.option("--render", "only", is_flag=True, help="Train nothing.")
def main(out: Path, seeds: int, families: str | None, parameters: int, overrides: tuple[str, ...], only: bool) -> None:
    """Train and export what is missing in OUT, print the tables, hold them to the bars."""
    models = [one for one in overrides if one.startswith("model.")]
    project = load_project(EXAMPLE, [one for one in overrides if one not in models])
    chosen = families.split(",") if families else list(FAMILIES)
    entered = entrants(project, chosen, parameters, models)
    if not only:
        parts = prepare(project)
        for seed in range(seeds):
            for entrant in entered:
                _fill(out, entrant, parts, seed)
    found = {e.name: [json.loads(p.read_text()) for s in range(seeds) if (p := _place(out, e.name, s)).exists()]
             for e in entered}  # fmt: skip
    click.echo(_errors({name: runs for name, runs in found.items() if runs}) + "\n")
    rows = {name: runs[0]["files"] for name, runs in found.items() if runs}
    click.echo(_files(rows))
    missed = [line for name, files in rows.items() for line in _missed(name, files)]
    click.echo("\n".join(missed))
    sys.exit(bool(missed))


def _place(out: Path, family: str, seed: int) -> Path:
    return out / f"{family}-{seed}.json"


def _fill(out: Path, entrant: Entrant, parts: Split, seed: int) -> None:
    """One training, judged on the test engines; of the first seed every file is made and proved, too."""
    place = _place(out, entrant.name, seed)
    if place.exists() or entrant.why:
        return
    note(f"{entrant.name} {dict(entrant.project.model.options)}, {entrant.parameters} parameters, seed {seed}")
    fitted = fit_with_progress(entrant.project, parts, seed)
    predictor = fitted.predictor
    judged = judge(predictor.task, parts.test, lambda h: predict(predictor, h))
    found: dict[str, Any] = {
        "parameters": entrant.parameters,
        "memory": predictor.memory,
        "options": dict(entrant.project.model.options),
        "capped": judged.headline.value,
        "by_history": {seen: figure.value for seen, figure in judged.by_history.items()},
        "cpu_seconds": fitted.cpu_seconds,
        "files": _proved(predictor.project, Run(predictor.project, predictor, parts.test, calibration(
            [*parts.train, *parts.validation]), {})) if seed == 0 else [],
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    atomic.write(place, json.dumps(found, indent=1) + "\n")


def _proved(project: Project, run: Run) -> list[dict[str, Any]]:
    """The certificate's rows, those outside their tolerance among them."""
    manifest, _ = prove(run, Path(f"{project.model.family}.edge"))
    return [asdict(row) for row in manifest.certificate.rows]


def _errors(found: dict[str, list[dict[str, Any]]]) -> str:
    """Median over seeds, best first."""
    rows = []
    for name, runs in sorted(found.items(), key=lambda item: statistics.median(r["capped"] for r in item[1])):
        errors = sorted(run["capped"] for run in runs)
        seen = [f"{statistics.median(run['by_history'][key] for run in runs):.2f}" for key in ("30", "50", "100")]
        memory, seconds = runs[0]["memory"], statistics.median(run["cpu_seconds"] for run in runs)
        spread = f"{errors[0]:.2f} to {errors[-1]:.2f}"
        row = [name, f"{statistics.median(errors):.2f}", spread, *seen, runs[0]["parameters"], memory or "unbounded"]
        rows.append([*row, f"{seconds:.0f}", len(runs)])
    head = ["family", "test RMSE", "over seeds", "30 seen", "50", "100", "weights", "memory", "CPU s", "seeds"]
    return render(head, rows)


def _files(found: dict[str, list[dict[str, Any]]]) -> str:
    """How much worse each file is than torch, in cycles, and its bytes."""
    keys = [(target, recipe) for target in TARGETS for recipe in RECIPES]
    rows = []
    for name, files in found.items():
        by = {(row["target"], row["recipe"]): row for row in files}
        rows.append([name, *(_cell(by[key]) for key in keys if key in by)])
    return render(["family", *("/".join(key) for key in keys)], rows)


def _cell(row: dict[str, Any]) -> str:
    if row["declined"]:
        return f"declined: {row['declined']}"
    return f"{row['change']:+.3f} / {row['bytes']}" + ("" if row["ok"] else f" FAILED: {row['why']}")


def _missed(name: str, files: list[dict[str, Any]]) -> list[str]:
    """What is outside its tolerance, or worse than its bar."""
    lines = []
    for row in files:
        bar = WORSE.get(row["recipe"])
        if not row["ok"] or (bar is not None and not row["declined"] and row["change"] > bar):
            lines.append(f"MISSED {name} {row['target']}/{row['recipe']}: {row['why'] or row['change']}")
    return lines


if __name__ == "__main__":
    main()
