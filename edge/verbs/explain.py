"""`edge explain`: which sensors, and which stretch of time, moved a prediction."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge.extras import needed_for, require


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("history", nargs=-1, required=True)
@click.option("--machine", help="Which machine of HISTORY; not needed where it holds one.")
@click.option(
    "--at",
    metavar="READING|TIME",
    help="Number of a reading (1 is the machine's first, -1 its last), or a time as HISTORY writes it: the last "
    "reading not after it. The last one if not given.",
)
@click.option("--output", metavar="NAME", help="Which output of the model, see `edge info`; the first if not given.")
@click.option(
    "--readings",
    type=click.IntRange(min=2),
    help="So many readings are taken apart; those before count as one. All that the model remembers, or 200 where its "
    "memory has no bound, if not given.",
)
@click.option("-o", "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this PNG, too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, each reading's part included.")
@click.option("--reader", help="Format of HISTORY, if not the one the model was trained on.")
def explain(
    bundle: Path,
    history: tuple[str, ...],
    machine: str | None,
    at: str | None,
    output: str | None,
    readings: int | None,
    picture: Path | None,
    as_json: bool,
    reader: str | None,
) -> None:
    """Say which sensors, and which stretch of time, moved a prediction that BUNDLE makes for a machine in HISTORY
    (files or globs).

    The prediction is compared with what it would be had the readings been those of a healthy machine at the same
    operating conditions; the difference is shared out among sensors and readings by integrated gradients, and adds up.
    A sensor that "moved it by -40 cycles" is why 40 of them are missing. That says what the model went by, which is
    where to look first; it does not prove what broke.

    Works on every bundle that holds onnx/float32. Readings go through the same runtime as the daemon's.
    """
    require("convert", "`edge explain`")
    with needed_for("`edge explain`"):
        from convert.explain.explanation import explain as take_apart
        from convert.explain.table import render
    from edge.bundle import Bundle

    found = take_apart(Bundle.open(bundle), history, machine, at, output, readings, reader)
    if picture is not None:
        from convert.explain.picture import explanation_picture
        from edge import atomic
        from edge.talk import note

        atomic.write(picture, explanation_picture(found))
        note(f"drawn into {picture}")
    click.echo(json.dumps(asdict(found), indent=1) if as_json else render(found))
