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
    done, last = 0, time.monotonic()
    first: tuple[int, float] | None = None

    def write(n: int, remark: str) -> None:
        nonlocal done, last, first
        done += n
        now = time.monotonic()
        first = first or (done, now)  # the first units pay for the start-up, too, and say nothing of those to come
        if now - last >= 10:
            last = now
            since, counted = now - first[1], done - first[0]
            left = f", about {since / counted * (total - done):.0f} s left" if counted else ""
            note(f"{label}: {done} of {total}{left} {remark}".rstrip())

    yield write
