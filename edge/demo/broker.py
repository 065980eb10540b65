"""A broker on the loopback for the length of the demo: mosquitto if there is one, else the embedded one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from edge.demo.children import Children
from edge.errors import LinkError, MissingExtra

HOST = "127.0.0.1"
ATTEMPTS = 5
"""A free port may be taken between finding it and using it; then another is tried."""

START_S = 10.0
"""How long a broker may take to answer."""

_SBIN = ("/usr/sbin", "/usr/local/sbin")  # not on every user's PATH
_CONFIG = """\
listener {port} {host}
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
log_type error
log_type warning
"""


@dataclass(frozen=True)
class Broker:
    """Where it listens, and what it is (`mosquitto`, or `amqtt, embedded`)."""

    port: int
    kind: str

    @property
    def url(self) -> str:
        """As `--broker` takes it."""
        return f"mqtt://{HOST}:{self.port}"


def find_mosquitto() -> str | None:
    """The mosquitto program, or None."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN)))


@contextmanager
def broker(family: Children, folder: Path, program: str | None) -> Iterator[Broker]:
    """A broker of our own for the block; its config and log lie in `folder`. `program` is mosquitto's, None: embedded.

    Raises LinkError where it does not start, MissingExtra where there is neither.
    """
    if program is None and util.find_spec("amqtt") is None:
        raise MissingExtra("the demo needs a broker: apt-get install mosquitto, or pip install 'edgestep[demo]'")
    log = folder / "broker.log"
    for _ in range(ATTEMPTS):
        port = free_port()
        child = family.start(_command(program, port, folder), log)
        try:
            if _answers(child, port):
                yield Broker(port, "mosquitto" if program else "amqtt, embedded")
                return
        finally:
            family.stop(child)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise LinkError(f"the broker does not start ({said[-1] if said else 'it says nothing'}); see `{log}`")


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _command(program: str | None, port: int, folder: Path) -> list[str]:
    if program is None:
        return [sys.executable, "-P", "-m", "edge.demo.embedded", HOST, str(port)]
    config = folder / "broker.conf"
    config.write_text(_CONFIG.format(port=port, host=HOST), encoding="utf-8")
    return [program, "-c", str(config)]


def _answers(child: subprocess.Popen[str], port: int) -> bool:
    """Wait until the port takes connections; False where the process ends or the time is over before."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and child.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
