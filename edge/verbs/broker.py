"""The options that say where the broker is and who we are, the same for every verb that talks to one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

if TYPE_CHECKING:
    from device.settings import BrokerSettings

Command = Callable[..., Any]

FILE = click.Path(path_type=Path)


class BrokerOptions(TypedDict):
    """What the options gave; None where they did not."""

    broker: str | None
    password_file: Path | None
    ca: Path | None
    cert: Path | None
    key: Path | None


def broker_options(command: Command) -> Command:
    """Add the options to a command; it gets them by the names of BrokerOptions."""
    for add in (
        click.option("--key", type=FILE, help="Private key of --cert, PEM; default: it is in that file."),
        click.option("--cert", type=FILE, help="Our own certificate, PEM, where the broker asks for one."),
        click.option("--ca", type=FILE, help="The authority of the broker's certificate, PEM; default: the system's."),
        click.option("--password-file", type=FILE, help="First line is the password."),
        click.option("--broker", metavar="URL", help="mqtts://user@host:8883, or mqtt:// without TLS."),
    ):
        command = add(command)
    return command


def apply(settings: BrokerSettings, given: BrokerOptions) -> BrokerSettings:
    """`settings` with what the options say. Raises ProjectError where that makes no sense."""
    from dataclasses import replace

    from device.settings import check_broker, with_url

    if given["broker"]:
        settings = with_url(settings, given["broker"])
    settings = replace(
        settings,
        password_file=_named(given["password_file"], settings.password_file),
        ca_file=_named(given["ca"], settings.ca_file),
        cert_file=_named(given["cert"], settings.cert_file),
        key_file=_named(given["key"], settings.key_file),
    )
    check_broker(settings)
    return settings


def _named(path: Path | None, otherwise: str) -> str:
    return otherwise if path is None else str(path.absolute())
