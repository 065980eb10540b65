"""Talk to the person: notes and progress on stderr, results stay on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Advance = Callable[[int, str], None]
"""Called with how many units were done and a short remark."""


def note(message: str) -> None:
    """One line of talk."""
    click.echo(message, err=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """A bar with the time left on a terminal; elsewhere one line now and then. Yields `advance(n, remark)`."""
    if sys.stderr.isatty():
        remarks: list[str] = [""]
        with click.progressbar(range(total), label=label, file=sys.stderr, item_show_func=lambda _: remarks[0]) as bar:

            def draw(n: int, remark: str) -> None:
                remarks[0] = remark
                bar.update(n)

            yield draw
        return
    done, started, last = 0, time.monotonic(), time.monotonic()

    def write(n: int, remark: str) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= 10:
            last = now
            left = (now - started) / max(done, 1) * (total - done)
            note(f"{label}: {done} of {total}, about {left:.0f} s left {remark}".rstrip())

    yield write
