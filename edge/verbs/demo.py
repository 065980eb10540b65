"""`edge demo`: the whole road on a simulated fleet."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge.extras import needed_for


@click.command()
@click.option(
    "-o",
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("edge-demo"),
    show_default=True,
    help="Folder to leave everything in.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    help="How long the live part takes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(folder: Path, seconds: float, as_json: bool) -> None:
    """Simulate a fleet, train, convert, verify, serve, and watch machines the model has never seen until they fail.

    Every stage is a command of `edge`, shown as you would type it. Nothing leaves this machine: the broker listens on
    127.0.0.1, and everything ends with the demo.
    """
    with needed_for("`edge demo`"):
        from rich.console import Console

        from edge.demo.closing import render
        from edge.demo.road import Demo, walk

    shown = walk(Demo(folder, seconds=seconds), Console(stderr=True))
    if as_json:
        click.echo(json.dumps(asdict(shown), indent=1))
    else:
        click.echo(render(shown, folder))
