"""The contract of a target: one exported file for each recipe it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from convert.step import StepModule


@dataclass(frozen=True)
class Emitted:
    """One exported file, and its own names for the graph's inputs and outputs, in the graph's order."""

    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Declined(Exception):
    """This target does not do this recipe for this model; the message says why, and the certificate shows it."""


class Target(ABC):
    """A format for one step graph. What several recipes share (the float export) is made once, on first use."""

    suffix: ClassVar[str]

    def __init__(self, step: StepModule) -> None:
        self.step = step

    def emit(self, recipe: str) -> Emitted:
        """The file for `recipe`. Raises Declined where there is none, CheckFailed where the converter fails."""
        make = self.makers.get(recipe)
        if make is None:
            raise Declined(f"{self.suffix} files have no {recipe}")
        return Emitted(make(), *self.names)

    @property
    @abstractmethod
    def makers(self) -> Mapping[str, Callable[[], bytes]]:
        """Recipe -> what makes the file's bytes."""

    @property
    @abstractmethod
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The file's own names for the graph's inputs and outputs, in the graph's order."""
