"""From a bundle and a broker's address to a service that runs, or to everything as it was before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from device import systemd
from device.changes import PUBLIC, SECRET, SECRET_FOLDER, Changes, File, read, remove
from device.layout import CREDENTIAL, Layout, check_inside, unit_text
from device.settings import BrokerSettings, DeviceSettings, check_broker, check_id, load_settings, with_url
from device.status_socket import NAME, ask
from device.stop import undisturbed
from device.tls import context
from edge.errors import CheckFailed, DataError, LinkError, ProjectError
from edge.talk import note
from edge.typed import plain

CONNECT_S = 10.0
"""How long to wait for the broker before we say that the service goes on waiting."""

LOOK_S = 0.2

SETTINGS_OF = {"password": "password_file", "ca.pem": "ca_file", "cert.pem": "cert_file", "key.pem": "key_file"}
"""A credential's file -> the setting that names it."""

HEADER = """\
# The device's own facts for `{name}`. `edge install` keeps what it is not told to change. After a change of yours:
# sudo systemctl restart {service}
"""


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None: as it was, or the default. `ask_password` gets the user's name."""

    ask_password: Callable[[str], str]
    url: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    client_id: str | None = None
    backend: str | None = None
    recipe: str | None = None


def former_settings(layout: Layout) -> DeviceSettings:
    """The settings of the service that is installed, or the defaults. Raises ProjectError where they are damaged."""
    return load_settings(layout.settings) if layout.settings.exists() else DeviceSettings()


def plan(layout: Layout, bundle: bytes, wish: Wish, former: DeviceSettings, executable: Path) -> list[File]:
    """Every file the service needs, as it is to be. Raises ProjectError where the wish makes no sense.

    A broker at the same address keeps its credentials; at another one, what belonged to the former is removed.
    """
    broker = _broker(former.broker, wish)
    if wish.client_id is not None:
        check_id(wish.client_id)
    credentials: dict[str, bytes] = {}
    for name, path in {"ca.pem": wish.ca, "cert.pem": wish.cert, "key.pem": wish.key}.items():
        if path is not None:
            credentials[name] = _read(path)
    if broker.tls:
        _check_tls(wish)
    password = wish.password
    if password is None and broker.user and not broker.password_file and not broker.cert_file:
        password = wish.ask_password(broker.user)
    if password is not None:
        credentials["password"] = password.encode() + b"\n"
    named = {SETTINGS_OF[name]: CREDENTIAL + name for name in credentials}
    broker = replace(broker, **named)  # type: ignore[arg-type]
    check_broker(broker)
    settings = replace(
        former, broker=broker, backend=wish.backend or former.backend, recipe=wish.recipe or former.recipe
    )
    files = [File(layout.unit, unit_text(executable).encode())]
    served = read(layout.bundle).content
    if served not in (None, bundle):
        files.append(File(layout.former, served))
    files.append(File(layout.bundle, bundle))
    for name, key in SETTINGS_OF.items():
        place = layout.credentials / name
        if name in credentials:
            files.append(File(place, credentials[name], SECRET))
        elif getattr(broker, key) != CREDENTIAL + name:
            files.append(File(place, None))
    if settings != former or not layout.settings.exists():
        files.append(File(layout.settings, settings_text(layout, settings).encode(), PUBLIC))
    return files


def settings_text(layout: Layout, settings: DeviceSettings) -> str:
    """The settings file: what differs from the defaults, and always where the broker is."""
    lines = HEADER.format(name=layout.name, service=layout.service).splitlines()
    table, default = plain(settings), plain(DeviceSettings())
    lines += [f"{key} = {_toml(v)}" for key, v in table.items() if not isinstance(v, dict) and v != default[key]]
    for section in ("broker", "store"):
        always = ("host", "port") if section == "broker" else ()
        kept = {key: v for key, v in table[section].items() if key in always or v != default[section][key]}
        if kept:
            lines += ["", f"[{section}]", *(f"{key} = {_toml(v)}" for key, v in kept.items())]
    return "\n".join(lines) + "\n"


def stage(layout: Layout, files: list[File]) -> list[Path]:
    """Put the files into an image and have the service start when it boots; the paths that changed.

    Raises ProjectError where a link leads out of the image.
    """
    check_inside(layout)
    changes = Changes()
    changes.folder(layout.credentials, SECRET_FOLDER)
    changed = changes.apply(files)
    if not layout.wanted.is_symlink():
        layout.wanted.parent.mkdir(parents=True, exist_ok=True)
        layout.wanted.symlink_to(f"/etc/systemd/system/{layout.unit.name}")
    return changed


def start(layout: Layout, files: list[File]) -> None:
    """Put the files in place and start the service; it has replayed its golden vectors when this returns.

    Raises CheckFailed where it does not become ready. Whatever goes wrong, and at Ctrl-C, all is as it was before.
    """
    changes, before, began = Changes(), Before.of(layout), time.time()
    try:
        changes.folder(layout.credentials, SECRET_FOLDER)
        changes.apply(files)
        for words in (("daemon-reload",), ("enable", layout.service), ("restart", layout.service)):
            well, said = systemd.call(*words)
            if not well:
                lines = systemd.log(layout.service, began) if words[0] == "restart" else []
                raise CheckFailed("\n  ".join([f"{layout.service} did not start: {said or words[0]}", *lines]))
    except BaseException as error:
        after = _roll_back(layout, changes, before)
        if isinstance(error, CheckFailed):
            raise CheckFailed(f"{error}\n{after}") from error
        note(after)
        raise


class Before(NamedTuple):
    """How the service was before we touched it."""

    enabled: bool
    running: bool
    states: bool

    @classmethod
    def of(cls, layout: Layout) -> Before:
        """As systemd says; a service that starts, or waits to be started again, is running too."""
        state = systemd.call("show", "--value", "--property=ActiveState", layout.service)[1]
        enabled = systemd.call("is-enabled", layout.service)[0]
        return cls(enabled, state not in ("", "inactive", "failed"), any(path.exists() for path in layout.states))


def _roll_back(layout: Layout, changes: Changes, before: Before) -> str:
    """As it was before, even if the user is impatient; says how that went."""
    with undisturbed():
        if not before.running:
            systemd.call("stop", layout.service)
        if not before.enabled:
            systemd.call("disable", layout.service)
        done = "rolled back"
        try:
            changes.undo()
        except DataError as error:
            done = f"rolled back as far as possible: {error}"
        systemd.call("daemon-reload")
        if before.running:
            well, said = systemd.call("restart", layout.service)
            if well:
                return f"{done}; the bundle and settings from before are served again"
            return f"{done}, but what was there before does not start either: {said}"
        systemd.call("reset-failed", layout.service)
        if not before.states:
            for path in layout.states:
                remove(path)
        return f"{done}; nothing of it was left behind"


def connected(layout: Layout) -> dict[str, Any]:
    """What the service says about itself once it has reached its broker, or after CONNECT_S."""
    deadline = time.monotonic() + CONNECT_S
    answer: dict[str, Any] = {}
    while not answer.get("connected") and time.monotonic() < deadline:
        with suppress(LinkError, TimeoutError):
            answer = ask(layout.runtime / NAME)
        time.sleep(LOOK_S)
    return answer


def _broker(former: BrokerSettings, wish: Wish) -> BrokerSettings:
    broker = former
    if wish.url is not None:
        fresh = BrokerSettings(
            client_id=former.client_id, keepalive_s=former.keepalive_s, reconnect_max_s=former.reconnect_max_s
        )
        fresh = with_url(fresh, wish.url)
        where = ("host", "port", "user", "tls")
        if any(getattr(fresh, key) != getattr(former, key) for key in where):
            broker = fresh
    if wish.cert is not None and wish.key is None:
        broker = replace(broker, key_file="")  # the key is in the same file, not where a former one was
    return replace(broker, client_id=wish.client_id) if wish.client_id is not None else broker


def _check_tls(wish: Wish) -> None:
    """The files that were given must be of use before they are copied."""
    given = {"ca_file": wish.ca, "cert_file": wish.cert, "key_file": wish.key}
    context(BrokerSettings(tls=True, **{key: str(path) for key, path in given.items() if path is not None}))  # type: ignore[arg-type]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProjectError(f"`{path}` cannot be read: {error.strerror}") from error


def _toml(value: object) -> str:
    # A text in JSON is a text in TOML; numbers and booleans but for their case are the same.
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)
