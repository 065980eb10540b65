"""How long to wait before trying again."""

from __future__ import annotations

import random


class Pauses:
    """Exponential back-off with jitter, so that a hundred devices do not come back in the same second."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        """Pauses double from `first_s` up to `longest_s`, each half shorter to half longer by chance."""
        self._first = first_s
        self._longest = longest_s
        self._random = random.Random()
        self._pause = first_s

    def reset(self) -> None:
        """It worked: begin again with the first pause."""
        self._pause = self._first

    def next(self) -> float:
        """Seconds to wait this time."""
        pause = min(self._pause, self._longest)
        self._pause = 2 * pause
        return pause * self._random.uniform(0.5, 1.5)
