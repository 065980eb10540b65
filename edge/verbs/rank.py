"""`edge rank`: which family deserves its place on the device."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("project_file", metavar="PROJECT.toml", type=click.Path(path_type=Path))
@click.option("--families", metavar="A,B,…", help="Families to rank; all that there are if not given.")
@click.option("--parameters", type=click.IntRange(min=1), default=32_000, show_default=True, help="At most so many.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Fits a family and fold.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Folds of the validation.")
@click.option("--jobs", type=click.IntRange(min=1), help="Fits at once; as many as there are cores if not given.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key, such as train.epochs=60.")
@click.option(
    "-o", "--out", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="NAME-rank if not given."
)
@click.option("--fresh", is_flag=True, help="Make all fits anew where finished ones would be taken.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def rank(
    project_file: Path,
    families: str | None,
    parameters: int,
    seeds: int,
    folds: int,
    jobs: int | None,
    overrides: tuple[str, ...],
    folder: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Rank model families on the histories of PROJECT.toml, all of one size, beside what needs no network.

    Each family is made as wide as --parameters allow, its other options at their defaults whatever [model] says;
    `--set model.KEY=VALUE` holds for those families that know KEY, and sets a width in place of the budget. Training
    machines alone judge, by the folds and questions of `edge train --cv`. One fit a core. Beside the families stand
    the task's baselines and yardsticks (the latter need the extra `rank`).

    The table says: error with a 95 % interval over machines, parameters, bytes and microseconds a step of the
    dynamic-int8 file that is fastest here, CPU seconds a fit; * marks families that no other equals in error, time and
    bytes at once. FOLDER gets it as text, JSON, picture and page, and keeps every fit: the same command goes on
    where it was interrupted, and with another family makes only what is new.
    """
    import json

    from edge.errors import ProjectError
    from edge.extras import needed_for, require
    from edge.spec import load_project

    chosen = [one for one in overrides if one.strip().startswith("model.")]
    if any(one.partition("=")[0].strip() == "model.family" for one in chosen):
        raise click.UsageError("name the families with --families, not with --set model.family")
    project = load_project(project_file, [one for one in overrides if one not in chosen])
    require("convert", "`edge rank`")
    with needed_for("`edge rank`"):
        from convert.rank import Asked
        from convert.rank import rank as make
        from train.models import FAMILIES
        from train.ranking.report import render_ranking
        from train.ranking.workers import cores
    names = [name.strip() for name in families.split(",") if name.strip()] if families is not None else list(FAMILIES)
    if not names:
        raise ProjectError(f"--families names none; there are {', '.join(FAMILIES)}")
    asked = Asked(names, chosen, parameters, folds, seeds, jobs or cores())
    report = make(project, asked, folder or Path(f"{project.name}-rank"), fresh=fresh)
    click.echo(json.dumps(report, indent=1) if as_json else render_ranking(report))
