"""Faults in the simulated fleet: what a classifier learns to tell apart. As naive as the fleet itself, see there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from train.data.simulate import SENSORS, Array, Life

HEALTHY = "healthy"
"""What a reading is called in which nothing is wrong but wear."""

FAULTS: Mapping[str, Mapping[str, float]] = {
    "leak": {"pressure": -0.8, "flow": -7.0, "motor_current": 1.2},
    "imbalance": {"vibration_rms": 1.6, "motor_current": 0.8},
    "overheating": {"bearing_temp": 11.0, "vibration_rms": 0.3},
}
"""Fault -> by how much each sensor is off, in its unit, at rated load and once the fault is there in full."""


@dataclass(frozen=True)
class Episodes:
    """How often faults come and how they go: about one in `apart` readings, each for `shortest` … `longest`, there in
    full after `rise` readings and gone at once, as after a repair. A share `unsaid` of the readings has no name.
    """

    apart: int = 90
    shortest: int = 15
    longest: int = 50
    rise: int = 6
    unsaid: float = 0.02


def with_faults(lives: Sequence[Life], seed: int = 0, episodes: Episodes | None = None) -> list[Life]:
    """The same lives with faults in them, and the name of the state at every reading."""
    how, found = episodes or Episodes(), []
    for number, life in enumerate(lives):
        rng = np.random.default_rng([seed, number])
        values = life.values.copy()
        states = np.full(len(life), HEALTHY, dtype=f"<U{max(map(len, (HEALTHY, *FAULTS)))}")
        at = int(rng.integers(5, how.apart))
        while at < len(life):
            end = min(at + int(rng.integers(how.shortest, how.longest + 1)), len(life))
            name = str(rng.choice(list(FAULTS)))
            values[at:end] += _off(name, life.load[at:end], how.rise)
            states[at:end] = name
            at = end + int(rng.integers(how.apart // 2, how.apart + how.apart // 2))
        states[rng.random(len(life)) < how.unsaid] = ""
        found.append(replace(life, values=values, states=states))
    return found


def _off(name: str, load: Array, rise: int) -> Array:
    """[T, sensors] what a fault adds from its first reading on, at a `load` [T] in percent."""
    grown = np.minimum(np.arange(1, len(load) + 1) / rise, 1.0) * (load / 100.0)
    off: Array = grown[:, None] * np.array([FAULTS[name].get(sensor, 0.0) for sensor in SENSORS])
    return off
