"""What a draft of a project says, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.spec import DataSpec


@dataclass(frozen=True)
class Seen:
    """One channel: its unit where known, and the range of nearly all of its values."""

    name: str
    unit: str
    low: float
    high: float


@dataclass
class Draft:
    """All that a project file says, and why. `left_out`: column -> reason. `facts` are counts of what was seen."""

    data: DataSpec
    reasons: list[tuple[str, str, str]]
    channels: list[Seen] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    period_s: float = 1.0
    max_gap_s: float = 10.0
    warm_up: int = 10
    kind: str = "anomaly"
    life: float = 0.0
    """Median readings of a life that ended in a failure."""

    hidden: int = 32
    epochs: int = 120
    split: str = "machine"
    shares: tuple[float, float] | None = None
    """Validation and test, where not the usual ones."""

    zoned: bool = True
    counted: bool = False
