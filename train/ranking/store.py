"""Finished fits on disk, one file each: what a ranking that was interrupted, or asked for more families, need not do
again.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge import atomic
from edge.spec import Project, flat, parse_project
from train.checkpoint import Checkpoint
from train.folding import Answers
from train.tasks.base import Array


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit to be made: who, on which fold, from which seed. `mark` tells it from any other fit by that name."""

    name: str
    project: Project
    fold: int
    seed: int
    family: bool
    mark: str

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.name}, fold {self.fold + 1}" + (f", seed {self.seed}" if self.family else "")

    @property
    def stem(self) -> str:
        """Its file's name without an ending; letters, digits and `-`."""
        plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in self.name)
        return f"{plain}-fold{self.fold}" + (f"-seed{self.seed}" if self.family else "")


@dataclass(frozen=True)
class Outcome:
    """What became of a fit: its answers to the fold's exam and the CPU seconds it took, or `why` there are none.

    A family leaves its weights behind, and the project they belong to (pruning changes it).
    """

    answers: Answers
    cpu_seconds: float
    project: Project | None = None
    weights: dict[str, torch.Tensor] | None = None
    why: str = ""


class Store:
    """The folder of finished fits. A file that is damaged or belongs to another project counts for nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, fit: Fit) -> Path:
        """Where the outcome of `fit` lies."""
        return self.folder / f"{fit.stem}.pt"

    def checkpoint(self, fit: Fit) -> Checkpoint:
        """Where an unfinished `fit` stands."""
        return Checkpoint(self.folder / f".{fit.stem}.part", fit.mark)

    def keep(self, fit: Fit, outcome: Outcome) -> None:
        """Take an outcome down, whole or not at all."""
        table = {
            "mark": fit.mark,
            "answers": {q: _packed(of) for q, of in outcome.answers.items()},
            "cpu_seconds": outcome.cpu_seconds,
            "project": json.dumps(flat(outcome.project)) if outcome.project else "",
            "weights": outcome.weights,
            "why": outcome.why,
        }
        file = io.BytesIO()
        torch.save(table, file)
        atomic.write(self.path(fit), file.getvalue())

    def find(self, fit: Fit) -> Outcome | None:
        """The outcome of exactly this fit, if it is here."""
        try:
            table: dict[str, Any] = torch.load(self.path(fit), weights_only=True)
            if table["mark"] != fit.mark:
                return None
            return Outcome(
                {q: _unpacked(*of) for q, of in table["answers"].items()},
                table["cpu_seconds"],
                parse_project(json.loads(table["project"])) if table["project"] else None,
                table["weights"],
                table["why"],
            )
        except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None


def _packed(answers: Sequence[Array]) -> tuple[list[int], torch.Tensor]:
    """How many rows each has, and all of them one behind the other."""
    whole = np.concatenate(answers) if answers else np.empty((0, 1), np.float32)
    return [len(a) for a in answers], torch.from_numpy(whole)


def _unpacked(lengths: Sequence[int], whole: torch.Tensor) -> list[Array]:
    return np.split(whole.numpy(), np.cumsum(lengths)[:-1]) if lengths else []
