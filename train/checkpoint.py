"""Where a course stands, and the file that lets an interrupted one go on as if nothing had happened."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import time
import zipfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edge import __version__, atomic
from edge.spec import Project, flat
from train.data.history import History

SAVE_EVERY_S = 1.0
"""Seconds between two savings at least; an epoch of a small model is shorter, and a disk should not be what it waits
for.
"""


class Stands(Protocol):
    """Where any course stands: `table` is all of it, with the steps or epochs `done`."""

    done: int

    def table(self) -> dict[str, Any]:
        """As plain tables and tensors that torch saves."""


@dataclass
class Standing:
    """Where a course stands behind an epoch: everything that decides what comes next.

    `averaged` is the running average of the weights, `best` those of it that validated best, in epoch `best_epoch` with
    `best_error` in the task's unit. `losses` and `errors` hold one figure an epoch: the mean training loss, and the
    validation error of the average.
    """

    family: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    best: dict[str, Tensor]
    best_error: float = math.inf
    best_epoch: int = 0
    done: int = 0
    steps: int = 0
    cpu_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """All of it, with torch's random state of this moment, as plain tables and tensors."""
        return {
            **{name: getattr(self, name).state_dict() for name in ("family", "averaged", "optimizer")},
            **{name: getattr(self, name) for name in _PLAIN},
            "rng": json.dumps(self.rng.bit_generator.state),
            "torch": torch.get_rng_state(),
        }

    def restore(self, table: dict[str, Any]) -> None:
        """The inverse; torch's random state is what it was, too."""
        for name in ("family", "averaged", "optimizer"):
            getattr(self, name).load_state_dict(table[name])
        for name in _PLAIN:
            setattr(self, name, table[name])
        self.rng.bit_generator.state = json.loads(table["rng"])
        torch.set_rng_state(table["torch"])


_PLAIN = ("best", "best_error", "best_epoch", "done", "steps", "cpu_seconds", "losses", "errors")


class Checkpoint:
    """The standings of one training's courses by name, in one file that is written aside and renamed.

    A training runs the same way each time it is asked for; a course whose standing lies in the file goes on from there,
    one that had ended ends at once. `fingerprint` says of which training the file is: another one's counts for nothing.
    """

    def __init__(self, path: Path, fingerprint: str, every_s: float | None = None) -> None:
        """`every_s`: seconds between two savings; SAVE_EVERY_S if not given."""
        self.path = path
        self.every_s = every_s
        self.fingerprint = fingerprint
        self.foreign = False
        self._saved = time.monotonic()
        self._courses = self._read()

    @property
    def epochs(self) -> int:
        """Epochs done so far, over all courses; 0 where there is nothing to go on from."""
        return sum(standing["done"] for standing in self._courses.values())

    def course(self, name: str) -> dict[str, Any] | None:
        """The standing of a course, as `Standing.table` gave it."""
        return self._courses.get(name)

    def keep(self, name: str, standing: Stands, *, ended: bool = False) -> None:
        """Take a standing down; on the disk at once where the course has `ended`, else every now and then."""
        now = time.monotonic()
        if ended or now - self._saved >= (SAVE_EVERY_S if self.every_s is None else self.every_s):
            self._courses[name] = standing.table()
            file = io.BytesIO()
            torch.save({"fingerprint": self.fingerprint, "courses": self._courses}, file)
            atomic.write(self.path, file.getvalue())
            self._saved = now

    def drop(self) -> None:
        """Forget all of it: the training is done, or shall begin anew."""
        self._courses = {}
        with suppress(FileNotFoundError):
            self.path.unlink()

    def _read(self) -> dict[str, Any]:
        try:
            found = torch.load(self.path, weights_only=True)
            courses: dict[str, Any] = found["courses"] if found["fingerprint"] == self.fingerprint else {}
        except FileNotFoundError:
            return {}
        except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            courses = {}
        self.foreign = not courses
        return courses


def fingerprint(project: Project, *groups: Sequence[History], more: bytes = b"") -> str:
    """Says of which training a checkpoint is: project, histories, versions, and whatever `more` decides."""
    digest = hashlib.sha256(json.dumps([flat(project), __version__, torch.__version__], sort_keys=True).encode())
    for group in groups:
        digest.update(histories_sha256(group).encode())
    digest.update(more)
    return digest.hexdigest()


def weights_of(model: nn.Module) -> bytes:
    """All weights of a model, one behind the other."""
    return b"".join(t.detach().contiguous().numpy().tobytes() for t in model.state_dict().values())


YOUNGER = ("label", "end")
"""Facts that histories had not when runs of old were fitted, which nothing in them could have learnt."""


def histories_sha256(histories: Sequence[History], but: Collection[str] = ()) -> str:
    """One sum over everything a model could learn from these histories, `but` for some facts."""
    digest = hashlib.sha256()
    for history in histories:
        for fact in (fact for fact in fields(history) if fact.name not in but):
            value = getattr(history, fact.name)
            array = isinstance(value, np.ndarray)
            digest.update(json.dumps([fact.name, list(value.shape) if array else value]).encode())
            digest.update(np.ascontiguousarray(value).tobytes() if array else b"")
    return digest.hexdigest()
