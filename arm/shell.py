"""Commands with a limit, their output in the job's log, and lines of progress for the person who waits."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from arm.errors import Failed

BEGAN = "EDGE_ARM_BEGAN"
"""Environment variable: the monotonic second in which the lane began."""

SHOWN = 40
"""Lines of a failed command that its error repeats at most."""


def say(job: str, line: str) -> None:
    """One line of progress on stderr: seconds since the lane began, the job, what happened."""
    elapsed = time.monotonic() - float(os.environ.setdefault(BEGAN, str(time.monotonic())))
    sys.stderr.write(f"[{elapsed:4.0f} s] {job:<9} {line}\n")
    sys.stderr.flush()


def run(
    command: Sequence[str | Path],
    *,
    limit: float = 600,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
    expect: int = 0,
) -> str:
    """Run `command`; its stdout. Output goes to the log (our own stdout) too.

    Raises Failed, with the last it said, where its status is not `expect` or it runs for more than `limit` seconds.
    """
    words = [str(word) for word in command]
    log(f"$ {shlex.join(words)}")
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, limit)
    except subprocess.TimeoutExpired:
        end(process)
        out, err = process.communicate()
        log(out + err)
        raise Failed(f"`{shlex.join(words)}` took more than {limit:.0f} s; it said:\n{tail(out + err)}") from None
    except BaseException:
        end(process)
        raise
    log(err + out)
    if process.returncode != expect:
        raise Failed(
            f"`{shlex.join(words)}` ended with status {process.returncode}, not {expect}; it said:\n{tail(err + out)}"
        )
    return out


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a process that was started in a session of its own, with all it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def log(text: str) -> None:
    """Add to the job's log."""
    if text:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()


def tail(text: str, lines: int = SHOWN) -> str:
    """The last lines of `text`, indented."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (nothing)"
