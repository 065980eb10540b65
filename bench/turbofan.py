"""Figures on NASA C-MAPSS: examples/turbofan.toml over several seeds, and cross-validated beside ridge.

    python bench/turbofan.py -o turbofan.json            # everything, about a quarter of an hour on one thread
    python bench/turbofan.py --seeds 1 --cv 0            # a look

Exits with 1 where a bar is missed. Test engines only report here: settings are chosen by `edge train --cv 5`, which
never opens them.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import click

from edge.spec import Project, load_project
from edge.table import render
from edge.talk import note
from train.build import build_task
from train.cv import cross_validate
from train.data.split import Split
from train.evaluate import Judged, judge
from train.fit import Fitted
from train.infer import predict
from train.pipeline import fit_with_progress, prepare

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
FILES = ("FD001", "FD003")
BARS = {"capped": 13.5, "30": 17.0, "50": 15.0, "cpu_seconds": 90.0}
"""Largest median allowed; `30` and `50` on FD001 only."""


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), help="JSON file of all figures.")
@click.option("--seeds", default=5, show_default=True, help="Trainings for each file.")
@click.option("--cv", "folds", default=5, show_default=True, help="Folds of the cross-validation; 0 for none.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(out: Path | None, seeds: int, folds: int, overrides: tuple[str, ...]) -> None:
    """Train on FD001 and FD003 with several seeds, judge on the test engines, cross-validate on training engines."""
    found: dict[str, Any] = {"settings": list(overrides), "seeds": seeds, "files": {}, "cv": {}}
    for file in FILES:
        project = _project(file, overrides)
        parts = prepare(project)
        found["files"][file] = {"baselines": _baselines(project, parts), "runs": []}
        for seed in range(seeds):
            note(f"{file}, seed {seed}")
            found["files"][file]["runs"].append(_run(fit_with_progress(project, parts, seed), parts))
        if folds:
            found["cv"][file] = cross_validate(project, folds)
    found["bars"] = _bars(found)
    click.echo(_text(found))
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(not all(bar["held"] for bar in found["bars"]))


def _project(file: str, overrides: tuple[str, ...]) -> Project:
    """The example on another file of the same kind."""
    given = load_project(EXAMPLE, overrides)
    paths = {key: Path(str(getattr(given.data, key)).replace("FD001", file)).absolute() for key in ("path", "test")}
    return load_project(EXAMPLE, [*overrides, *(f"data.{key}={json.dumps(str(path))}" for key, path in paths.items())])


def _run(fitted: Fitted, parts: Split) -> dict[str, Any]:
    def answer(histories: Any) -> Any:
        return predict(fitted.predictor, histories)

    judged = _figures(judge(fitted.predictor.task, parts.test, answer))
    return {**judged, "cpu_seconds": fitted.cpu_seconds, "epochs": fitted.epochs, "validation": fitted.validation_error}


def _baselines(project: Project, parts: Split) -> dict[str, Any]:
    task = build_task(project)
    return {
        name: _figures(judge(task, parts.test, fitted_by(project, task, parts)))
        for name, fitted_by in task.baselines.items()
    }


def _figures(judged: Judged) -> dict[str, float]:
    seen = {key: figure.value for key, figure in judged.by_history.items() if key != "all"}
    return {**{key: figure.value for key, figure in judged.figures.items()}, **seen}


def _bars(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every bar with its figure, the median over the seeds, and whether it is held."""
    bars = []
    for file, of in found["files"].items():
        for key, bar in BARS.items():
            if file == "FD001" or key not in ("30", "50"):
                median = statistics.median(run[key] for run in of["runs"])
                bars.append({"file": file, "key": key, "median": median, "bar": bar, "held": median <= bar})
    return bars


def _text(found: dict[str, Any]) -> str:
    rows, lines = [], []
    for file, of in found["files"].items():
        keys = ["capped", "raw", "score", "every", "30", "50", "100", "cpu_seconds"]
        for i, run in enumerate(of["runs"]):
            rows.append([f"{file} seed {i}", *(run[k] for k in keys)])
        median = {k: statistics.median(run[k] for run in of["runs"]) for k in keys}
        rows.append([f"{file} median", *(median[k] for k in keys)])
        rows += [[f"{file} {name}", *(figures.get(k) for k in keys)] for name, figures in of["baselines"].items()]
    for bar in found["bars"]:
        kept = "holds" if bar["held"] else "MISSED"
        lines.append(f"{bar['file']} {bar['key']}: median {bar['median']:.2f}, bar {bar['bar']:g}: {kept}")
    for file, report in found["cv"].items():
        for question, of in report["questions"].items():
            figures = ", ".join(
                f"{n} {f['value']:.2f} [{f['low']:.2f}, {f['high']:.2f}]" for n, f in of["models"].items()
            )
            lines += [f"{file} cross-validated, {question}: {figures}", f"  {of['verdict']}"]
    header = ["", "capped", "raw", "NASA", "every", "30 seen", "50 seen", "100 seen", "CPU s"]
    return "\n".join([render(header, rows), "", *lines])


if __name__ == "__main__":
    main()
