"""The fleet's health while it is heard: a table that lives in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.demo.watch import Heard
from edge.spec import Project

BAR = 20
"""Cells of the health bar."""
TRACE = 28
"""Cells of the sparkline: one for so many readings that the whole life so far fits."""
SILENT = 6
"""Readings without news after which a machine is called silent."""
FRAME_S = 0.1
"""A terminal is drawn no oftener."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


class Screen(Protocol):
    """Shows what was heard."""

    def show(self, machines: Sequence[Heard], news: Sequence[Heard], done: int) -> None:
        """All machines, those with news, and how many predictions were heard in all."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def screen(console: Console, project: Project, cap: float, expected: int) -> Screen:
    """The right one for this console; `cap` is what a full bar means, `expected` the predictions to come."""
    return Terminal(console, project, cap, expected) if console.is_terminal else Lines(console, project, expected)


class Terminal:
    """A row a machine: life left as a bar, as a number, as it came about, and the alarm."""

    def __init__(self, console: Console, project: Project, cap: float, expected: int) -> None:
        self._project, self._cap, self._expected = project, cap, expected
        self._machines: Sequence[Heard] = ()
        self._done, self._drawn = 0, 0.0
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, machines: Sequence[Heard], news: Sequence[Heard], done: int) -> None:
        """As Screen."""
        self._machines, self._done = machines, done
        if time.monotonic() - self._drawn >= FRAME_S:
            self._draw()

    def close(self) -> None:
        """As Screen."""
        self._draw()
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(self.render(self._machines, self._done), refresh=True)
        self._drawn = time.monotonic()

    def render(self, machines: Sequence[Heard], done: int) -> Group:
        """What is on the screen now."""
        unit = str(self._project.task.options.get("unit", "readings"))
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("machine", "age", "predicted life left", unit, "so far", ""):
            table.add_column(name, justify="right" if name in ("age", unit) else "left", no_wrap=True)
        now = max((m.ts[-1] for m in machines), default=0.0)
        for machine in sorted(machines, key=lambda m: m.machine):
            table.add_row(*self._row(machine, now))
        said = (
            f"{_when(now)}   {done} of {self._expected} readings answered, {sum(m.alarm[-1] for m in machines)} alarms"
        )
        return Group(table, Text(said, style="dim"))

    def _row(self, machine: Heard, now: float) -> tuple[Text, ...]:
        rul, period = machine.rul[-1], self._project.timing.period_s
        alarm, warm = machine.alarm[-1], machine.warm[-1]
        clear = self._project.alarm.clear_above or 0.0
        colour = "red" if alarm else "yellow" if rul < clear else "green"
        silent = (now - machine.ts[-1]) / period
        state = Text("ALARM", "bold white on red") if alarm else Text("" if warm else "warming up", "dim")
        if alarm:
            since = (machine.ts[-1] - machine.ts[machine.raised[-1]]) / period
            state.append(f" since {since:.0f} h", "not bold red on default")
        if silent > SILENT:
            state.append(f"  silent for {silent:.0f} h", "not bold dim on default")
        return (
            Text(machine.machine, "bold" if silent <= SILENT else "dim"),
            Text(f"{len(machine.ts)} h", "dim"),
            Text(bar(rul / self._cap, BAR), colour if warm else "dim"),
            Text(f"{rul:.0f}", colour if warm else "dim"),
            Text(sparkline(machine.rul, self._cap, TRACE), colour if warm else "dim"),
            state,
        )


class Lines:
    """A line for each alarm, and now and then one on how far we are."""

    EVERY = 4
    """Lines on the progress in all."""

    def __init__(self, console: Console, project: Project, expected: int) -> None:
        self._console, self._project, self._expected = console, project, expected
        self._told_of: dict[str, int] = {}
        self._told = 0

    def show(self, machines: Sequence[Heard], news: Sequence[Heard], done: int) -> None:
        """As Screen."""
        for heard in {id(m): m for m in news}.values():
            told = self._told_of.get(heard.machine, 0)
            self._told_of[heard.machine] = len(heard.ts)
            for i in range(told, len(heard.ts)):
                if heard.alarm[i] != (heard.alarm[i - 1] if i else False):
                    what = "ALARM" if heard.alarm[i] else "alarm withdrawn"
                    self._say(f"{_when(heard.ts[i])}  {heard.machine}  {what}, {heard.rul[i]:.0f} h of life left")
        share = self.EVERY * done // max(self._expected, 1)
        if share > self._told:
            self._told = share
            self._say(f"{done} of {self._expected} readings answered")

    def close(self) -> None:
        """As Screen."""

    def _say(self, line: str) -> None:
        self._console.print(f"     {line}", markup=False, highlight=False, soft_wrap=True)


def bar(share: float, cells: int) -> str:
    """A bar of `cells` characters filled to `share` (0 to 1) in eighths of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    whole, part = divmod(eighths, 8)
    return (_EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")).ljust(cells)


def sparkline(values: Sequence[float], top: float, cells: int) -> str:
    """The whole of `values` in at most `cells` characters, from 0 to `top`; each shows the mean of its share."""
    width = max(1, -(-len(values) // cells))
    means = [sum(chunk) / len(chunk) for i in range(0, len(values), width) if (chunk := values[i : i + width])]
    last = len(_LEVELS) - 1
    return "".join(_LEVELS[min(last, max(0, round(mean / top * last)))] for mean in means)


def _when(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M")
