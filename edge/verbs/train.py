"""`edge train`: from a project file to a fitted model in a run folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("project_file", metavar="PROJECT.toml", type=click.Path(path_type=Path))
@click.option("-o", "--out", "folder", metavar="RUN", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key, such as model.hidden=64.")
@click.option("--cv", "folds", metavar="K", type=click.IntRange(min=2), help="Only cross-validate, K folds.")
@click.option("--fresh", is_flag=True, help="Start anew where an interrupted training would go on.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def train(
    project_file: Path, folder: Path | None, overrides: tuple[str, ...], folds: int | None, fresh: bool, as_json: bool
) -> None:
    """Fit the model of PROJECT.toml to its histories and compare it with honest baselines.

    The run folder RUN holds the weights, the held-out histories, the report and a picture; `edge convert RUN` goes on
    from there. The same command again continues a training that was interrupted. With --cv the training machines alone
    judge, at random cut-offs over K folds: make choices there, since held-out machines may be looked at once.
    """
    import json

    if folder is None and folds is None:
        raise click.UsageError("say where to with -o RUN, or compare with --cv K")
    if folder is not None and folds is not None:
        raise click.UsageError("--cv writes no run; leave out -o")

    from edge.extras import needed_for
    from edge.spec import load_project

    project = load_project(project_file, overrides)
    with needed_for("`edge train`"):
        from train.cv import cross_validate, render_cv
        from train.pipeline import train_run
        from train.report import render_report
    if folds is not None:
        found = cross_validate(project, folds)
        click.echo(json.dumps(found, indent=1) if as_json else render_cv(found))
        return
    assert folder is not None
    run = train_run(project, folder, fresh=fresh)
    click.echo(json.dumps(run.report, indent=1) if as_json else render_report(run.report))
