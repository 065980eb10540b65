"""`edge doctor`: what is installed here, what is missing, what is shadowed."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from edge.errors import CheckFailed
from edge.table import render


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Say what is installed, missing or shadowed on this machine, each with its remedy.

    Extras that are missing are no fault. Exit status 1 where the base is broken, a library has a version that does not
    fit, or a file hides one of our packages.
    """
    from edge.doctor import OK, WRONG, examine

    findings = examine()
    wrong = [f for f in findings if f.state == WRONG]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "findings": [asdict(f) for f in findings]}, indent=1))
    else:
        rows = [[f.section, f.name, f.state, f.detail] for f in findings]
        click.echo(render(["", "what", "state", "found"], rows))
        remedies = dict.fromkeys((f.name, f.remedy) for f in findings if f.state != OK)
        if remedies:
            click.echo(f"\n{render(['to have', 'do'], list(remedies))}")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise CheckFailed(f"{wrong[0].name}: {wrong[0].detail}; {wrong[0].remedy}{more}")
