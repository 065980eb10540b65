"""Calibration: the true ranges of what matrix products read and write, over streams with the state carried.

Averages over single readings clip what happens rarely, and what happens rarely is what a model is for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Range = tuple[float, float]
"""Smallest and largest value."""

Observe = Callable[[Sequence[Array]], tuple[list[Array], dict[str, Array]]]
"""One step of a float file: (*reading, *states) -> next states, and the values of the tensors that are watched."""


def ranges(observe: Observe, initial: Sequence[Array], lives: Iterable[Iterable[Sequence[Array]]]) -> dict[str, Range]:
    """Tensor -> its range over the readings of `lives`, each from the `initial` state on; zero is always inside."""
    found: dict[str, Range] = {}
    for life in lives:
        state = list(initial)
        for reading in life:
            state, seen = observe([*reading, *state])
            for name, values in seen.items():
                low, high = found.get(name, (0.0, 0.0))
                found[name] = min(low, float(values.min())), max(high, float(values.max()))
    return found


def tied(found: Mapping[str, Range], state_of: Mapping[str, str], bounds: Mapping[str, float]) -> dict[str, Range]:
    """`found` with one range for all tensors of one state, going in or coming out: what is written must read the same.

    `state_of`: tensor -> state, for those tensors that are one. `bounds`: state -> the largest magnitude its family
    says it can ever have; it replaces what was seen, so that no stream can leave the range.
    """
    groups: dict[str, list[Range]] = {}
    for tensor, state in state_of.items():
        if tensor in found:
            groups.setdefault(state, []).append(found[tensor])
    whole = {state: (min(low for low, _ in seen), max(high for _, high in seen)) for state, seen in groups.items()}
    whole |= {state: (-bound, bound) for state, bound in bounds.items() if state in whole}
    return {tensor: whole.get(state_of.get(tensor, ""), span) for tensor, span in found.items()}


LONGEST = 1000.0
"""How many times as long as usual a gap may be that calibration shows."""


def gapped(life: Array, column: int) -> Array:
    """The rows `life` [T, W] with gaps in `column`, from the usual time to LONGEST times as much: what machines
    did may hold none, and a link that is down for a day makes one that no headroom covers.
    """
    usual = float(np.median(life[1:, column])) if len(life) > 1 else 1.0
    found = life.copy()
    found[:, column] = np.geomspace(usual, LONGEST * usual, len(life)) if usual > 0 else life[:, column]
    return found


HEADROOM = 8
"""How far beyond what calibration saw operands may go: a machine that breaks shows what none did before, and 16 bits
leave 13 for what is usual.
"""


def widened(found: Mapping[str, Range], bounded: Collection[str]) -> dict[str, Range]:
    """`found` with headroom about zero, but for the tensors that are `bounded` by what they are; -1 … 1 for one that
    was never anything but zero.
    """
    return {
        t: span if t in bounded else (HEADROOM * span[0], HEADROOM * span[1]) if any(span) else (-1.0, 1.0)
        for t, span in found.items()
    }
