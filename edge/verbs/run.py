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
@click.option(
    "--backend", default="auto", show_default=True, help="A backend of `edge doctor`, or auto: the first installed."
)
@click.option("--recipe", default="float32", show_default=True, help="Which file of the bundle; see `edge profile`.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder for states; default ~/.local/state/edge.")
@click.option("--client-id", metavar="NAME", help="Our name at the broker; default project and host name.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; default /etc/edge/device.toml, if there."
)
def run(
    bundle: Path,
    broker: str | None,
    password_file: Path | None,
    backend: str,
    recipe: str,
    store: Path | None,
    client_id: str | None,
    config: Path | None,
) -> None:
    """Serve BUNDLE: subscribe to readings, publish predictions, until SIGTERM or Ctrl-C.

    Replays the golden vectors on this machine first. A broker that is absent is waited for; one that refuses the
    password at the start ends the command with status 4. The password comes from --password-file or EDGE_MQTT_PASSWORD.
    """
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
    serve(bundle, replace(settings, broker=link, store=kept), backend, recipe)
