"""`edge install`: a bundle as a service of this device."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from edge.errors import ProjectError
from edge.talk import note
from edge.verbs.broker import BrokerOptions, broker_options

if TYPE_CHECKING:
    from device.changes import File

STDIN = "-"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@broker_options
@click.option("--backend", metavar="NAME", help="A backend of `edge doctor`; default: the first installed.")
@click.option("--recipe", metavar="NAME", help="Which file of the bundle, see `edge profile`; default: float32.")
@click.option("--client-id", metavar="NAME", help="Our name at the broker; default project and host name.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), help="Prepare this image; start nothing.")
@click.option("--edge", "executable", type=click.Path(path_type=Path), help="The `edge` it runs; default: this one.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, without secrets; change nothing.")
def install(
    bundle: Path,
    backend: str | None,
    recipe: str | None,
    client_id: str | None,
    root: Path | None,
    executable: Path | None,
    dry_run: bool,
    **link: Unpack[BrokerOptions],
) -> None:
    """Serve BUNDLE from now on and at every boot, as the systemd service edge@PROJECT.

    Replays the golden vectors, writes unit, settings and credentials, starts the service and waits until it is ready;
    where it does not become ready, everything is put back as it was. Installing again upgrades; options that are not
    given keep what was installed. A password is read from --password-file (- is stdin) or asked for.
    """
    from device.choose import files_of, open_backend
    from device.golden import require
    from device.install import Wish, connected, former_settings, plan, stage, start
    from device.layout import EXECUTABLE, Layout, check_visible
    from device.systemd import require as require_systemd
    from edge.bundle import Bundle

    if not dry_run and root is None:
        require_systemd()
        if os.geteuid() != 0:
            raise ProjectError(f"only root can install a service: {as_root()}")
    opened = Bundle.open(bundle)
    layout = Layout(opened.manifest.project.name, root.absolute() if root else Path("/"))
    former = former_settings(layout)
    wish = Wish(
        _ask_password,
        link["broker"],
        _password(link["password_file"]),
        link["ca"],
        link["cert"],
        link["key"],
        client_id,
        backend,
        recipe,
    )
    if executable is None:
        executable = this_edge() if root is None else Path(EXECUTABLE)
    if root is None and not dry_run:
        import edge

        check_visible(executable, Path(sys.base_prefix), Path(edge.__file__))
    files_of(opened, backend or former.backend, recipe or former.recipe)
    files = plan(layout, bundle.read_bytes(), wish, former, executable)
    if root is None:
        proof = require(open_backend(opened, backend or former.backend, recipe or former.recipe))
        note(f"{proof.executable} on {proof.backend} answers here as certified ({proof.steps} steps)")
    if dry_run:
        for file in files:
            _show(file)
        return
    if root is not None:
        for path in stage(layout, files):
            click.echo(path)
        note(f"{layout.service} starts when the image boots, with {executable}")
        if os.geteuid() != 0:
            note("these files are yours: make them root's in the image, or prepare it with sudo or fakeroot")
        return
    start(layout, files)
    answer = connected(layout)
    reasons = "; ".join(answer.get("reasons", ["it does not say how it is"]))
    click.echo(
        f"{layout.service} serves model {opened.manifest.model}: {reasons or 'healthy, connected to its broker'}"
    )
    click.echo(f"  how it is   {executable} status {layout.name}\n  its log     journalctl -u {layout.service} -f")


def this_edge() -> Path:
    """The `edge` of the environment that runs now."""
    beside = Path(sys.executable).with_name("edge")
    return beside if beside.is_file() else Path(sys.argv[0]).absolute()


def as_root() -> str:
    """The command that was given, with sudo."""
    return shlex.join(["sudo", str(this_edge()), *sys.argv[1:]])


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    if str(path) == STDIN:
        return sys.stdin.readline().rstrip("\r\n")
    try:
        found = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"
        raise ProjectError(f"the password file `{path}` cannot be read: {why}") from error
    if not found:
        raise ProjectError(f"the first line of the password file `{path}` is empty; write the password there")
    return found


def _ask_password(user: str) -> str:
    if not sys.stdin.isatty():
        raise ProjectError(f"user `{user}` needs a password: --password-file FILE, or - to read it from stdin")
    answer: str = click.prompt(f"Password of `{user}` at the broker", hide_input=True, err=True)
    return answer


def _show(file: File) -> None:
    from device.changes import SECRET

    if file.content is None:
        with suppress(OSError):  # whoever may not look into the credentials' folder is told of no removal there
            if file.path.exists():
                click.echo(f"# {file.path}: removed")
        return
    click.echo(f"# {file.path} ({file.mode:04o}, {len(file.content)} bytes)")
    if file.mode != SECRET and file.path.suffix != ".edge" and file.path.suffix != ".former":
        click.echo(file.content.decode())
