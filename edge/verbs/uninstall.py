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
    from device.layout import ROOT, Layout, check_inside, installed
    from device.systemd import call
    from edge.registry import suggest

    place = root.absolute() if root else ROOT
    layout = Layout(project, place)
    check_inside(layout)
    known = installed(place)
    traces = [*layout.owned, *(layout.states if purge else [])]  # of a removal that was interrupted, say
    if not any(path.exists() or path.is_symlink() for path in traces):
        raise ProjectError(f"no service `{project}` is installed{suggest(project, known)}")
    if root is None:
        if os.geteuid() != 0:
            raise ProjectError(f"only root can remove a service: {as_root()}")
        well, said = call("disable", "--now", layout.service)
        if not well:
            note(f"systemctl: {said}")
        call("reset-failed", layout.service)
    if known in ([project], []):
        traces.append(layout.unit)
    for path in traces:
        if remove(path):
            click.echo(path)
    if root is None:
        call("daemon-reload")
    if not purge and (left := [path for path in layout.states if path.exists()]):
        note(f"the machines' states stay in `{left[0]}`; --purge removes them")
