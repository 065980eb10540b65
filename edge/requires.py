"""What our installed metadata asks for, and whether it is here; without `packaging`, which a device does not have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "edgestep"


@dataclass(frozen=True)
class Requirement:
    """One line of the metadata: a library, the versions it may have, and the extra that asks ("" for the base)."""

    name: str
    versions: tuple[str, ...]
    extra: str

    def __str__(self) -> str:
        """As pip takes it."""
        return self.name + ",".join(self.versions)

    @property
    def installed(self) -> str | None:
        """The version that is installed here, or None."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None


def requirements() -> dict[str, dict[str, Requirement]]:
    """Extra ("" for the base) -> library -> requirement; empty where the distribution is not installed.

    Extras that contain others hold their libraries too: the build writes them out.
    """
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    asked: dict[str, dict[str, Requirement]] = {}
    for need in map(parse, lines):
        if need.name != DISTRIBUTION:
            asked.setdefault(need.extra, {})[need.name] = need
    return asked


def parse(line: str) -> Requirement:
    """A `Requires-Dist` line as our own build writes it, such as `torch<2.14,>=2.13; extra == 'train'`."""
    what, _, marker = line.partition(";")
    head = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*(.*)", what)
    assert head is not None, line
    asks = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
    versions = tuple(part.strip() for part in head[2].strip(" ()").split(",") if part.strip())
    return Requirement(head[1], versions, asks[1] if asks else "")


def fits(version: str, ranges: tuple[str, ...]) -> bool:
    """Whether `version` lies in all of `ranges`: `>=`, `<` or `==` a release number; other operators pass unjudged."""
    have = _release(version)
    for text in ranges:
        operator = text.rstrip("0123456789.*+abcdefghijklmnopqrstuvwxyz ")
        want = _release(text.removeprefix(operator))
        width = max(len(have), len(want))
        left, right = (numbers + (0,) * (width - len(numbers)) for numbers in (have, want))
        holds = {">=": left >= right, "<": left < right, "==": left == right}
        if not holds.get(operator, True):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """The numbers a version begins with: `2.13.0+cpu` is (2, 13, 0)."""
    found = re.match(r"\s*(\d+(?:\.\d+)*)", version)
    return tuple(map(int, found[1].split("."))) if found else ()
