"""The contract of a backend: one exported model, opened once, stepped for any number of machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from typing import Any, ClassVar

from edge.bundle import Bundle
from edge.manifest import Executable

State = Any
"""A machine's state as its backend keeps it: opaque, owned by one machine, updated by `step`."""


class Backend(ABC):
    """Executes one file of a bundle. Values cross as float32 buffers, so no caller needs numpy."""

    name: ClassVar[str]
    """Its name in the table BACKENDS, in options, statuses and reports."""
    target: ClassVar[str]
    """The export format it executes."""

    def __init__(self, bundle: Bundle, executable: Executable) -> None:
        """Load the file. Raises BundleError where it cannot run here, MissingExtra where the engine is missing."""
        self.bundle = bundle
        self.executable = executable

    @classmethod
    @abstractmethod
    def available(cls) -> str | None:
        """The engine's name and version where it is installed here, else None. Imports nothing."""

    @abstractmethod
    def new_state(self) -> State:
        """A machine's initial state."""

    @abstractmethod
    def step(self, reading: array[float], state: State) -> array[float] | None:
        """Take `reading`, advance `state` in place, return `y` [O].

        A reading is one flat float32 buffer: the channels [C] in the sensors' units, then what the manifest's `takes`
        lists, one behind the other.

        None is the status "not finite": reading or result held NaN or infinity; `state` is then what it was before.
        """

    @abstractmethod
    def look(self, reading: array[float], state: State) -> list[array[float]] | None:
        """What taking `reading` would say beside `y`: the manifest's extras, flat; `state` stays as it is.

        None where `step` would say "not finite".
        """

    def step_many(self, readings: Sequence[array[float]], states: Sequence[State]) -> list[array[float] | None]:
        """`step` for several readings in order; a backend overrides it where a batch is faster."""
        return [self.step(reading, state) for reading, state in zip(readings, states, strict=True)]

    @abstractmethod
    def dump_state(self, state: State) -> list[array[float]]:
        """The state in canonical form: one flat float32 array per row of the manifest's state table."""

    @abstractmethod
    def load_state(self, tensors: Sequence[Sequence[float]]) -> State:
        """The inverse of `dump_state`; sizes as in the manifest's state table, else BundleError."""
