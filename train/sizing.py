"""How wide a model may be that has no more than so many numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from edge.errors import ProjectError

WIDEST = 1 << 16
"""Widths are not tried beyond."""

NEAR = 64
"""Where a width is refused, so many behind it are tried: a family may want a multiple of something."""


def widest(size: Callable[[int], int], most: int) -> int | None:
    """The largest width whose `size` is at most `most`; None where even the least has more.

    More width means more size; a width for which `size` raises ProjectError is passed over. Whatever fresh weights
    `size` draws, the generator of random numbers stays as it was. Raises the first ProjectError where it hears nothing
    else.
    """
    refused: list[ProjectError] = []
    heard: list[int] = []

    def sized(width: int) -> int | None:
        try:
            heard.append(size(width))
        except ProjectError as error:
            refused.append(error)
            return None
        return heard[-1]

    with torch.random.fork_rng(devices=[]):
        found = largest(sized, most)
    if not heard:
        raise refused[0]
    return found


def largest(sized: Callable[[int], int | None], most: int) -> int | None:
    """The largest width whose size is at most `most`, or None.

    More width means more size; where `sized` says None the width is refused (heads that do not divide it, say) and
    passed over.
    """
    width, best, high = 1, 0, WIDEST + 1
    while width < high:
        near = range(width, min(2 * width, width + NEAR))
        at, found = next(((w, n) for w in near if (n := sized(w)) is not None), (width, None))
        if found is not None:
            best, high = (best, at) if found > most else (at, high)
        width *= 2
    if not best and high > WIDEST:
        return None  # refused wherever it was tried: no matter of width
    # All that fits and is larger than `best` lies from `low` to below `high`.
    low = best
    while high - low > 1:
        middle = at = (low + high) // 2
        while at > low and (found := sized(at)) is None:
            at -= 1
        if at == low:
            low = middle
        elif found is not None and found <= most:
            best, low = at, middle
        else:
            high = at
    return best or None
