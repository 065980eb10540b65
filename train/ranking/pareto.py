"""Which models nobody beats in everything."""

from __future__ import annotations

from collections.abc import Mapping


def pareto(costs: Mapping[str, tuple[float, ...]]) -> set[str]:
    """The names of those that none of the others equals or beats in every cost while beating it in one."""
    return {
        name
        for name, mine in costs.items()
        if not any(other != mine and all(o <= m for o, m in zip(other, mine, strict=True)) for other in costs.values())
    }
