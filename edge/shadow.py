"""Whose `train` is it? Our packages have plain names, which a person's own `train.py` may take."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("edge", "train", "convert", "device")
"""The top-level packages of the distribution."""

ROOT = Path(__file__).resolve().parent.parent
"""The folder this `edge` runs from; its sisters must come from there too."""


class Shadow(NamedTuple):
    """`package` would be imported from `found` (a file, or "" where it is not found at all), not from `expected`."""

    package: str
    found: str
    expected: str

    @property
    def remedy(self) -> str:
        """The way out."""
        if not self.found:
            return "install edgestep again"
        return f"rename `{Path(self.found).name}`, or take its folder out of PYTHONPATH"

    def __str__(self) -> str:
        """One sentence that names the file and the way out."""
        if not self.found:
            return f"our package `{self.package}` is missing ({self.expected}); {self.remedy}"
        return f"`{self.found}` hides our package `{self.package}`; {self.remedy}"


def shadowed(path: Sequence[str] | None = None, root: Path = ROOT) -> list[Shadow]:
    """Packages that an import would not take from `root` when it searches `path` (None: this process's `sys.path`).

    Imports nothing and reads no file beyond folder listings, so start-up can afford it.
    """
    importlib.invalidate_caches()
    found = []
    for package in PACKAGES:
        spec = PathFinder.find_spec(package, None if path is None else list(path))
        expected = root / package / "__init__.py"
        if spec is None or spec.origin is None:  # nothing, or only folders without an __init__.py
            found.append(Shadow(package, "", str(expected)))
        elif Path(spec.origin).resolve() != expected:
            found.append(Shadow(package, spec.origin, str(expected)))
    return found
