"""Stages of the road: each is a command anyone could type, run as such, its words shown dimly."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from edge.demo.children import EDGE, Children
from edge.errors import CheckFailed, EdgeError

SHOWN = 40
"""Lines of a failed stage that its error repeats at most."""


class Stages:
    """The stages of one demo, counted; talk goes to `console`."""

    def __init__(self, console: Console, family: Children, total: int) -> None:
        self._console = console
        self._family = family
        self._total = total
        self._done = 0

    def head(self, title: str, command: Sequence[str] = ()) -> None:
        """Begin a stage: what it does, and the command that does it by hand."""
        self._done += 1
        self._console.print()
        self._console.print(f"{self._done}/{self._total}  {title}", style="bold", highlight=False, soft_wrap=True)
        if command:
            self.say(f"$ edge {shlex.join(command)}", style="cyan")

    def say(self, line: str, style: str = "dim") -> None:
        """One line under the stage's head."""
        self._console.print(f"     {line}", style=style, markup=False, highlight=False, soft_wrap=True)

    def run(self, title: str, *command: str) -> None:
        """A whole stage: `edge COMMAND` to its end, its output shown. Raises CheckFailed where it failed."""
        self.head(title, command)
        began = time.monotonic()
        child = self._family.start([*EDGE, *command])
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line.rstrip())
            self.say(lines[-1])
        child.wait()
        self._ended(child, command, lines, began)

    def ask(self, title: str, *command: str) -> Any:
        """As `run`, for a command whose output is JSON: shows nothing, returns what it said."""
        self.head(title, command)
        began = time.monotonic()
        child = self._family.start([*EDGE, *command], apart=True)
        said, aside = child.communicate()
        self._ended(child, command, aside.splitlines(), began)
        return json.loads(said)

    def _ended(self, child: subprocess.Popen[str], command: Sequence[str], lines: Sequence[str], began: float) -> None:
        status = self._family.stop(child)
        if status != 0:
            raise failed(f"edge {shlex.join(command)}", status, lines)
        self.say(f"{time.monotonic() - began:.1f} s")


def failed(command: str, status: int, lines: Sequence[str]) -> EdgeError:
    """The error of a command that ended badly, with the last it said."""
    said = "\n".join(f"    {line}" for line in lines[-SHOWN:]) or "    (it said nothing)"
    return CheckFailed(f"`{command}` ended with status {status}; it said:\n{said}")
