"""The contract of a target: one exported file for each recipe it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from convert.calibrate import Array, Observe, Range, gapped, ranges, tied, widened
from convert.numbers import Wiring, check_states
from convert.step import StepModule
from edge.errors import DataError


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

    def __init__(self, step: StepModule, lives: Sequence[Array] = ()) -> None:
        """`lives` [T, W] each, rows of the predictor's and of the training side: what calibrated recipes look at."""
        self.step = step
        self.lives = lives

    def emit(self, recipe: str) -> Emitted:
        """The file for `recipe`, its state checked (see convert.numbers).

        Raises Declined where there is none, DataError where it needs lives and has none, CheckFailed where the
        converter fails or mistreats the state.
        """
        make = self.makers.get(recipe)
        if make is None:
            raise Declined(f"{self.suffix} files have no {recipe}")
        content = make()
        check_states(self.wiring(content), f"{self.suffix}/{recipe}")
        return Emitted(content, *self.names)

    def observed(self, observe: Observe) -> dict[str, Range]:
        """What calibration finds of the tensors that `observe` watches, those of a state tied, with headroom where no
        bound is known. Raises DataError.
        """
        if not self.lives:
            raise DataError(
                "the run holds no life to calibrate on; train again, or leave static-int8 out with --recipe"
            )
        initial = [tensor.numpy() for tensor in self.step.initial]
        shown = list(self.lives)
        if "dt" in self.step.given:
            shown.append(gapped(max(shown, key=len), self.step.example[0].shape[1]))
        lives = ((self.step.parts(row[None]) for row in life) for life in shown)
        bounds = self.step.predictor.state_bounds
        found = tied(ranges(observe, initial, lives), self.state_of, bounds)
        return widened(found, {tensor for tensor, state in self.state_of.items() if state in bounds})

    @property
    def state_of(self) -> dict[str, str]:
        """The file's tensors that are a state, going in or coming out -> the state."""
        return {tensor: name for side in self.states for tensor, name in zip(side, self.step.before, strict=True)}

    @property
    def states(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The file's own names of the states, going in and coming out."""
        inputs, outputs = self.names
        count = len(self.step.before)
        return inputs[len(inputs) - count :], outputs[len(outputs) - count :]

    @abstractmethod
    def wiring(self, content: bytes) -> Wiring:
        """A file of this format as a graph, to be looked at."""

    @property
    @abstractmethod
    def makers(self) -> Mapping[str, Callable[[], bytes]]:
        """Recipe -> what makes the file's bytes."""

    @property
    @abstractmethod
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The file's own names for the graph's inputs and outputs, in the graph's order."""
