"""What the device knows about itself and its broker: `/etc/edge/device.toml`. Nothing here travels in a bundle."""

from __future__ import annotations

import os
import socket
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.errors import ProjectError
from edge.typed import build

DEFAULT_PATH = Path("/etc/edge/device.toml")

PASSWORD_VARIABLE = "EDGE_MQTT_PASSWORD"

PLAIN_PORT = 1883

TLS_PORT = 8883

DAY_S = 86_400.0

LONGEST_ID = 128
"""Characters of a client id."""


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is and who we are; the password is never in this file.

    `client_id` must be the device's own and stay the same: the broker keeps our unread readings under it. Empty: made
    of project and host name. `reconnect_max_s` bounds the pause between attempts to connect.

    With `tls` the broker's certificate and name are checked against `ca_file`, else against the authorities this system
    trusts; `cert_file` and `key_file` are ours, where it asks. Files are PEM. A name that is no absolute path is looked
    for among the credentials of the service (`$CREDENTIALS_DIRECTORY`) first.
    """

    host: str = "127.0.0.1"
    port: int = PLAIN_PORT
    user: str = ""
    password_file: str = ""
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_id: str = ""
    keepalive_s: int = 30
    reconnect_max_s: float = 30.0


@dataclass(frozen=True)
class StoreSettings:
    """Where states are kept and how often. `folder` empty: `$STATE_DIRECTORY`, else `~/.local/state/edge`.

    States and predictions are committed together once `flush_readings` readings wait (a broker holds back at 20
    unacknowledged ones, some earlier), or the oldest has waited `flush_s`. States of other models are dropped after
    `keep_days`.
    """

    folder: str = ""
    flush_s: float = 0.2
    flush_readings: int = 16
    keep_days: float = 30.0


@dataclass(frozen=True)
class DeviceSettings:
    """The whole file. `max_machines` bounds memory; `status_every_s` is the rhythm of the status message.

    `backend` and `recipe` choose the bundle's file. After `silence_s` without a reading the daemon calls itself not
    healthy; 0: silence is no fault. A reading dated more than `max_ahead_s` after its arrival is refused, as it would
    make all later ones late, provided this machine's clock is synchronised; 0: never.
    """

    broker: BrokerSettings = field(default_factory=BrokerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    max_machines: int = 10_000
    status_every_s: float = 10.0
    silence_s: float = 0.0
    max_ahead_s: float = DAY_S
    backend: str = "auto"
    recipe: str = "float32"


def load_settings(path: Path | None) -> DeviceSettings:
    """The settings in `path`; None stands for DEFAULT_PATH, which may be absent. Raises ProjectError naming the key."""
    where = path or DEFAULT_PATH
    try:
        table = tomllib.loads(where.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is not None:
            raise ProjectError(f"there is no settings file `{path}`") from None
        table = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProjectError(f"`{where}` cannot be read as a settings file: {error}") from error
    try:
        settings = build(DeviceSettings, table, "")
        if settings.broker.tls and "port" not in table["broker"]:
            settings = replace(settings, broker=replace(settings.broker, port=TLS_PORT))
        _check(settings)
        check_broker(settings.broker)
    except ProjectError as error:
        raise ProjectError(f"{where}: {error}") from error
    return settings


def _check(settings: DeviceSettings) -> None:
    numbers = {
        "broker.port": settings.broker.port,
        "broker.keepalive_s": settings.broker.keepalive_s,
        "broker.reconnect_max_s": settings.broker.reconnect_max_s,
        "store.flush_readings": settings.store.flush_readings,
        "max_machines": settings.max_machines,
        "status_every_s": settings.status_every_s,
    }
    for key, value in numbers.items():
        if not value > 0:
            raise ProjectError(f"`{key}` must be above 0, not {value:g}")
    for key in ("port", "keepalive_s"):
        if getattr(settings.broker, key) > 65535:
            raise ProjectError(f"`broker.{key}` must be at most 65535, not {getattr(settings.broker, key)}")
    if not settings.status_every_s < float("inf"):
        raise ProjectError("`status_every_s` must be finite")
    for key, value in _not_negative(settings).items():
        if not value >= 0:
            raise ProjectError(f"`{key}` must not be negative, not {value:g}")


def _not_negative(settings: DeviceSettings) -> dict[str, float]:
    return {
        "store.flush_s": settings.store.flush_s,
        "silence_s": settings.silence_s,
        "max_ahead_s": settings.max_ahead_s,
    }


def check_broker(broker: BrokerSettings) -> None:
    """Raises ProjectError where the settings of TLS do not fit together."""
    for key in ("ca_file", "cert_file", "key_file"):
        if getattr(broker, key) and not broker.tls:
            raise ProjectError(f"`broker.{key}` is given, but not TLS; write mqtts:// or `tls = true`")
    if broker.key_file and not broker.cert_file:
        raise ProjectError("`broker.key_file` is given without `broker.cert_file`; name the certificate too (--cert)")


def with_url(broker: BrokerSettings, url: str) -> BrokerSettings:
    """`broker` at `url`: `host`, `host:port`, or `mqtt://user@host:port`, `mqtts` for TLS. Raises ProjectError.

    A password in an address would be visible to everyone who lists processes, so it is refused.
    """
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        port = parts.port
    except ValueError as error:
        raise ProjectError(f"`--broker {url}` is no address ({error}); write mqtt://user@host:1883") from error
    if parts.scheme not in ("mqtt", "mqtts"):
        raise ProjectError(
            f"`--broker`: `{parts.scheme}` is not supported; write mqtt://host:1883 or mqtts://host:8883"
        )
    if parts.password is not None:
        raise ProjectError(f"`--broker`: a password goes into --password-file or {PASSWORD_VARIABLE}, not the address")
    if not parts.hostname or parts.path not in ("", "/"):
        raise ProjectError(f"`--broker {url}` is no address; write mqtt://user@host:1883")
    user = unquote(parts.username) if parts.username else broker.user
    tls = parts.scheme == "mqtts"
    return replace(broker, host=parts.hostname, port=port or (TLS_PORT if tls else PLAIN_PORT), user=user, tls=tls)


def locate(name: str) -> Path:
    """Where the file of a setting lies: among the service's credentials, if it is there, else where the name says."""
    given = os.environ.get("CREDENTIALS_DIRECTORY", "")
    among = Path(given) / name
    return among if given and not Path(name).is_absolute() and among.exists() else Path(name)


def password(broker: BrokerSettings) -> str | None:
    """The broker's password: first line of `password_file`, else the environment, else None. Raises ProjectError."""
    if broker.password_file:
        try:
            return locate(broker.password_file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"the password file `{broker.password_file}` cannot be read: {error}") from error
    return os.environ.get(PASSWORD_VARIABLE)


def client_id(broker: BrokerSettings, project: str) -> str:
    """The name we have at the broker. Raises ProjectError for one that the topic of our status cannot carry."""
    return check_id(broker.client_id or f"{project}-{socket.gethostname()}")


def check_id(name: str) -> str:
    """`name`, where a topic can carry it. Raises ProjectError."""
    if len(name) > LONGEST_ID or not name.isprintable() or set("/+#") & set(name):
        raise ProjectError(
            f"the client id {name[:40]!r} cannot be part of a topic: printable, without / + #, at most {LONGEST_ID} "
            "characters; choose another with --client-id"
        )
    return name


def store_folder(store: StoreSettings) -> Path:
    """Where states are kept."""
    if store.folder:
        return Path(store.folder)
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "edge"
