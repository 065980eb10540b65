"""Processes that work through a list, one piece at a time each, and never outlive who asked them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""What a process is started with: at these sizes more threads only spin, a Kalman filter a hundred times as long."""

GRACE_S = 5.0
"""Seconds a process is given to end before it is killed."""

Tell = Callable[[object], None]
"""Sends word of a piece that is under way."""

Work = Callable[[Any, Any, Tell], None]
"""(what every process knows, a piece, how to send word of it)."""


@dataclass(frozen=True)
class Word:
    """What is heard of piece number `place`: something it sent (`said`), or that it is done. `died` says how its
    process ended where it did not live to finish it.
    """

    place: int
    said: object = None
    done: bool = False
    died: str = ""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_through(
    work: Work, known: object, pieces: Sequence[object], jobs: int, wanted: Callable[[int], bool]
) -> Generator[Word, None, None]:
    """Have `jobs` processes do `pieces` in their order, and hear from them; one that is no longer `wanted` when it is
    its turn is never heard of. All processes end when this does, however it does; a process whose parent was killed
    ends the next time it has something to say.
    """
    waiting = list(range(len(pieces)))
    busy: dict[Connection, tuple[BaseProcess, int]] = {}
    started: list[tuple[BaseProcess, Connection]] = []

    def employ(process: BaseProcess, line: Connection) -> None:
        while waiting and not wanted(waiting[0]):
            waiting.pop(0)
        if waiting:
            place = waiting.pop(0)
            line.send(pieces[place])
            busy[line] = (process, place)
        else:
            line.close()

    try:
        for _ in range(min(jobs, len(pieces))):
            started.append(_start(work, known))
            employ(*started[-1])
        while busy:
            for line in wait(list(busy)):
                assert isinstance(line, Connection)
                process, place = busy[line]
                try:
                    word = line.recv()
                except (EOFError, OSError):
                    del busy[line]
                    process.join()
                    yield Word(place, died=_how(process.exitcode))
                    if waiting:
                        started.append(_start(work, known))
                        employ(*started[-1])
                    continue
                if isinstance(word, _Done):
                    del busy[line]
                    yield Word(place, done=True)
                    employ(process, line)
                else:
                    yield Word(place, said=word)
    finally:
        _end([process for process, _ in started])


@dataclass(frozen=True)
class _Done:
    """A piece is done."""


def _serve(line: Connection, work: Work, known: object) -> None:
    """A process's life: take a piece, do it, say so, until nobody is there any more."""
    signal.signal(signal.SIGTERM, _told_to_end)
    try:
        while True:
            work(known, line.recv(), line.send)
            line.send(_Done())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)


class _Ended(BaseException):
    """What SIGTERM becomes, so that what was being written aside is cleared away."""


def _told_to_end(number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _start(work: Work, known: object) -> tuple[BaseProcess, Connection]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, work, known), daemon=True)
    with _inherited(ONE_THREAD):
        process.start()
    theirs.close()
    return process, ours


@contextmanager
def _inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """What a process that is started meanwhile inherits: `environment`, and no ear for Ctrl-C, which is for its parent
    to hear.
    """
    before = {name: os.environ.get(name) for name in environment}
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.signal(signal.SIGINT, heard)


def _end(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"its process was ended by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
    return f"its process ended with status {status}; what it said stands above"
