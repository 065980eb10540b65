"""`edge status`: ask the running daemons how they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edge.errors import CheckFailed, LinkError

SHOWN = (
    *("project", "state", "healthy", "reasons", "machines", "readings", "silent_s", "predictions", "rejected"),
    *("model", "recipe", "backend", "uptime_s"),
)
"""What an answer must hold."""


@click.command()
@click.argument("project", required=False)
@click.option("--socket", type=click.Path(path_type=Path), help="Ask the daemon that listens here.")
@click.option("--json", "as_json", is_flag=True, help="Print everything the daemons say, as JSON.")
def status(project: str | None, socket: Path | None, as_json: bool) -> None:
    """Ask the daemons that run on this machine, or the one of PROJECT, how they are.

    The answer comes from a daemon's own loop, so one that hangs gives none. Exit status 0 where all are healthy, 1
    where one is not (broker away, states cannot be saved, silence, hanging), 4 where none runs.
    """
    from device.status_socket import NAME, folders, own_folder

    if socket is not None:
        paths = [socket]
    else:
        mine = own_folder(project or "")  # of a container, say: not named after the project
        paths = [p for f in folders() if (p := f / NAME).is_socket() and (project in (None, f.name) or f == mine)]
    answers = [found for path in paths if (found := _ask(path, socket is not None)) is not None]
    if project is not None:
        answers = [found for found in answers if found["project"] == project]
    if as_json:
        healthy = bool(answers) and all(found["healthy"] for found in answers)
        click.echo(json.dumps({"healthy": healthy, "services": answers}, indent=1))
    else:
        for found in answers:
            click.echo(_in_words(found))
    if not answers:
        which = f"no `edge run` of `{project}`" if project else "no `edge run`"
        more = f"systemctl status 'edge@{project or '*'}'"
        raise LinkError(f"{which} answers on this machine; begin with `edge run` or `edge install`, or see {more}")
    if sick := [found for found in answers if not found["healthy"]]:
        raise CheckFailed(f"{', '.join(found['project'] for found in sick)}: not healthy")


def _ask(path: Path, named: bool) -> dict[str, Any] | None:
    """What the daemon at `path` says; None where a dead one left its socket behind, unless the user `named` it."""
    from device.status_socket import ASK_S, ask

    try:
        found = ask(path, ASK_S)
    except TimeoutError:
        line = f"does not answer within {ASK_S:g} s: it hangs, or is connecting; its watchdog restarts one that hangs"
        return {"project": path.parent.name, "state": "silent", "healthy": False, "reasons": [line]}
    except LinkError:
        if named:
            raise
        return None
    if missing := [key for key in SHOWN if key not in found]:
        raise LinkError(f"`{path}` does not say its {missing[0]}; restart the service, which may be of another version")
    return found


def _in_words(found: dict[str, Any]) -> str:
    parts = ["healthy" if found["healthy"] else "NOT HEALTHY: " + "; ".join(found["reasons"])]
    if found["state"] != "silent":
        parts += [
            f"{found['machines']} machines, {found['readings']} readings, the last {_age(found['silent_s'])} ago"
            if found["readings"]
            else "no readings yet",
            f"{found['predictions']} predictions",
            f"{sum(found['rejected'].values())} refused",
            f"model {found['model']} as {found['recipe']} on {found['backend']}",
            f"up {_age(found['uptime_s'])}",
        ]
    return "\n  ".join([f"{found['project']}: {parts[0]}", *parts[1:]])


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
