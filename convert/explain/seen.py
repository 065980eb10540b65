"""What the model saw before one of its predictions: a history taken through the device's own runtime."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from device.backends.base import Backend
from device.prediction import Prediction
from device.runtime import Runtime
from edge.bundle import Bundle
from edge.errors import DataError, ProjectError
from edge.manifest import Manifest
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Record, find
from edge.registry import suggest
from edge.talk import note
from edge.times import NoTime, moments

LEAST = 2
"""Readings below which there is no stretch of time to speak of."""


@dataclass(frozen=True)
class Seen:
    """The last N readings up to one prediction of a machine.

    `rows` [N, W] are what the step took (x, then what comes with it), `ts` [N] their times in seconds, `predicted` [N]
    the device's predictions at them, `warm` whether the last one counts. `earlier` [M, W] are the readings before
    them, which made the state that the first of them met. `number` counts the last reading among all `of` of this
    machine.
    """

    machine: str
    ts: list[float]
    rows: NDArray[np.float32]
    predicted: list[float]
    warm: bool
    earlier: NDArray[np.float32]
    number: int
    of: int


def records_of(manifest: Manifest, history: Sequence[str], reader: str | None, machine: str | None) -> list[Record]:
    """The readings of one machine in files or globs; `machine` may be left out where they hold one.

    Raises ProjectError where there are several, or none of that name.
    """
    chosen = READERS[reader or manifest.project.data.reader]()
    found = assemble(chosen, find(history, "HISTORY"), Plan.of(manifest.project), labelled=False)
    for line in found.notes:
        note(f"note: {line}")
    known = list(found.machines)
    if machine is None and len(known) == 1:
        machine = known[0]
    if machine is None:
        raise ProjectError(f"these files hold {len(known)} machines; choose one with --machine ({_some(known)})")
    if machine not in known:
        akin = [name for name in known if machine in name]
        hint = f"; did you mean `{akin[0]}`? known: {_some(known)}" if akin else suggest(machine, known[:SHOWN])
        raise ProjectError(f"no machine `{machine}` in these files{hint}")
    return found.machines[machine]


SHOWN = 12
"""Names of machines in a message, at most."""


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def look(
    bundle: Bundle, backend: Backend, records: Sequence[Record], at: str | None, output: str, readings: int
) -> Seen:
    """What the model had seen when it predicted `output` at the reading `at` (see `place`), the last `readings` of it.

    Readings are cleaned, held and refused as the device does it, and a machine starts anew behind a failure and a gap
    at which it forgets. Raises DataError where fewer than LEAST readings lead there.
    """
    runtime = Runtime(bundle, cast(Backend, _Recorder(backend)))
    steps: list[_Step] = []
    refused = ""
    for record in records:
        answer = runtime.feed(record.machine, record.ts, record.values)
        if isinstance(answer, Prediction):
            rows = runtime.machines[record.machine].state.rows
            steps.append(_Step(record.ts, answer.outputs[output], answer.warm, rows, len(rows)))
        else:
            refused = refused or f"; the first refused one: {record.source}, line {record.line}: {answer.line}"
        if record.failed:
            runtime.reset(record.machine)
    if not steps:
        raise DataError(f"no reading of machine `{records[0].machine}` could be predicted{refused}")
    number = place(at, [step.ts for step in steps], bundle.manifest)
    last = steps[number - 1]
    if last.count < LEAST:
        raise DataError(
            f"reading {number} of machine `{records[0].machine}` is the first one its model saw, and nothing led to "
            "it; choose a later one with --at"
        )
    taken = min(readings, last.count)
    path = steps[number - taken : number]
    rows = np.array(last.rows[: last.count], np.float32)
    ts, predicted = [step.ts for step in path], [step.predicted for step in path]
    earlier = last.count - taken
    return Seen(records[0].machine, ts, rows[earlier:], predicted, last.warm, rows[:earlier], number, len(steps))


def primed(backend: Backend, rows: NDArray[np.float32]) -> list[Tensor]:
    """The state behind readings [M, W], which may be none."""
    state = backend.new_state()
    for row in rows:
        backend.step(array("f", row), state)
    shapes = [row.shape for row in backend.bundle.manifest.states]
    return [torch.tensor(list(t)).reshape(s) for t, s in zip(backend.dump_state(state), shapes, strict=True)]


def place(at: str | None, ts: Sequence[float], manifest: Manifest) -> int:
    """Which reading, counted from 1, `at` names among the readings at `ts`.

    A whole number up to their count is such a number, and a negative one counts from the last, which is -1; all else is
    a time as the histories write it, and the last reading not after it is meant. None is the last. Raises ProjectError.
    """
    if at is None:
        return len(ts)
    if at.removeprefix("-").isdecimal() and 1 <= abs(int(at)) <= len(ts):
        return int(at) if int(at) > 0 else len(ts) + 1 + int(at)
    try:
        moment = moments(manifest.project.data)(at, None)
    except NoTime as error:
        raise ProjectError(f"--at {error}; or give the number of a reading, 1 … {len(ts)}, -1 is the last") from None
    number = sum(one <= moment for one in ts)
    if number == 0:
        if at.removeprefix("-").isdecimal():
            raise ProjectError(
                f"--at {at} is no reading of this machine, which has {len(ts)}, and as a time before the first reading"
            )
        raise ProjectError(f"--at {at} is before the first reading of this machine; it has {len(ts)}, 1 is the first")
    return number


@dataclass(frozen=True)
class _Step:
    ts: float
    predicted: float
    warm: bool
    rows: list[array[float]]
    count: int


@dataclass
class _Kept:
    inner: Any
    rows: list[array[float]]


class _Recorder:
    """Keeps every reading that a backend took beside the state it went into; all of a backend that a runtime asks for
    while it is fed.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    def new_state(self) -> _Kept:
        return _Kept(self.inner.new_state(), [])

    def step(self, reading: array[float], state: _Kept) -> array[float] | None:
        y = self.inner.step(reading, state.inner)
        if y is not None:
            state.rows.append(reading[:])
        return y
