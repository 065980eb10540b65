"""The certificate's bars on NASA C-MAPSS FD001: GRU-32, GRU-64 and TCN-24, fitted and converted, or runs at hand.

    python bench/certificate.py                                  # fits both first, some minutes on one thread
    python bench/certificate.py --run runs/fd001 --run runs/fd001-64

Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from convert.pack import convert
from convert.streams import forward
from device.choose import backend_for
from device.profile import profile
from device.stream import outputs
from edge.bundle import Bundle
from edge.errors import CheckFailed
from edge.manifest import Row
from edge.spec import load_project
from edge.table import render
from edge.talk import note
from train.data.calibration import calibration
from train.pipeline import fit_with_progress, prepare
from train.run import Run, load_run

EXAMPLE = Path(__file__).parents[1] / "examples" / "turbofan.toml"
MODELS: tuple[tuple[str, dict[str, object]], ...] = (
    ("gru", {"hidden": 32, "dropout": 0.1}),
    ("gru", {"hidden": 64, "dropout": 0.1}),
    ("tcn", {"channels": 24, "dropout": 0.1}),
)

SHARE = 1e-4
"""Largest error of a float file, as a share of the output's range."""

WORSE = {"dynamic-int8": 0.1, "static-int8": 0.3}
"""How much worse the task's error may get by int8, in cycles."""

GROWTH = 1.2
"""Largest rms of a static file's error in the last period of a long periodic stream, as a share of the second's."""
LONG = 100_000
"""Readings of that stream."""

STEPS = 20_000
"""Timed steps of each file."""

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
        options = run.predictor.family.options
        width = getattr(options, "hidden", getattr(options, "channels", 0))
        name = f"{run.project.model.family}-{width}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                bundle = convert(run, Path(folder, "model.edge"))
            except CheckFailed as failed:
                note(str(failed))
                bars.append((f"{name}: a certificate", None, 0.0))
            else:
                bars += _bars(name, bundle.manifest.certificate.rows, width >= WIDE)
                bars += _growths(name, run, bundle)
                _times(name, bundle)
    kept = [figure is not None and figure <= bar for _, figure, bar in bars]
    lines = [
        [what, None if figure is None else f"{figure:.3g}", f"{bar:g}", "holds" if held else "MISSED"]
        for (what, figure, bar), held in zip(bars, kept, strict=True)
    ]
    click.echo(render(["certificate", "figure", "bar", ""], lines))
    sys.exit(not all(kept))


def _fitted(overrides: tuple[str, ...]) -> Iterator[Run]:
    for family, options in MODELS:
        project = load_project(EXAMPLE, list(overrides))
        project = replace(project, model=replace(project.model, family=family, options=options))
        note(f"{project.name}, {family} {options}")
        parts = prepare(project)
        kept = calibration([*parts.train, *parts.validation])
        yield Run(project, fit_with_progress(project, parts).predictor, parts.test, kept, {})


def _bars(name: str, table: tuple[Row, ...], wide: bool) -> Iterator[Bar]:
    size = {(row.target, row.recipe): row.bytes for row in table if not row.declined}
    for row in table:
        file = f"{name} {row.target}/{row.recipe}"
        if row.declined:
            note(f"{file}: declined, {row.declined}")
        elif row.recipe == "float32":
            yield f"{file}: largest error, share of the range", row.max_error_share, SHARE
        else:
            yield f"{file}: error grows by, cycles", row.change, WORSE[row.recipe]
            if wide:
                yield f"{file}: bytes, share of float32", row.bytes / size[row.target, "float32"], SMALLER


def _growths(name: str, run: Run, bundle: Bundle) -> Iterator[Bar]:
    """How much the error of the static files grows from the second to the last period of a long stream."""
    readings = bundle.readings(next(s for s in bundle.manifest.golden if s.name == "drift"))
    period = len(readings)
    truth = forward(run.predictor, np.resize(np.array(readings, np.float32), (LONG, len(readings[0]))))
    for executable in bundle.manifest.executables:
        if executable.recipe == "static-int8":
            note(f"{name} {executable.key}: {LONG} steps")
            got = outputs(backend_for(bundle, executable), readings, LONG, LONG)
            error = np.array(got, np.float32).reshape(truth.shape) - truth
            end = LONG - LONG % period
            second, last = error[period : 2 * period], error[end - period : end]
            growth = float(np.sqrt((last**2).mean() / (second**2).mean()))
            note(f"{name} {executable.key}: rms of its error over all {np.sqrt((error**2).mean()):.3f}")
            yield f"{name} {executable.key}: rms of the last period, share of the second's", growth, GROWTH


def _times(name: str, bundle: Bundle) -> None:
    """Microseconds a step, all files interleaved in one run; no bar, they belong to this machine."""
    report = profile(bundle, STEPS)
    cells = [[m.executable, f"{m.median_us:.2f}", f"{m.ratio:.2f}", f"{m.change:+.3f}", m.bytes] for m in report.rows]
    click.echo(f"{name}, {report.machine['processor']}")
    click.echo(render(["file", "median µs", "× float", "change", "bytes"], cells) + "\n")


if __name__ == "__main__":
    main()
