"""The contract of a target: one exported file for each recipe it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
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

    @abstractmethod
    def emit(self, recipe: str) -> Emitted:
        """The file for `recipe`. Raises Declined where there is none, CheckFailed where the converter fails."""
