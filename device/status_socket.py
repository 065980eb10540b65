"""Where `edge status` asks: a socket that gives its one answer to whoever connects, from the daemon's own loop.

No thread and no second process answers: a loop that hangs says nothing, and that is what the asker then reports.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from edge.errors import DataError, LinkError

NAME = "status.sock"

WAITING = 8
"""Askers that may wait for their answer; later ones are refused by the system."""

ASK_S = 5.0
"""How long an asker waits. A daemon that serves answers within its turn; one that is connecting may need this."""

LARGEST = 1 << 20


class StatusSocket:
    """The daemon's end. Read only: what an asker sends is not looked at."""

    def __init__(self, path: Path) -> None:
        """Listens at `path`; a socket that a dead process left there is replaced.

        Any user of this machine may ask: the answer is what the retained status tells everyone at the broker. Raises
        DataError where the socket cannot be made, or another process answers there.
        """
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if _answers(path):
                raise DataError(f"another `edge run` answers at `{path}`; `edge status` will ask that one")
            path.unlink(missing_ok=True)
            self._socket.bind(os.fspath(path))
            path.chmod(0o666)
            self._socket.listen(WAITING)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise DataError(f"`{path}`: `edge status` will get no answer ({error.strerror or error})") from error
        except DataError:
            self._socket.close()
            raise
        self._inode = path.stat().st_ino

    @property
    def fd(self) -> int:
        """Readable while somebody waits."""
        return self._socket.fileno()

    def serve(self, answer: Callable[[], bytes]) -> None:
        """Give `answer()` to those who wait by now; it is not called where nobody does."""
        said: bytes | None = None
        for _ in range(WAITING):
            try:
                asker, _ = self._socket.accept()
            except OSError:  # nobody waits, or whoever did is gone
                return
            said = answer() if said is None else said
            with asker, suppress(OSError):
                # The answer fits into the socket's buffer, so that nobody's slowness is ours.
                asker.setblocking(False)
                asker.send(said)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def ask(path: Path, timeout_s: float = ASK_S) -> dict[str, Any]:
    """The status of the daemon that listens at `path`.

    Raises LinkError where none does, and TimeoutError where it does not answer within `timeout_s`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.settimeout(timeout_s)
        answer = b""
        try:
            asker.connect(os.fspath(path))
            while (piece := asker.recv(64 << 10)) and len(answer) < LARGEST:
                answer += piece
        except TimeoutError:
            raise
        except BlockingIOError:  # the queue of askers is full, which only a daemon that does not answer lets happen
            raise TimeoutError from None
        except OSError as error:
            raise LinkError(f"nothing answers at `{path}`: {error.strerror or error}") from error
    try:
        table = orjson.loads(answer)
    except orjson.JSONDecodeError:
        table = None
    if not isinstance(table, dict):
        raise LinkError(f"`{path}` gives no status; is it the socket of an `edge run` of this version?")
    return table


def folders() -> list[Path]:
    """Where daemons of this machine listen: ours by the environment, services of the system, those of this user."""
    own = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    user = os.environ.get("XDG_RUNTIME_DIR", "")
    found = [Path(own)] if own else []
    for place in ("/run/edge", f"{user}/edge" if user else ""):
        if place and Path(place).is_dir():
            found += sorted(Path(place).iterdir())
    return list(dict.fromkeys(found))


def own_folder(project: str) -> Path | None:
    """Where the daemon of `project` listens; None where no folder for such things is given."""
    own = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if own:
        return Path(own)
    user = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(user) / "edge" / project if user else None


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker, suppress(OSError):
        asker.settimeout(ASK_S)
        asker.connect(os.fspath(path))
        return True
    return False
