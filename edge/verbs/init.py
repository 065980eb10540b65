"""`edge init`: a first project file by looking at histories."""

from __future__ import annotations

from pathlib import Path

import click

NOTES = 8
"""What is said at most about oddities of the histories; `edge train` says more."""


@click.command()
@click.argument("more", metavar="[HISTORY...]", nargs=-1)
@click.option("--from", "first", metavar="HISTORY", multiple=True, help="A file or glob: CSV, .csv.gz, Parquet.")
@click.option(
    "-o", "--out", metavar="PROJECT.toml", type=click.Path(path_type=Path), help="Default: HISTORY.toml here."
)
@click.option("--force", is_flag=True, help="Replace PROJECT.toml where it exists.")
@click.option("--machine", metavar="COLUMN", help="Column that names the machine, or {file}, or {folder}.")
@click.option("--time", "time_column", metavar="COLUMN", help="Column of the time.")
@click.option("--time-format", metavar="FORMAT", help="How times are written, such as '%d.%m.%Y %H:%M:%S'.")
@click.option("--timezone", metavar="ZONE", help="Zone of times that name none, such as Europe/Berlin.")
@click.option("--failure", metavar="COLUMN", help="Column that is true at failures; {last}: every record ends in one.")
@click.option("--json", "as_json", is_flag=True, help="Print what was decided as JSON.")
def init(
    more: tuple[str, ...],
    first: tuple[str, ...],
    out: Path | None,
    force: bool,
    machine: str | None,
    time_column: str | None,
    time_format: str | None,
    timezone: str | None,
    failure: str | None,
    as_json: bool,
) -> None:
    """Look at histories and write a first project file that trains as it is.

    Finds the machine, the time and its format, the failure, channels with their ranges, what must be left out (constant
    columns, counters, labels), the period, the task the data are enough for, and a split that can judge. Each decision
    is explained on stderr and in the file; what cannot be known, such as day or month first, is asked for.
    """
    import json

    patterns = [*first, *more]
    if not patterns:
        raise click.UsageError("say what to look at: edge init --from history.csv")

    from edge.atomic import write
    from edge.errors import EdgeError
    from edge.extras import needed_for
    from edge.readers.base import find
    from edge.spec import load_project
    from edge.table import render
    from edge.talk import note

    with needed_for("`edge init`"):
        from train.data.gather import gather
        from train.look.draft import draft
        from train.look.roles import Wishes
        from train.look.text import as_pattern, name_of, project_text, relative
    paths = find(patterns, "HISTORY")
    stem = paths[0].name.partition(".")[0] if len(paths) == 1 else paths[0].absolute().parent.name
    out = out or Path(f"{name_of(Path(stem))}.toml")
    if out.exists() and not force:
        raise click.UsageError(f"`{out}` exists; choose another -o, or replace it with --force")
    made = draft(paths, Wishes(machine, time_column, failure, time_format, timezone))
    named = as_pattern([Path(p) for p in patterns]) if all(Path(p).is_file() for p in patterns) else patterns
    write(out, project_text(made, name_of(out), relative(named, out)))
    note(render(["what", "choice", "why"], made.reasons))
    if made.left_out:
        note("")
        note(render(["left out", "why"], list(made.left_out.items())))
    note("")
    try:
        for line in gather(load_project(out)).notes[:NOTES]:
            note(f"note: {line}")
    except EdgeError as error:
        raise type(error)(f"`{out}` is written, but its histories cannot all be read: {error}") from error
    if as_json:
        table = {
            "project": str(out),
            "task": made.kind,
            "channels": [seen.name for seen in made.channels],
            "left_out": made.left_out,
            "decisions": [{"what": what, "choice": choice, "why": why} for what, choice, why in made.reasons],
            **made.facts,
        }
        click.echo(json.dumps(table, indent=1, ensure_ascii=False))
    else:
        click.echo(str(out))
    note(f"next: look into {out}, then edge train {out} -o runs/{name_of(out)}")
