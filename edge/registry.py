"""Tables of names: what a name stands for is imported only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from edge.errors import ProjectError
from edge.extras import needed_for


def suggest(unknown: str, known: list[str]) -> str:
    """`; did you mean …? known: …`, the end of a sentence about a name nobody knows."""
    near = get_close_matches(unknown.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean `{near[0]}`?" if near else ";"
    return f"{hint} known: {', '.join(known) or 'none'}"


class Registry(Mapping[str, Any]):
    """Name -> `"module:attribute"`, resolved on first use.

    `Registry("model family", {"gru": "train.models.gru:GRU"})["gru"]` imports `train.models.gru`. An unknown name
    raises ProjectError with the known ones and the one probably meant; a missing library raises MissingExtra.
    """

    def __init__(self, kind: str, table: dict[str, str]) -> None:
        self.kind = kind
        self._table = dict(table)

    def __getitem__(self, name: str) -> Any:
        if name not in self._table:
            raise ProjectError(f"unknown {self.kind} `{name}`{suggest(name, sorted(self._table))}")
        module, _, attribute = self._table[name].partition(":")
        with needed_for(f"{self.kind} `{name}`"):
            return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)
