"""A small simulated fleet of pumps that run to failure, for the demo, for tests and for a first walk along the road.

What is true to life: wear accelerates, and its rate differs from machine to machine; load both wears the pump and moves
every sensor by more than wear does for most of a life; sensors have offsets of their own, noise, lag, lost values,
stretches of silence and the odd absurd number; some records end before the failure.

Where it is naive, so that nobody mistakes its figures for a promise:

- There is one way to fail (a bearing that wears), every machine fails at the same wear, and nothing is ever repaired.
  Real fleets fail in several ways, many of which show in no sensor.
- Wear moves all sensors smoothly and from the first day. Real degradation is often invisible until late, and jumps.
- Noise is independent between readings and of the same size throughout; real noise is coloured and grows with wear.
- Load changes at random between three settings and is measured exactly. Real operation has habits and wrong tags.
- Readings come exactly once an hour; clocks never jump.
- All machines are of one kind, so a machine never seen before is still an average member of the fleet.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import atomic
from edge.errors import ProjectError

Array = NDArray[np.float64]

PERIOD_S = 3600.0
"""Seconds between two readings; one reading is one hour, so "hours left" and "readings left" are the same number."""

LOADS = (60.0, 80.0, 100.0)
"""The load settings, in percent of the rated load."""

_START = datetime(2026, 1, 5, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Sensor:
    """One sensor and how the machine moves it, in its own unit.

    It settles at `base + per_load * load + per_wear * wear ** shape * load ** 2.5`, where load and wear run from 0 to
    1: a worn pump shows it at work. `spread` is the standard deviation of a machine's own offset, `noise` that of a
    reading, `surge` how far a change of the load by 1 throws it for some hours, `daily` the amplitude of the swing over
    a day, `lag` the share of the previous value that remains. `low` … `high` is what the sensor can plausibly show.
    """

    unit: str
    base: float
    per_load: float
    per_wear: float
    shape: float
    spread: float
    noise: float
    low: float
    high: float
    surge: float = 0.0
    daily: float = 0.0
    lag: float = 0.0


SENSORS: dict[str, Sensor] = {
    "vibration_rms": Sensor("mm/s", 0.9, 1.1, 5.0, 2.0, 0.20, 0.22, 0, 50, surge=2.5),
    "bearing_temp": Sensor("degC", 31.0, 22.0, 18.0, 1.5, 1.2, 0.7, -20, 150, daily=2.5, lag=0.7),
    "motor_current": Sensor("A", 9.0, 15.0, 3.2, 1.5, 0.30, 0.35, 0, 80, surge=2.0),
    "pressure": Sensor("bar", 4.6, 2.2, -0.85, 1.5, 0.10, 0.08, 0, 16, surge=-0.4),
    "flow": Sensor("m3/h", 22.0, 66.0, -11.0, 1.5, 1.2, 1.5, 0, 200, surge=-8.0),
    "ambient_temp": Sensor("degC", 21.0, 0.0, 0.0, 1.0, 1.0, 0.4, -40, 60, daily=4.0),
}
"""Sensor -> behaviour, in the order of the columns. `ambient_temp` knows nothing of wear, only of the daily swing."""


@dataclass(frozen=True)
class Fleet:
    """What to simulate.

    `machines` lives, of which `censored` (a share) end before the failure; `lost` is the chance that a single value is
    missing, `silent` the chance that a sensor falls silent for a while, `absurd` that it shows nonsense, each per
    reading and sensor. `first` is the number in the first machine's name.
    """

    machines: int = 48
    seed: int = 0
    censored: float = 0.25
    lost: float = 0.01
    silent: float = 0.0004
    absurd: float = 0.0005
    first: int = 1

    def __post_init__(self) -> None:
        shares = {"censored": self.censored, "lost": self.lost, "silent": self.silent, "absurd": self.absurd}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ProjectError(f"a fleet's `{name}` is a share from 0 to 1, not {share:g}")
        if self.machines < 1:
            raise ProjectError(f"a fleet has at least one machine, not {self.machines}")


@dataclass(frozen=True)
class Life:
    """One machine's record, and what no sensor shows.

    `ts` [T] seconds since 1970, `load` [T] percent, `values` [T, sensors] in the sensors' units (NaN where missing),
    `wear` [T] from 0 to 1. `failed`: the last reading is the failure; otherwise the record ends `left` readings before.
    `states` [T] names what else is wrong at each reading (`train.data.faults`), where anybody looked.
    """

    machine: str
    ts: Array
    load: Array
    values: Array
    wear: Array
    failed: bool
    left: int
    states: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.ts)


def simulate(fleet: Fleet) -> list[Life]:
    """The lives of `fleet`. Each machine has a random stream of its own, so a larger fleet begins with the smaller one.

    The censored machines are spread evenly over the fleet, rounded down: 0.25 of 10 is two.
    """
    lives = []
    for index in range(fleet.machines):
        number = fleet.first + index
        rng = np.random.default_rng([fleet.seed, number])
        life = _life(f"pump-{number:03d}", rng, fleet)
        if int((index + 1) * fleet.censored) > int(index * fleet.censored):
            life = _cut(life, rng)
        lives.append(life)
    return lives


def csv_text(lives: Sequence[Life]) -> str:
    """A history as `edge.readers.csv_text` reads it: machine, ts (ISO 8601), load_setting, the sensors, failed; and
    `state`, where any life has one.
    """
    told = any(life.states is not None for life in lives)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["machine", "ts", "load_setting", *SENSORS, "failed", *(["state"] if told else [])])
    for life in lives:
        last = len(life) - 1
        for i in range(len(life)):
            when = datetime.fromtimestamp(float(life.ts[i]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            values = ["" if np.isnan(v) else f"{v:.3f}" for v in life.values[i]]
            state = [] if not told else [""] if life.states is None else [life.states[i]]
            failed = int(life.failed and i == last)
            writer.writerow([life.machine, when, f"{life.load[i]:g}", *values, failed, *state])
    return text.getvalue()


def write_histories(folder: Path, lives: Sequence[Life]) -> list[Path]:
    """One CSV a machine in `folder`; returns the files. Raises DataError where it cannot write."""
    paths = [folder / f"{life.machine}.csv" for life in lives]
    for path, life in zip(paths, lives, strict=True):
        atomic.write(path, csv_text([life]))
    return paths


def project_text(name: str = "pumps", history: str = "history/*.csv", test: str | None = "unseen/*.csv") -> str:
    """A project file for such histories; `history` and `test` are globs relative to it.

    With `test` None, training holds machines back by itself.
    """
    signals = "\n".join(
        f'{key} = {{ unit = "{sensor.unit}", min = {sensor.low:g}, max = {sensor.high:g} }}'
        for key, sensor in SENSORS.items()
    )
    looked_at_once = f'test = "{test}"              # looked at once, after training\n' if test else ""
    return f"""\
# A simulated fleet of pumps, one reading an hour; `edge demo` wrote it.

[project]
name = "{name}"

[data]
reader = "csv"
path = "{history}"
{looked_at_once}machine = "machine"
time = "ts"
failure = "failed"                  # true at the last reading of a life; a life without it is censored

[signals]                           # their order is the model's channel order
{signals}

[regime]                            # sensors are judged against others at the same load
columns = ["load_setting"]
count = {len(LOADS)}

[task]
kind = "rul"
cap = 125
unit = "h"

[model]
family = "gru"
hidden = 24

[train]
seed = 0
epochs = 80

[timing]
period_s = {PERIOD_S:g}
max_gap_s = {12 * PERIOD_S:g}
on_gap = "hold"
warm_up_readings = 12

[alarm]                             # in hours of useful life left
raise_below = 30
clear_above = 45
hold_readings = 3

[mqtt]
readings = "plant/{{machine}}/telemetry"
predictions = "plant/{{machine}}/health"
control = "plant/{{machine}}/control"
"""


def _life(machine: str, rng: np.random.Generator, fleet: Fleet) -> Life:
    """A whole life, to the reading at which wear reaches 1."""
    hours = float(np.clip(rng.lognormal(np.log(190.0), 0.28), 90, 400))  # what it would live at rated load
    onset = float(rng.uniform(0.15, 0.35))  # share of the final pace at which wear starts: lower is a sharper end
    wear, wears, loads = float(rng.uniform(0.0, 0.12)), [], []
    load, stays = float(rng.choice(LOADS)), 0
    pace = _pace(onset) / hours
    while wear < 1.0:
        if stays == 0:
            load, stays = float(rng.choice(LOADS)), int(rng.integers(8, 48))
        stays -= 1
        wears.append(wear)
        loads.append(load)
        # Paris-like: the more worn, the faster; a day at rated load costs twice that at 60 %.
        wear += pace * (onset + (1 - onset) * wear**2) * (load / 100) ** 1.35 * float(rng.gamma(4.0, 0.25))
    wears.append(1.0)
    loads.append(load)
    worn, loaded = np.array(wears), np.array(loads)
    ts = _START + 24 * PERIOD_S * int(rng.integers(0, 4)) + PERIOD_S * np.arange(len(worn), dtype=np.float64)
    return Life(machine, ts, loaded, _sense(rng, ts, loaded / 100, worn, fleet), worn, True, 0)


def _pace(onset: float) -> float:
    """The factor that makes `dw/dt = factor / hours * (onset + (1 - onset) w^2)` reach 1 from 0 after `hours`."""
    root = np.sqrt(onset * (1 - onset))
    return float(np.arctan(np.sqrt((1 - onset) / onset)) / root)


def _sense(rng: np.random.Generator, ts: Array, load: Array, wear: Array, fleet: Fleet) -> Array:
    """What the sensors show [T, sensors] at a load [T] from 0 to 1, lost and absurd values included."""
    day = np.sin(2 * np.pi * (ts / 86400.0 - 0.25 - 0.1))  # warmest in the afternoon
    thrown = _fading(np.abs(np.diff(load, prepend=load[0])), 0.75)
    columns = []
    for sensor in SENSORS.values():
        own = sensor.base + rng.normal(0, sensor.spread)
        drawn = own + sensor.per_load * load + sensor.per_wear * wear**sensor.shape * load**2.5 + sensor.surge * thrown
        settled = _lagged(drawn + sensor.daily * day, sensor.lag)
        shown = settled + rng.normal(0, sensor.noise, len(ts))
        shown = np.where(rng.random(len(ts)) < fleet.absurd, sensor.high * rng.uniform(2, 10, len(ts)), shown)
        columns.append(np.where(_gone(rng, len(ts), fleet), np.nan, shown))
    return np.stack(columns, axis=1)


def _fading(struck: Array, remains: float) -> Array:
    """What is left of each stroke when a share `remains` of it is still there a reading later."""
    left = struck.copy()
    for i in range(1, len(struck)):
        left[i] += remains * left[i - 1]
    return left


def _lagged(drawn: Array, lag: float) -> Array:
    """First-order lag: `y[t] = lag * y[t-1] + (1 - lag) * drawn[t]`, begun at rest."""
    settled = drawn.copy()
    for i in range(1, len(drawn)):
        settled[i] = lag * settled[i - 1] + (1 - lag) * drawn[i]
    return settled


def _gone(rng: np.random.Generator, length: int, fleet: Fleet) -> NDArray[np.bool_]:
    """Where a sensor shows nothing: single losses, and silences of 6 to 24 readings."""
    gone = rng.random(length) < fleet.lost
    for begin in np.flatnonzero(rng.random(length) < fleet.silent):
        gone[begin : begin + int(rng.integers(6, 25))] = True
    return gone


def _cut(life: Life, rng: np.random.Generator) -> Life:
    """`life` as a record that ends after 35 to 95 percent of it, the failure unseen."""
    end = int(len(life) * rng.uniform(0.35, 0.95))
    left = len(life) - end
    return Life(life.machine, life.ts[:end], life.load[:end], life.values[:end], life.wear[:end], False, left)
