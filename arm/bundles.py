"""Real bundles, made here in small: a simulated fleet, trained, converted, and scored, once for each family."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from arm.cache import CHECKOUT, content, kept
from arm.shell import run
from arm.wheels import CONSTRAINTS, PACKAGES

FAMILIES = {
    "gru": ("model.hidden=16",),
    "tcn": ("model.channels=8", "model.levels=4"),
}
"""Family -> options that keep its training short."""

MACHINES, SEED, EPOCHS = 12, 1, 10
SCORED = "scored.csv"
"""The history that is replayed: of two machines, so that states have something to be mixed up with."""


@dataclass(frozen=True)
class Made:
    """One family's bundle, the history to try it on, and what this machine predicts for it with float32 on LiteRT."""

    family: str
    bundle: Path
    history: Path
    expected: bytes


def bundles() -> list[Made]:
    """A bundle a family; trained anew where the code changed."""
    recipe = FAMILIES, MACHINES, SEED, EPOCHS, content(CONSTRAINTS, *PACKAGES, Path(__file__))
    folder = kept("bundles", recipe, _make)
    return [
        Made(
            family,
            folder / f"{family}.edge",
            folder / SCORED,
            (folder / f"{family}.jsonl").read_bytes(),
        )
        for family in FAMILIES
    ]


def edge(*words: str | Path) -> str:
    """`edge WORDS` on this machine; its stdout."""
    return run([sys.executable, "-P", "-c", "from edge.cli import main; main()", *words], cwd=CHECKOUT)


def _make(folder: Path) -> None:
    from train.data.simulate import Fleet, project_text, simulate, write_histories

    history = folder / "history"
    paths = write_histories(history, simulate(Fleet(machines=MACHINES, seed=SEED)))
    project = folder / "pumps.toml"
    project.write_text(project_text(test=None))
    head, *_ = paths[0].read_text().splitlines(keepends=True)
    rows = [line for path in paths[-2:] for line in path.read_text().splitlines(keepends=True)[1:]]
    (folder / SCORED).write_text(head + "".join(rows))
    for family, options in FAMILIES.items():
        settings = [f"train.epochs={EPOCHS}", "train.learning_rate=0.02", f"model.family={family}", *options]
        edge("train", project, "-o", folder / family, *(word for s in settings for word in ("--set", s)))
        edge("convert", folder / family, "-o", folder / f"{family}.edge")
        edge(
            *("score", folder / f"{family}.edge", folder / SCORED, "--json", "--backend", "litert"),
            *("-o", folder / f"{family}.jsonl"),
        )


def main() -> str:
    """Make them, or find them made."""
    return ", ".join(f"{one.bundle.name} {one.bundle.stat().st_size / 1000:.0f} kB" for one in bundles())
