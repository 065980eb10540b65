"""`edge run`: the daemon."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import click


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--broker", metavar="URL", help="mqtt://user@host:1883; default: the settings file, else 127.0.0.1.")
@click.option("--password-file", type=click.Path(path_type=Path), help="First line is the password.")
@click.option("--backend", metavar="NAME", help="A backend of `edge doctor`; default: the first installed.")
@click.option("--recipe", metavar="NAME", help="Which file of the bundle, see `edge profile`; default: float32.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder for states; default ~/.local/state/edge.")
@click.option("--client-id", metavar="NAME", help="Our name at the broker; default project and host name.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; default /etc/edge/device.toml, if there."
)
@click.option("--insist", is_flag=True, help="Ask again a broker that refuses us, as the service does for years.")
def run(
    bundle: Path,
    broker: str | None,
    password_file: Path | None,
    backend: str | None,
    recipe: str | None,
    store: Path | None,
    client_id: str | None,
    config: Path | None,
    insist: bool,
) -> None:
    """Serve BUNDLE: subscribe to readings, publish predictions, until SIGTERM or Ctrl-C.

    Replays the golden vectors on this machine first. A broker that is absent is waited for; one that refuses the
    password at the start ends the command with status 4, but for --insist. The password comes from --password-file or
    EDGE_MQTT_PASSWORD. What no option says is looked up in the settings file.
    """
    import faulthandler

    from device.serve import serve
    from device.settings import load_settings, with_url

    settings = load_settings(config)
    link = with_url(settings.broker, broker) if broker else settings.broker
    if password_file is not None:
        link = replace(link, password_file=str(password_file))
    if client_id is not None:
        link = replace(link, client_id=client_id)
    kept = replace(settings.store, folder=str(store)) if store is not None else settings.store
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # The engine's helper library would start a thread a core, for products far too small to share.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    faulthandler.enable()  # where a watchdog found it hanging goes into the log
    backend, recipe = backend or settings.backend, recipe or settings.recipe
    serve(bundle, replace(settings, broker=link, store=kept, backend=backend, recipe=recipe), insist)
