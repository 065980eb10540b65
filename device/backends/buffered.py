"""What all engines share that read a step's inputs from fixed memory and write its outputs to fixed memory."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Callable, Sequence
from contextvars import copy_context
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any

from device.backends.base import Backend, State
from edge.bundle import Bundle
from edge.errors import BundleError
from edge.manifest import Executable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bound = tuple[list[Floats], list[Floats], Callable[[], Any]]

SMALL = 64
"""Up to this many values adding them up in Python is cheaper than asking numpy for a product."""


class BufferedBackend(Backend):
    """Copies a machine's state into the engine's memory, runs one step, and copies the next state out again.

    A machine's state is a list of float32 memoryviews, one a tensor, in the manifest's order. All copies are plain
    memory moves between buffers that were found once, which makes a step cheap: no array is made but the answer.
    """

    def __init__(self, bundle: Bundle, executable: Executable) -> None:
        """As Backend. Raises BundleError where the file's inputs and outputs are not those of the manifest."""
        super().__init__(bundle, executable)
        manifest = bundle.manifest
        self._sizes = [state.size for state in manifest.states]
        self._initial = [array("f", state.initial()) for state in manifest.states]
        inputs, outputs, self._invoke = self._bind(executable.inputs, executable.outputs)
        given, said = list(manifest.reading.values()), [len(manifest.outputs), *(e.size for e in manifest.extras)]
        self._check_sizes(executable.inputs, inputs, [*given, *self._sizes])
        self._check_sizes(executable.outputs, outputs, [*said, *self._sizes])
        self._x, self._y = _view(inputs[0]), _view(outputs[0])
        self._width = given[0]
        ends = list(accumulate(given))
        self._taken = [(_view(i), slice(a, b)) for i, a, b in zip(inputs[1 : len(given)], ends, ends[1:], strict=False)]
        self._y_bytes = self._y.cast("B")
        self._extras = [_view(o) for o in outputs[1 : len(said)]]
        self._before = [_view(i) for i in inputs[len(given) :]]
        after = outputs[len(said) :]
        self._after = [_view(o) for o in after]
        # The next state is asked too whether it is finite, because a bad one would answer badly for ever.
        self._small = [view for view in self._after if len(view) <= SMALL]
        self._quiet, self._products = _products([o for o in after if o.size > SMALL])

    @abstractmethod
    def _bind(self, inputs: Sequence[str], outputs: Sequence[str]) -> Bound:
        """Load the model; its input and output memory in the order of these names, and the call that runs one step.

        The arrays must stay valid as long as the backend lives. Raises BundleError for a file the engine refuses.
        """

    def new_state(self) -> State:
        """A list of memoryviews holding the manifest's initial values."""
        return [memoryview(array("f", values)) for values in self._initial]

    def step(self, reading: array[float], state: State) -> array[float] | None:
        """As Backend."""
        if not isfinite(sum(reading)):  # float32 values cannot overflow the double they are added up in
            return None
        if self._taken:
            for inside, where in self._taken:
                inside[:] = reading[where]
            reading = reading[: self._width]
        self._x[:] = reading
        for inside, part in zip(self._before, state, strict=True):
            inside[:] = part
        self._invoke()
        if not isfinite(sum(self._y)):
            return None
        for view in self._small:
            if not isfinite(sum(view)):
                return None
        for dot, zeros in self._products:
            if self._quiet(dot, zeros) != 0.0:
                return None
        for inside, part in zip(self._after, state, strict=True):
            part[:] = inside
        answer = array("f")
        answer.frombytes(self._y_bytes)
        return answer

    def look(self, reading: array[float], state: State) -> list[array[float]] | None:
        """As Backend."""
        aside = [memoryview(array("f", part)) for part in state]
        return None if self.step(reading, aside) is None else [array("f", view) for view in self._extras]

    def dump_state(self, state: State) -> list[array[float]]:
        """As Backend."""
        return [array("f", part.tobytes()) for part in state]

    def load_state(self, tensors: Sequence[Sequence[float]]) -> State:
        """As Backend."""
        got = [len(values) for values in tensors]
        if got != self._sizes:
            raise BundleError(
                f"a state of sizes {got} does not fit `{self.bundle.path}`, which has sizes {self._sizes}"
            )
        return [memoryview(array("f", values)) for values in tensors]

    def _check_sizes(self, names: Sequence[str], arrays: Sequence[Floats], wanted: Sequence[int]) -> None:
        for name, found, size in zip(names, arrays, wanted, strict=True):
            if found.dtype.name != "float32" or found.size != size:
                raise BundleError(
                    f"`{self.bundle.path}`: {self.executable.key} has {found.size} {found.dtype.name} values in "
                    f"`{name}`, the manifest says {size} float32; convert the model again"
                )


def _view(values: Floats) -> memoryview[float]:
    # Through bytes, because the buffers of some engines call their format "<f", and a copy wants equal formats.
    return memoryview(values.data).cast("B").cast("f")


def _products(arrays: Sequence[Floats]) -> tuple[Callable[..., Any], list[tuple[Callable[..., Any], Floats]]]:
    """The exact and cheapest question whether an array is finite: times zero, finite values are 0 and all others NaN.

    The call to put the question with, in a context where numpy does not warn of such products, and what to ask.
    """
    import numpy as np

    context = copy_context()
    context.run(np.seterr, all="ignore")
    flats = [values.reshape(-1) for values in arrays]
    return context.run, [(flat.dot, np.zeros_like(flat)) for flat in flats]
