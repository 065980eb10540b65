"""Microseconds a step: every file of a bundle in every installed backend, interleaved, so that noise hits all alike."""

from __future__ import annotations

import platform
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

from device.backends.base import Backend, State
from device.choose import DEFAULT_RECIPE, runnable
from device.footprint import measure
from edge.bundle import Bundle
from edge.errors import MissingExtra
from edge.manifest import Row

BLOCK = 100
"""Steps of one file in a row before it is the next one's turn."""

WORTH = 0.9
"""A less accurate file must take at most this share of the accurate one's time to be worth deploying."""


@dataclass(frozen=True)
class Measured:
    """One file in one backend. Times of one step in microseconds; `ratio` is the median over the fastest float32's.

    `metric` and `change` are the certificate's: the task's error, and how much worse it is than the trained model's.
    """

    executable: str
    backend: str
    engine: str
    recipe: str
    steps: int
    p10_us: float
    median_us: float
    p90_us: float
    p99_us: float
    max_us: float
    ratio: float | None
    metric: float | None
    change: float | None
    bytes: int
    resident_mb: float | None
    load_ms: float


@dataclass(frozen=True)
class Report:
    """What `edge profile` says; `machine` describes where it was measured."""

    machine: dict[str, str]
    metric: str
    unit: str
    rows: tuple[Measured, ...]
    advice: str


def profile(bundle: Bundle, steps: int, advance: Callable[[int, str], None] = lambda n, remark: None) -> Report:
    """Measure at least `steps` steps of each file. The state is fed back; the inputs are the golden stream's.

    `advance` hears of each block and each footprint, `rounds(bundle, steps)` in all. Raises MissingExtra where no
    backend is installed.
    """
    pairs = list(runnable(bundle))
    if not pairs:
        raise MissingExtra(
            f"no installed backend runs `{bundle.path}`; pip install 'edgestep[litert]' or 'edgestep[onnx]'"
        )
    engines = [kind(bundle, executable) for kind, executable in pairs]
    inputs = _inputs(bundle)
    times = _interleaved([(engine, inputs) for engine in engines], -(-steps // BLOCK), advance)
    medians = [_percentile(spent, 50) for spent in times]
    floats = [m for m, engine in zip(medians, engines, strict=True) if engine.executable.recipe == DEFAULT_RECIPE]
    measured = []
    for engine, spent, median in zip(engines, times, medians, strict=True):
        row = certified(bundle, engine.executable.key)
        footprint = measure(bundle.path, engine.name, engine.executable.recipe)
        measured.append(
            Measured(
                executable=engine.executable.key,
                backend=engine.name,
                engine=engine.available() or engine.name,
                recipe=engine.executable.recipe,
                steps=len(spent),
                p10_us=_percentile(spent, 10),
                median_us=median,
                p90_us=_percentile(spent, 90),
                p99_us=_percentile(spent, 99),
                max_us=_percentile(spent, 100),
                ratio=round(median / min(floats), 3) if floats else None,
                metric=row.metric if row else None,
                change=row.change if row else None,
                bytes=len(bundle.model(engine.executable)),
                resident_mb=footprint.resident_mb,
                load_ms=footprint.load_ms,
            )
        )
        advance(1, engine.executable.key)
    certificate = bundle.manifest.certificate
    period = bundle.manifest.project.timing.period_s
    unit = certificate.metric_unit
    said = advice(measured, certificate.metric, unit, period)
    return Report(describe_machine(), certificate.metric, unit, tuple(measured), said)


@dataclass(frozen=True)
class Lap:
    """The median step of one file in one backend, in microseconds."""

    executable: str
    backend: str
    median_us: float


def race(
    bundles: Sequence[Bundle], steps: int, advance: Callable[[int, str], None] = lambda n, remark: None
) -> list[list[Lap]]:
    """Every file of all `bundles` in every installed backend, in turns, for at least `steps` steps each; the laps of
    each bundle. They need not have been written. `advance` hears of each of ceil(steps / BLOCK) rounds.
    """
    runners = [
        (kind(bundle, executable), i) for i, bundle in enumerate(bundles) for kind, executable in runnable(bundle)
    ]
    inputs = [_inputs(bundle) for bundle in bundles]
    times = _interleaved([(engine, inputs[i]) for engine, i in runners], -(-steps // BLOCK), advance)
    laps: list[list[Lap]] = [[] for _ in bundles]
    for (engine, i), spent in zip(runners, times, strict=True):
        laps[i].append(Lap(engine.executable.key, engine.name, _percentile(spent, 50)))
    return laps


def rounds(bundle: Bundle, steps: int) -> int:
    """How often `profile` calls `advance`."""
    return len(list(runnable(bundle))) + -(-steps // BLOCK)


def certified(bundle: Bundle, key: str) -> Row | None:
    """The certificate's row of one executable."""
    return next((r for r in bundle.manifest.certificate.rows if f"{r.target}/{r.recipe}" == key), None)


def advice(measured: Sequence[Measured], metric: str, unit: str, period_s: float) -> str:
    """Which file to deploy here, and why: the fastest float32, unless a smaller file is clearly faster."""
    best = min(measured, key=lambda m: m.median_us)
    floats = [m for m in measured if m.recipe == DEFAULT_RECIPE]
    if not floats:
        return f"Deploy {_how(best)}: the bundle holds no float32 file that runs here."
    exact = min(floats, key=lambda m: m.median_us)
    share = f"{exact.median_us:.3g} µs of every {period_s:g} s reading"
    others = [m for m in measured if m.recipe != DEFAULT_RECIPE]
    if not others:
        return f"Deploy {_how(exact)}: the fastest that runs here, {share}."
    rival = min(others, key=lambda m: m.median_us)
    times = rival.median_us / exact.median_us
    size = f"its file is {100 * rival.bytes / exact.bytes:.0f} % of the size"
    cost = _cost(rival, metric, unit)
    if times <= WORTH:
        return f"Deploy {_how(rival)}: {1 / times:.2g} times as fast as float32 here, {cost}; {size}."
    speed = f"{times:.2f} times the time" if times > 1 else "hardly faster"
    return f"Deploy {_how(exact)}: {share}; {rival.recipe} is no gain here ({speed}, {cost}), though {size}."


def describe_machine() -> dict[str, str]:
    """Processor, architecture, system and Python, so that figures can be compared."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _inputs(bundle: Bundle) -> list[array[float]]:
    longest = max(bundle.manifest.golden, key=lambda stream: stream.steps)
    return bundle.readings(longest)


def _interleaved(
    runners: Sequence[tuple[Backend, list[array[float]]]], blocks: int, advance: Callable[[int, str], None]
) -> list[list[int]]:
    """Nanoseconds of each step of each engine, on inputs of its own."""
    states: list[State] = [engine.new_state() for engine, _ in runners]
    times: list[list[int]] = [[] for _ in runners]
    for block in range(-1, blocks):  # the first is for warming up and is thrown away
        for (engine, inputs), state, spent in zip(runners, states, times, strict=True):
            step, at = engine.step, block * BLOCK
            for i in range(BLOCK):
                reading = inputs[(at + i) % len(inputs)]
                before = perf_counter_ns()
                step(reading, state)
                spent.append(perf_counter_ns() - before)
            if block < 0:
                spent.clear()
        if block >= 0:
            advance(1, "")
    return times


def _percentile(nanoseconds: list[int], percent: int) -> float:
    ordered = sorted(nanoseconds)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] / 1000, 2)


def _how(one: Measured) -> str:
    return f"--backend {one.backend} --recipe {one.recipe}"


def _cost(one: Measured, metric: str, unit: str) -> str:
    if one.change is None:
        return "accuracy not recorded"
    return " ".join(part for part in (f"{one.change:+.3g}", unit, metric) if part)


def _processor() -> str:
    board = Path("/proc/device-tree/model")  # a Raspberry Pi says here what it is
    if board.is_file():
        return board.read_text(encoding="utf-8", errors="replace").rstrip("\0")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name"))
    return next(names, platform.processor() or "unknown")
