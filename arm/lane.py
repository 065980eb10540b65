"""Run jobs as soon as what they need is there, as many at a time as there are processors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arm.cache import CHECKOUT, cache
from arm.shell import say, tail

SHOWN = 60
"""Lines of a failed job's log that are repeated on the screen."""


@dataclass(frozen=True)
class Job:
    """`function` is "module:function"; `needs` are jobs that come first; `seconds` of processor time it may take."""

    name: str
    function: str
    needs: tuple[str, ...] = ()
    seconds: int = 10


@dataclass(frozen=True)
class Done:
    """How a job went: `ok`, `FAILED` or `not run`; its seconds, those of processors, and its own line."""

    name: str
    status: str
    wall: float
    cpu: float
    said: str


class Lane:
    """The jobs by name, and how they go."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._logs = cache() / "log"
        self._running: dict[int, tuple[Job, float]] = {}
        self._done: dict[str, Done] = {}

    def run(self, names: Sequence[str]) -> list[Done]:
        """Run these jobs and all they need; what came of each, in the order of the table.

        What a failed job was needed for is not run; all the rest is. Ends what it started when it is interrupted.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        wanted = self._with_needs(names)
        waiting = sorted(wanted, key=Urgency(wanted), reverse=True)
        width = max(1, len(os.sched_getaffinity(0)))
        try:
            while waiting or self._running:
                for job in [job for job in waiting if self._hopeless(job)]:
                    waiting.remove(job)
                    self._done[job.name] = Done(job.name, "not run", 0.0, 0.0, "what it needs failed")
                for job in [job for job in waiting if self._ready(job)][: width - len(self._running)]:
                    waiting.remove(job)
                    self._start(job)
                if self._running:
                    self._reap()
        finally:
            for pid in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
        return [self._done[name] for name in self._jobs if name in self._done]

    def _with_needs(self, names: Sequence[str]) -> list[Job]:
        wanted: dict[str, Job] = {}
        for name in names:
            job = self._jobs[name]
            wanted.update({need.name: need for need in self._with_needs(job.needs)})
            wanted[name] = job
        return list(wanted.values())

    def _ready(self, job: Job) -> bool:
        return all(need in self._done and self._done[need].status == "ok" for need in job.needs)

    def _hopeless(self, job: Job) -> bool:
        return any(need in self._done and self._done[need].status != "ok" for need in job.needs)

    def _log(self, job: Job) -> Path:
        return self._logs / f"{job.name}.log"

    def _start(self, job: Job) -> None:
        with self._log(job).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "arm", "--job", job.name],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                start_new_session=True,
            )
        say(job.name, "begins")
        self._running[process.pid] = job, time.monotonic()
        process.returncode = 0  # it is waited for below, with what it used

    def _reap(self) -> None:
        pid, status, used = os.wait4(-1, 0)
        if pid not in self._running:
            return
        job, began = self._running.pop(pid)
        lines = self._log(job).read_text(errors="replace").rstrip().splitlines()
        good = os.waitstatus_to_exitcode(status) == 0
        wall, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
        said = lines[-1] if lines and good else f"see {self._log(job)}"
        self._done[job.name] = Done(job.name, "ok" if good else "FAILED", wall, cpu, said)
        say(job.name, f"{'done' if good else 'FAILED'} in {wall:.0f} s: {said}")
        if not good:
            sys.stderr.write(tail("\n".join(lines), SHOWN) + "\n")


class Urgency:
    """Seconds of the longest chain that begins with a job: the lane is as long as that, so it goes first."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def __call__(self, job: Job) -> int:
        """For one job."""
        return job.seconds + max((self(other) for other in self._jobs if job.name in other.needs), default=0)


def table(done: Sequence[Done]) -> str:
    """What the person reads at the end."""
    rows = [("job", "", "s", "CPU s", "")]
    rows += [(one.name, one.status, f"{one.wall:.0f}", f"{one.cpu:.0f}", one.said) for one in done]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]) for row in rows
    )
