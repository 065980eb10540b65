"""`edge convert`: a training run becomes one certified bundle."""

from __future__ import annotations

from pathlib import Path

import click

from edge.certificate import render
from edge.extras import needed_for, require


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The bundle; RUN.edge if not given."
)
@click.option("--target", "targets", multiple=True, help="Only this format; may be repeated. All if not given.")
@click.option("--recipe", "recipes", multiple=True, help="Only this recipe; may be repeated. All if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest with the certificate as JSON.")
def convert(run: Path, output: Path | None, targets: tuple[str, ...], recipes: tuple[str, ...], as_json: bool) -> None:
    """Export RUN (a folder `edge train` wrote) to ONNX and TFLite, in float32 and int8, as one bundle.

    Recipes: float32; dynamic-int8 (int8 weights, operands scaled while running); static-int8 (int8 weights, operands
    scaled by what training machines showed). Every file is run step by step on the held-out machines and compared with
    the trained model. Where one is outside its tolerance, nothing is written, the exit status is 1, and the message
    says which --recipe to keep.
    """
    require("convert", "`edge convert`")
    with needed_for("`edge convert`"):
        from convert.pack import convert as make
        from train.run import load_run

    path = output or run.with_name(f"{run.name}.edge")
    bundle = make(load_run(run), path, targets, recipes)
    if as_json:
        from edge.manifest import dump

        click.echo(dump(bundle.manifest).decode(), nl=False)
        return
    click.echo(render(bundle.manifest.certificate))
    click.echo(f"{path} ({path.stat().st_size / 1024:.0f} kB), model {bundle.manifest.model}", err=True)
