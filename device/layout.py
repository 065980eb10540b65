"""Where a service lies on its device, and the text of its unit. Nothing here touches a file but the unit's template.

| what | where | who may |
|---|---|---|
| unit | `/etc/systemd/system/edge@.service` | root writes |
| bundle | `/usr/local/lib/edge/NAME.edge` | root writes, all read |
| settings | `/etc/edge/NAME.toml` | root writes, all read |
| credentials | `/etc/edge/NAME.credentials/` | root alone; systemd hands copies to the service |
| states | `/var/lib/edge/NAME` | the service alone |
| socket of `edge status` | `/run/edge/NAME` | all ask |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from edge.errors import ProjectError

ROOT = Path("/")

TEMPLATE = "edge@.service"

EXECUTABLE = "/opt/edge/bin/edge"
"""As the template names it, and where README has it installed."""

CREDENTIAL = "mqtt_"
"""What systemd puts before a credential's file name: the template's `LoadCredential=mqtt:…`."""

LONGEST = 26
"""Characters of a name: the service's user is called edge-NAME, and Linux allows 31."""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the sandbox hides from the service."""

TAKEN = "device"
"""`/etc/edge/device.toml` is what `edge run` reads where it is told of no other settings."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Layout:
    """The places of the service `name`; with another `root` they lie in an image that is being made."""

    name: str
    root: Path = ROOT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > LONGEST or self.name == TAKEN:
            raise ProjectError(
                f"`{self.name}` cannot name a service: letters, digits, - and _, at most {LONGEST}, and not `{TAKEN}`; "
                "change `project.name` in the project file and convert again"
            )

    @property
    def service(self) -> str:
        """The unit's name for systemctl."""
        return f"edge@{self.name}"

    @property
    def unit(self) -> Path:
        """The unit's file, shared by all services."""
        return self.root / "etc/systemd/system" / TEMPLATE

    @property
    def wanted(self) -> Path:
        """The link that starts the service at boot."""
        return self.root / f"etc/systemd/system/multi-user.target.wants/{self.service}.service"

    @property
    def bundle(self) -> Path:
        """The bundle that is served."""
        return bundles(self.root) / f"{self.name}.edge"

    @property
    def former(self) -> Path:
        """The bundle that was served before it."""
        return bundles(self.root) / f"{self.name}.edge.former"

    @property
    def settings(self) -> Path:
        """The device's own facts."""
        return self.root / f"etc/edge/{self.name}.toml"

    @property
    def credentials(self) -> Path:
        """The folder of password, keys and certificates."""
        return self.root / f"etc/edge/{self.name}.credentials"

    @property
    def states(self) -> list[Path]:
        """The states' folder, and the link that leads to it where the service's user is a dynamic one."""
        return [self.root / f"var/lib/private/edge/{self.name}", self.root / f"var/lib/edge/{self.name}"]

    @property
    def owned(self) -> list[Path]:
        """What belongs to this service alone, but for its states; secrets first."""
        return [self.credentials, self.settings, self.wanted, self.former, self.bundle]

    @property
    def runtime(self) -> Path:
        """The folder of the socket that `edge status` asks."""
        return self.root / f"run/edge/{self.name}"


def bundles(root: Path = ROOT) -> Path:
    """The folder of all bundles that are served."""
    return root / "usr/local/lib/edge"


def installed(root: Path = ROOT) -> list[str]:
    """The names of the services that are installed."""
    return sorted(path.stem for path in bundles(root).glob("*.edge"))


def check_inside(layout: Layout) -> None:
    """Raises ProjectError where a link in the image leads out of it, to this machine."""
    root = layout.root.resolve()
    for path in (layout.unit, *layout.owned, *layout.states):
        real = path.parent.resolve()
        if not real.is_relative_to(root):
            raise ProjectError(
                f"`{path.parent}` leads out of the image, to `{real}`; make the link in the image relative, or work "
                "inside it (chroot)"
            )


def unit_text(executable: Path) -> str:
    """The unit, running `executable`."""
    template = files("device").joinpath("units", TEMPLATE).read_text(encoding="utf-8")
    # systemd splits at blanks, and reads % and \ as its own.
    escaped = str(executable).replace("\\", "\\\\").replace("%", "%%").replace(" ", "\\x20")
    return template.replace(EXECUTABLE, escaped)


def check_visible(*paths: Path) -> None:
    """Raises ProjectError where one of `paths` lies in a place that the sandbox hides from the service."""
    for path in paths:
        real = path.resolve()
        if any(real.is_relative_to(place) for place in HIDDEN):
            raise ProjectError(
                f"the service could not see `{real}`: its sandbox hides {', '.join(HIDDEN)}; install edge in /opt: "
                "sudo python3 -m venv /opt/edge && sudo /opt/edge/bin/pip install …, then use /opt/edge/bin/edge"
            )
