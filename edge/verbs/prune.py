"""`edge prune`: a fitted model becomes a smaller one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--amount", type=click.FloatRange(0, 1, True, True), required=True, help="Share of the units to cut.")
@click.option("-o", "--out", "folder", metavar="RUN", type=click.Path(path_type=Path), required=True, help="New run.")
@click.option("--steps", type=click.IntRange(min=1), help="Cut in so many steps; the project's if not given.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key, such as prune.epochs=40.")
@click.option("--fresh", is_flag=True, help="Start anew where an interrupted pruning would go on.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def prune(
    run: Path, amount: float, folder: Path, steps: int | None, overrides: tuple[str, ...], fresh: bool, as_json: bool
) -> None:
    """Cut a share of the units out of the model in RUN (a folder `edge train` wrote) and fit what remains.

    Whole units go, the least important first, in steps with fitting behind each (keys `steps`, `epochs` and
    `last_epochs` of [prune]), so the new run is smaller in every exported file. The histories of the project are read
    again; the same machines teach, and the same are held out.
    """
    import json
    from dataclasses import replace

    from edge.extras import needed_for

    with needed_for("`edge prune`"):
        from train.pipeline import prune_run
        from train.report import render_report
        from train.run import load_run
    whole = load_run(run)
    if folder.resolve() == run.resolve():
        raise click.UsageError(f"-o is `{run}` itself, whose weights would be lost; choose another")
    spec = replace(whole.project.prune, amount=amount)
    spec = spec if steps is None else replace(spec, steps=steps)
    made = prune_run(whole, spec, folder, overrides=overrides, fresh=fresh)
    click.echo(json.dumps(made.report, indent=1) if as_json else render_report(made.report))
