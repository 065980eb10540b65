"""How wide a model may be: the largest width that a budget of parameters allows."""

from __future__ import annotations

from collections.abc import Callable

from edge.errors import ProjectError

WIDEST = 1 << 16
"""Widths are not tried beyond."""

NEAR = 64
"""Where a family refuses a width, so many behind it are tried: it may want a multiple of something."""


def within(sized: Callable[[int], int], most: int) -> int | None:
    """The largest width whose size is at most `most`, or None where even the smallest has more.

    `sized` raises ProjectError for a width that a family refuses; where it refuses the smallest ones, whatever it says
    of the first is raised.
    """
    refused: dict[int, ProjectError] = {}

    def asked(width: int) -> int | None:
        try:
            return sized(width)
        except ProjectError as error:
            refused[width] = error
            return None

    width = largest(asked, most)
    if width is None and len(refused) > NEAR:
        raise next(iter(refused.values()))
    return width


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
