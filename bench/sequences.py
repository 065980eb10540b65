"""Figures of model families on the sequence tasks of Bai, Kolter & Koltun 2018, beside the paper's.

    python bench/sequences.py -o runs/sequences             # every row; hours on one thread, goes on where it stood
    python bench/sequences.py -o runs/sequences --render    # only the table of what is there
    python bench/sequences.py -o runs/sequences --render --picture docs/gradients.png

Each row is one `edge bench sequence`, whose command stands in the table and gives the same figures again. Exits with 1
where a bar is missed or a row is not there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from edge import atomic
from edge.talk import note
from train.models import FAMILIES
from train.picture import GRID, png, titled
from train.sequence.lag import reach
from train.sequence.report import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

EDGE = [sys.executable, "-P", "-c", "from edge.cli import main; main()", "bench", "sequence"]
LAG = {"adding": 199, "copy": 510, "jsb": 10}
"""Task -> the lag at which the gradient stands in the table: how long ago what is asked for may have been."""
STOPPED = (130, -2, 143, -15)
"""How a run ends that somebody stopped: the rows behind it are not begun."""
LEAST = 1e-10
"""Share of the largest gradient below which nothing is drawn."""


@dataclass(frozen=True)
class Row:
    """One run: a task of some length, a family, and what else is said to the command."""

    task: str
    family: str
    length: int | None = None
    more: tuple[str, ...] = ()
    bar: float | None = None

    @property
    def name(self) -> str:
        """The folder of its report."""
        return "-".join([self.task, *([str(self.length)] if self.length else []), self.family])

    def arguments(self) -> list[str]:
        """Behind `edge bench sequence`."""
        length = ["--length", str(self.length)] if self.length else []
        return ["--task", self.task, "--family", self.family, *length, *self.more]


PAPER = [
    Row("jsb", "tcn", bar=8.4),
    Row("jsb", "gru", bar=8.7),
    Row("jsb", "lstm", bar=8.7),
    Row("adding", "gru", 200, bar=1e-3),
    Row("adding", "tcn", 200, bar=1e-3),
    Row("copy", "tcn", 500, bar=1e-3),
    Row("jsb", "rnn"),
    Row("adding", "lstm", 200, ("--epochs", "3")),
    Row("adding", "rnn", 200, ("--epochs", "3")),
    Row("copy", "gru", 500, ("--epochs", "5")),
    Row("copy", "lstm", 500, ("--epochs", "5")),
    Row("copy", "rnn", 500, ("--epochs", "5")),
]
"""The families of the paper, in the order in which they are wanted most."""

SHORT, TOLD = 50, ("--epochs", "3")
"""How long the adding problem is that every family is given, and what else they are told."""

WIDTH = {"nlinear": ("--set", "features=47")}
"""A linear map of a window says nothing more with more features than it has past readings, whatever the budget."""


def rows() -> list[Row]:
    """The paper's families, and every one on a short adding problem."""
    return [*PAPER, *(Row("adding", name, SHORT, (*TOLD, *WIDTH.get(name, ()))) for name in FAMILIES)]


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("runs/sequences"), show_default=True)
@click.option("--most", type=click.IntRange(min=1), help="Run at most so many of the missing rows.")
@click.option("--render", "only", is_flag=True, help="Run nothing.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the gradient by lag of all families here.")
def main(out: Path, most: int | None, only: bool, picture: Path | None) -> None:
    """Run what is missing, print the table, hold it to the bars."""
    missing = [row for row in rows() if not (out / row.name / "report.json").exists() and row.family in FAMILIES]
    left = 0 if only else most or len(missing)
    for row in missing if left else []:
        note(f"== {row.name}")
        said = subprocess.run([*EDGE, *row.arguments(), "-o", str(out / row.name)], stdout=subprocess.DEVNULL)
        left -= said.returncode == 0  # what fails is told, and left behind
        if not left or said.returncode in STOPPED:
            break
    found = {row: json.loads(path.read_text()) for row in rows() if (path := out / row.name / "report.json").exists()}
    click.echo(table(found))
    if picture is not None:
        drawn = {row.family: report["gradient_by_lag"] for row, report in found.items() if row.length == SHORT}
        atomic.write(picture, png(lambda drawing: draw(drawing, drawn), "gradient by lag"))
    missed = [row.name for row, report in found.items() if row.bar is not None and not report["figure"] <= row.bar]
    absent = [row.name for row in rows() if row not in found]
    for names, what in ((missed, "bars missed"), (absent, "not measured")):
        if names:
            note(f"{what}: {', '.join(names)}")
    sys.exit(bool(missed or absent))


def table(found: dict[Row, dict[str, Any]]) -> str:
    """The rows as Markdown, task by task."""
    lines = [
        "| task | family | ours | bar | paper | weights, ours / paper | knows nothing "
        "| gradient by lag, before → after fitting | epochs | CPU s | command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    order = {name: i for i, name in enumerate(dict.fromkeys(row.task for row in PAPER))}
    for row, report in sorted(found.items(), key=lambda pair: order[pair[0].task]):
        lines.append("| " + " | ".join(cells(row, report)) + " |")
    return "\n".join(lines)


def cells(row: Row, report: dict[str, Any]) -> list[str]:
    """One line of the table."""
    published = report["published"]
    length = f" T={row.length}" if row.length else ""
    far = published["where"].rpartition("T=")[2] if published and "T=" in published["where"] else ""
    paper = (
        f"{figure(published['value'])}{f' at T={far}' if far and far != str(row.length) else ''}" if published else ""
    )
    weights = f"{report['parameters']} / {published['parameters'] if published else '–'}"
    return [
        f"{row.task}{length}, {report['metric']}",
        row.family,
        f"**{figure(report['figure'])}**",
        "" if row.bar is None else f"≤ {figure(row.bar)}",
        paper,
        weights,
        figure(report["naive"]),
        felt(LAG[row.task], *report["gradient_by_lag"].values()),
        f"{report['epochs']:.3g}, {report['ended']}",
        f"{report['cpu_seconds']:.0f}",
        f"`{report['command']}`",
    ]


def felt(lag: int, *both: list[float]) -> str:
    """The gradient at a lag as a share of the largest, and how far a hundredth of it reaches."""
    lag = min(lag, len(both[0]) - 1)
    shares = " → ".join(f"{norms[lag] / (max(norms) or 1):.0e}" for norms in both)
    return f"{shares} at {lag}; 1 % to {' → '.join(str(reach(norms)) for norms in both)}"


def draw(drawing: Drawing, found: dict[str, dict[str, list[float]]]) -> None:
    """The gradient by lag, a line a family: before fitting on the left, behind it on the right."""
    panels = drawing.subplots(1, 2, sharey=True)
    colours = colours_of(len(found))
    for axes, when, title in zip(panels, ("before", "after"), ("Before fitting", "Behind it"), strict=True):
        for (family, by), colour in zip(found.items(), colours, strict=True):
            share = np.array(by[when]) / (max(by[when]) or 1.0)
            share[share < LEAST] = np.nan
            axes.plot(np.arange(len(share)), share, color=colour, linewidth=1.5, label=family)
        axes.set_yscale("log")
        axes.set_xlabel("lag k in readings")
        axes.grid(color=GRID, linewidth=0.7)
        titled(axes, title)
    panels[0].set_ylabel("norm of $\\partial y_T/\\partial x_{T-k}$, share of the largest")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)


def colours_of(count: int) -> list[Any]:
    """As many colours as there are families."""
    import matplotlib as mpl

    return [mpl.colormaps["tab20" if count > 10 else "tab10"](i) for i in range(count)]


if __name__ == "__main__":
    main()
