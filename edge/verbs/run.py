"""`edge run`: the daemon."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import click

from edge.verbs.broker import BrokerOptions, apply, broker_options


class Journal(logging.Formatter):
    """Lines as systemd's journal takes them, which knows the time already: syslog's number of the level in front."""

    def format(self, record: logging.LogRecord) -> str:
        """As Formatter."""
        number = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return f"<{number}>{super().format(record)}"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@broker_options
@click.option("--backend", metavar="NAME", help="A backend of `edge doctor`; default: the first installed.")
@click.option("--recipe", metavar="NAME", help="Which file of the bundle, see `edge profile`; default: float32.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder for states; default ~/.local/state/edge.")
@click.option("--client-id", metavar="NAME", help="Our name at the broker; default project and host name.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; default /etc/edge/device.toml, if there."
)
@click.option("--keep-trying", is_flag=True, help="Ask again a broker that refuses us, as the service does for years.")
def run(
    bundle: Path,
    backend: str | None,
    recipe: str | None,
    store: Path | None,
    client_id: str | None,
    config: Path | None,
    keep_trying: bool,
    **link: Unpack[BrokerOptions],
) -> None:
    """Serve BUNDLE: subscribe to readings, publish predictions, until SIGTERM or Ctrl-C.

    Replays the golden vectors on this machine first. A broker that is absent is waited for; one that refuses the
    password at the start ends the command with status 4, but for --keep-trying. The password comes from
    --password-file or EDGE_MQTT_PASSWORD. What no option says is looked up in the settings file.
    """
    import faulthandler

    from device.serve import serve
    from device.settings import load_settings

    settings = load_settings(config)
    broker = apply(settings.broker, link)
    if client_id is not None:
        broker = replace(broker, client_id=client_id)
    kept = replace(settings.store, folder=str(store)) if store is not None else settings.store
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stream = os.fstat(sys.stderr.fileno())
    if os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}":
        logging.getLogger().handlers[0].setFormatter(Journal("%(message)s"))
    # The engine's helper library would start a thread a core, for products far too small to share.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    faulthandler.enable()  # where a watchdog found it hanging goes into the log
    backend, recipe = backend or settings.backend, recipe or settings.recipe
    serve(bundle, replace(settings, broker=broker, store=kept, backend=backend, recipe=recipe), keep_trying)
