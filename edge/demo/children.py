"""Child processes that never outlive us: whatever ends the demo, a signal included, ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

EDGE = (sys.executable, "-P", "-c", "from edge.cli import main; main()")
"""The console script `edge` as this Python runs it. -P: a file in the current folder must not hide our packages."""

PATIENCE_S = 10.0
"""How long a child may take to finish after SIGTERM before it is killed."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Children:
    """Processes of one demo, each in a session of its own: Ctrl-C reaches us alone, and we end them in order."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []

    def start(self, command: Sequence[str], log: Path | None = None, *, apart: bool = False) -> subprocess.Popen[str]:
        """Start `command` on one thread; what it says goes to the file `log`, or to a pipe to read from.

        stdout and stderr go there together, or with `apart` to a pipe each.
        """
        with _sink(log) as sink:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        self._running.append(child)
        return child

    def stop(self, child: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> int:
        """End `child`, gently first; returns its exit status."""
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(patience_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        if child in self._running:
            self._running.remove(child)
        return child.returncode

    def stop_all(self) -> None:
        """End every child, the youngest first: the daemon before its broker."""
        while self._running:
            self.stop(self._running[-1])


@contextmanager
def children() -> Iterator[Children]:
    """Children for the length of a block. SIGTERM and SIGHUP become SystemExit in it, so that its end is reached.

    Must be entered in the main thread.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    family = Children()
    before = {number: signal.signal(number, leave) for number in _ENDING}
    try:
        yield family
    finally:
        for number in (*_ENDING, signal.SIGINT):  # a second Ctrl-C must not leave half of them behind
            before.setdefault(number, signal.getsignal(number))
            signal.signal(number, signal.SIG_IGN)
        try:
            family.stop_all()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _sink(log: Path | None) -> Iterator[IO[bytes] | int]:
    if log is None:
        yield subprocess.PIPE
    else:
        with log.open("wb") as file:
            yield file
