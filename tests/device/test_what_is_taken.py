"""What a step that takes time and masks is given, reading by reading: as histories have it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace

import pytest

from device.backends.base import Backend, State
from device.prediction import Prediction, Reason, Rejected
from device.runtime import Runtime
from edge.bundle import Bundle

NAN = math.nan
UNANSWERED = 13.0
"""What a backend of these tests has no finite answer to."""


class Told(Backend):
    """Writes down what it is given; a machine's state is how often it stepped."""

    name = "told"
    target = "none"
    heard: list[list[float]]

    @classmethod
    def available(cls) -> str | None:
        return "told 1"

    def new_state(self) -> State:
        return [0.0]

    def step(self, reading: array[float], state: State) -> array[float] | None:
        self.heard.append(reading.tolist())
        if reading[0] == UNANSWERED:
            return None
        state[0] += 1.0
        return array("f", [1.0])

    def look(self, reading: array[float], state: State) -> list[array[float]] | None:
        return []

    def dump_state(self, state: State) -> list[array[float]]:
        sizes = [row.size for row in self.bundle.manifest.states]
        return [array("f", [state[0]] * size) for size in sizes]

    def load_state(self, tensors: Sequence[Sequence[float]]) -> State:
        return [tensors[0][0]]


def served(bundle: Bundle, *takes: str) -> tuple[Runtime, list[list[float]]]:
    """A runtime whose step takes this, and all that its backend is given, rows of [x, dt, mask]."""
    manifest = replace(bundle.manifest, takes=takes)
    members = {file.path: bundle.read(file.path) for file in manifest.files}
    backend = Told(Bundle(bundle.path, manifest, members), manifest.executables[0])
    backend.heard = []
    return Runtime(backend.bundle, backend), backend.heard


def test_time_runs_from_the_last_reading_that_was_taken(bundle: Bundle) -> None:
    runtime, heard = served(bundle, "dt", "mask")
    assert isinstance(runtime.feed("a", 100.0, [1.0, 2.0, 3.0]), Prediction)
    assert isinstance(runtime.feed("a", 103.5, [2.0, NAN, 3.0]), Prediction)
    for ts, values, why in (
        (103.5, [9.0, 9.0, 9.0], Reason.DUPLICATE),
        (104.0, [NAN, 999.0, NAN], Reason.NO_VALUE),
        (105.0, [UNANSWERED, 2.0, 3.0], Reason.NOT_FINITE),
    ):
        refused = runtime.feed("a", ts, values)
        assert isinstance(refused, Rejected) and refused.reason == why
    assert isinstance(runtime.feed("a", 106.0, [NAN, 5.0, 3.0]), Prediction)
    assert heard == [
        [1.0, 2.0, 3.0, 0.0, 1.0, 1.0, 1.0],
        [2.0, 2.0, 3.0, 3.5, 1.0, 0.0, 1.0],
        [UNANSWERED, 2.0, 3.0, 1.5, 1.0, 1.0, 1.0],
        [2.0, 5.0, 3.0, 2.5, 0.0, 1.0, 1.0],
    ]


def test_no_time_has_passed_behind_a_repair_or_a_gap_that_resets(bundle: Bundle) -> None:
    runtime, heard = served(bundle, "dt", "mask")
    fill = [channel.fill for channel in bundle.manifest.channels]
    for ts in (100.0, 102.0):
        runtime.feed("a", ts, [1.0, 2.0, 3.0])
    runtime.reset("a")
    runtime.feed("a", 105.0, [1.0, NAN, 3.0])
    runtime.feed("a", 106.0, [1.0, 2.0, 3.0])
    runtime.feed("a", 500.0, [NAN, 2.0, 3.0])
    runtime.feed("a", 501.0, [1.0, 2.0, 3.0])
    assert [row[3] for row in heard] == [0.0, 2.0, 0.0, 1.0, 0.0, 1.0]
    assert heard[2][:3] == pytest.approx([1.0, fill[1], 3.0]) and heard[2][4:] == [1.0, 0.0, 1.0]
    assert heard[4][:3] == pytest.approx([fill[0], 2.0, 3.0]) and heard[4][4:] == [0.0, 1.0, 1.0]


def test_time_goes_on_behind_a_restart(bundle: Bundle) -> None:
    before, _ = served(bundle, "dt")
    before.feed("a", 100.0, [1.0, 2.0, 3.0])
    after, heard = served(bundle, "dt")
    after.restore("a", before.snapshot("a"))
    after.feed("a", 104.25, [1.0, NAN, 3.0])
    assert heard == [[1.0, 2.0, 3.0, 4.25]]


@pytest.mark.parametrize("takes", [(), ("dt",), ("mask",), ("dt", "mask")])
def test_a_step_is_given_what_it_takes_and_no_more(bundle: Bundle, takes: tuple[str, ...]) -> None:
    runtime, heard = served(bundle, *takes)
    runtime.feed("a", 100.0, [1.0, 2.0, NAN])
    more = {"dt": [0.0], "mask": [1.0, 1.0, 0.0]}
    assert heard[0][3:] == [value for name in takes for value in more[name]]
    assert len(heard[0]) == sum(runtime.backend.bundle.manifest.reading.values())
