"""`edge uninstall`: the service of a bundle is gone; what its machines have lived through stays."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edge.errors import ProjectError
from edge.talk import note
from edge.verbs.install import as_root


@click.command()
@click.argument("project")
@click.option("--purge", is_flag=True, help="Remove the machines' states too.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), help="In this image, not on this machine.")
def uninstall(project: str, purge: bool, root: Path | None) -> None:
    """Stop the service of PROJECT and remove what `edge install` wrote: bundle, settings, credentials, unit.

    States stay, so that installing again goes on where it ended; --purge removes them too.
    """
    from device.changes import remove
    from device.layout import ROOT, Layout, installed
    from device.systemd import call
    from edge.registry import suggest

    place = root.absolute() if root else ROOT
    layout = Layout(project, place)
    known = installed(place)
    left = [path for path in layout.states if path.exists()]
    if project not in known and not (purge and left):
        raise ProjectError(f"no service `{project}` is installed{suggest(project, known)}")
    if root is None:
        if os.geteuid() != 0:
            raise ProjectError(f"only root can remove a service: {as_root()}")
        well, said = call("disable", "--now", layout.service)
        if not well:
            note(f"systemctl: {said}")
        call("reset-failed", layout.service)
    gone = [layout.wanted, layout.bundle, layout.former, layout.settings, layout.credentials]
    if known in ([project], []):
        gone.append(layout.unit)
    if purge:
        gone += layout.states
    for path in gone:
        if remove(path):
            click.echo(path)
    if root is None:
        call("daemon-reload")
    if not purge and (left := [path for path in layout.states if path.exists()]):
        note(f"the machines' states stay in `{left[0]}`; --purge removes them")
