"""The certificate's bars on NASA C-MAPSS FD001: GRU-32 and GRU-64, fitted and converted, or runs that lie at hand.

    python bench/certificate.py                                  # fits both first, some minutes on one thread
    python bench/certificate.py --run runs/fd001 --run runs/fd001-64

Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from convert.pack import convert
from edge.errors import CheckFailed
from edge.manifest import Row
from edge.spec import load_project
from edge.table import render
from edge.talk import note
from train.data.calibration import calibration
from train.pipeline import fit_with_progress, prepare
from train.run import Run, load_run

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
HIDDEN = (32, 64)

SHARE = 1e-4
"""Largest error of a float file, as a share of the output's range."""

WORSE = 0.1
"""How much worse the task's error may get by int8, in cycles."""

SMALLER = 0.45
"""Largest int8 file as a share of the float file, from this width on: smaller models are mostly what is not weights."""
WIDE = 64

Bar = tuple[str, float | None, float]
"""What is measured, the figure, and the largest allowed."""


@click.command()
@click.option("--run", "folders", multiple=True, type=click.Path(path_type=Path), help="A run to convert; may repeat.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the example.")
def main(folders: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Convert runs to a bundle nobody keeps and hold its certificate against the bars."""
    bars: list[Bar] = []
    for run in map(load_run, folders) if folders else _fitted(overrides):
        hidden = getattr(run.predictor.family.options, "hidden", 0)
        name = f"{run.project.name} {run.project.model.family}-{hidden}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows = convert(run, Path(folder, "model.edge")).manifest.certificate.rows
            except CheckFailed as failed:
                note(str(failed))
                bars.append((f"{name}: a certificate", None, 0.0))
            else:
                bars += _bars(name, rows, hidden >= WIDE)
    kept = [figure is not None and figure <= bar for _, figure, bar in bars]
    lines = [
        [what, None if figure is None else f"{figure:.3g}", f"{bar:g}", "holds" if held else "MISSED"]
        for (what, figure, bar), held in zip(bars, kept, strict=True)
    ]
    click.echo(render(["certificate", "figure", "bar", ""], lines))
    sys.exit(not all(kept))


def _fitted(overrides: tuple[str, ...]) -> Iterator[Run]:
    for hidden in HIDDEN:
        project = load_project(EXAMPLE, [f"model.hidden={hidden}", *overrides])
        note(f"{project.name}, {project.model.family}-{hidden}")
        parts = prepare(project)
        kept = calibration([*parts.train, *parts.validation])
        yield Run(project, fit_with_progress(project, parts).predictor, parts.test, kept, {})


def _bars(name: str, rows: tuple[Row, ...], wide: bool) -> Iterator[Bar]:
    size = {(row.target, row.recipe): row.bytes for row in rows if not row.declined}
    for row in rows:
        file = f"{name} {row.target}/{row.recipe}"
        if row.declined:
            note(f"{file}: declined, {row.declined}")
        elif row.recipe == "float32":
            yield f"{file}: largest error, share of the range", row.max_error_share, SHARE
        else:
            yield f"{file}: error grows by, cycles", row.change, WORSE
            if wide:
                yield f"{file}: bytes, share of float32", row.bytes / size[row.target, "float32"], SMALLER


if __name__ == "__main__":
    main()
