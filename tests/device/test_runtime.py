"""The runtime is a pure function of the readings: states apart, gaps, holes, warm-up, alarms, snapshots."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise
from pathlib import Path

import pytest

from device.choose import open_backend
from device.payload import encode
from device.prediction import Prediction, Reason, Rejected
from device.runtime import Runtime
from edge.bundle import Bundle
from edge.errors import DataError
from tests.support.bundles import Workshop
from tests.support.tiny import CHANNELS, PROJECT, readings


def runtime(bundle: Bundle, backend: str = "litert") -> Runtime:
    return Runtime(bundle, open_backend(bundle, backend))


def feed(served: Runtime, machine: str, steps: int, seed: int = 3, start: int = 0) -> list[Prediction]:
    out = []
    for i, row in enumerate(readings(start + steps, seed)[start:].tolist(), start=start):
        answer = served.feed(machine, 100.0 + i, row)
        assert isinstance(answer, Prediction), answer
        out.append(answer)
    return out


def rejected(answer: Prediction | Rejected) -> Reason:
    assert isinstance(answer, Rejected)
    assert "\n" not in answer.line
    return answer.reason


def test_the_same_readings_give_the_same_bytes(bundle: Bundle) -> None:
    one, two = feed(runtime(bundle), "a", 30), feed(runtime(bundle), "a", 30)
    assert [encode(p) for p in one] == [encode(p) for p in two]


def test_a_prediction_has_exactly_the_documented_keys(bundle: Bundle) -> None:
    first, second = feed(runtime(bundle), "a", 2)
    assert list(first.table()) == ["ts", "machine", "seq", "rul", "alarm", "warm", "gap_s", "model"]
    assert (first.seq, first.gap_s, second.seq, second.gap_s) == (1, None, 2, 1.0)
    assert first.model == bundle.manifest.model
    assert first.outputs["rul"] == float(f"{first.outputs['rul']:.7g}")


def test_machines_do_not_influence_each_other(bundle: Bundle) -> None:
    alone = feed(runtime(bundle), "a", 20)
    served = runtime(bundle)
    mixed = []
    for i in range(20):
        mixed += feed(served, "a", 1, start=i)
        feed(served, "b", 1, seed=9, start=i)
    assert mixed == alone


def test_a_reading_that_is_not_newer_is_rejected_and_touches_nothing(bundle: Bundle) -> None:
    served = runtime(bundle)
    feed(served, "a", 5)
    before = served.snapshot("a")
    assert rejected(served.feed("a", 104.0, [1.0, 1.0, 1.0])) == Reason.DUPLICATE
    assert rejected(served.feed("a", 50.0, [1.0, 1.0, 1.0])) == Reason.LATE
    assert rejected(served.feed("a", 200.0, [math.nan] * 3)) == Reason.NO_VALUE
    assert rejected(served.feed("a", 200.0, [999.0, -999.0, math.inf])) == Reason.NO_VALUE
    assert served.snapshot("a") == before
    assert feed(served, "a", 1, start=5)[0].seq == 6


def test_a_machine_whose_first_reading_is_rejected_is_not_remembered(bundle: Bundle) -> None:
    served = runtime(bundle)
    served.feed("a", 1.0, [math.nan] * 3)
    assert not served.machines


def test_missing_and_implausible_values_are_held_and_counted(bundle: Bundle) -> None:
    holes, plain = runtime(bundle), runtime(bundle)
    assert holes.feed("a", 1.0, [5.0, 50.0, 2.0]) == plain.feed("a", 1.0, [5.0, 50.0, 2.0])
    assert holes.feed("a", 2.0, [math.nan, 51.0, 2.5]) == plain.feed("a", 2.0, [5.0, 51.0, 2.5])
    assert holes.feed("a", 3.0, [6.0, 1e9, 2.5]) == plain.feed("a", 3.0, [6.0, 51.0, 2.5])
    assert (holes.values_held, plain.values_held) == (2, 0)


def test_a_channel_never_seen_is_held_at_its_fill(bundle: Bundle) -> None:
    fill = bundle.manifest.channels[0].fill
    assert runtime(bundle).feed("a", 1.0, [math.nan, 1.0, 1.0]) == runtime(bundle).feed("a", 1.0, [fill, 1.0, 1.0])


def test_values_given_are_not_changed(bundle: Bundle) -> None:
    values = array("f", [1.0, math.inf, 2.0])
    runtime(bundle).feed("a", 1.0, values)
    assert values == array("f", [1.0, math.inf, 2.0])


def test_outputs_are_warm_from_the_reading_the_project_names(bundle: Bundle) -> None:
    assert [p.warm for p in feed(runtime(bundle), "a", 5)] == [False, False, True, True, True]


def test_a_long_gap_starts_the_machine_anew_but_not_its_count(bundle: Bundle) -> None:
    served = runtime(bundle)
    feed(served, "a", 20)
    x = readings(3, 8).tolist()
    after = [served.feed("a", 1000.0 + i, row) for i, row in enumerate(x)]
    fresh = [runtime(bundle).feed("a", 0.0, x[0])]
    assert isinstance(after[0], Prediction) and isinstance(fresh[0], Prediction)
    assert after[0].outputs == fresh[0].outputs
    assert (after[0].seq, after[0].gap_s, after[0].warm) == (21, 881.0, False)


def test_a_rejected_reading_after_a_gap_resets_nothing(bundle: Bundle) -> None:
    served = runtime(bundle)
    feed(served, "a", 5)
    before = served.snapshot("a")
    served.feed("a", 1000.0, [math.nan] * 3)
    assert served.snapshot("a") == before


def test_a_gap_is_held_through_where_the_project_says_so(workshop: Workshop, tmp_path: Path) -> None:
    held = workshop.pack(tmp_path / "held.edge", timing={**PROJECT["timing"], "on_gap": "hold"})
    served = runtime(held)
    feed(served, "a", 5)
    later = served.feed("a", 1000.0, [1.0, 1.0, 1.0])
    assert isinstance(later, Prediction) and later.warm


def test_the_alarm_is_raised_after_holding_and_cleared_after_the_hysteresis(bundle: Bundle) -> None:
    alarms = [(p.outputs["rul"], p.alarm, p.warm) for p in feed(runtime(bundle), "a", 300)]
    assert {alarm for _, alarm, _ in alarms} == {True, False}
    for before, now in pairwise(alarms):
        if now[1] and not before[1]:
            assert before[0] < 55 and now[0] < 55
        if before[1] and not now[1]:
            assert before[0] > 60 and now[0] > 60
    assert not any(alarm for _, alarm, warm in alarms if not warm)


def test_a_snapshot_resumes_byte_for_byte(bundle: Bundle) -> None:
    served = runtime(bundle)
    feed(served, "a", 17)
    saved = served.snapshot("a")
    whole = feed(served, "a", 20, start=17)
    resumed = runtime(bundle)
    resumed.restore("a", saved)
    assert feed(resumed, "a", 20, start=17) == whole
    assert rejected(resumed.feed("a", 100.0, [1.0, 1.0, 1.0])) == Reason.LATE


def test_a_snapshot_goes_on_in_another_backend(bundle: Bundle) -> None:
    served, other = runtime(bundle), runtime(bundle, "onnx")
    feed(served, "a", 17)
    other.restore("a", served.snapshot("a"))
    here, there = feed(served, "a", 20, start=17), feed(other, "a", 20, start=17)
    assert [p.seq for p in here] == [p.seq for p in there]
    assert all(abs(a.outputs["rul"] - b.outputs["rul"]) < 1e-2 for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_snapshot_is_refused(bundle: Bundle, damage: str) -> None:
    served = runtime(bundle)
    feed(served, "a", 3)
    saved = bytearray(served.snapshot("a"))
    if damage == "flip":
        saved[30] ^= 1
    with pytest.raises(DataError, match="damaged"):
        served.restore("a", {"cut": bytes(saved[:-5]), "flip": bytes(saved), "empty": b""}[damage])


def test_a_snapshot_of_another_model_is_refused(bundle: Bundle, workshop: Workshop, tmp_path: Path) -> None:
    other = runtime(workshop.pack(tmp_path / "other.edge", timing={"warm_up_readings": 7}))
    served = runtime(bundle)
    feed(served, "a", 3)
    with pytest.raises(DataError, match="not of"):
        other.restore("a", served.snapshot("a"))


def test_a_repaired_machine_starts_anew_without_losing_count(bundle: Bundle) -> None:
    served = runtime(bundle)
    feed(served, "a", 20)
    assert served.reset("a") and not served.reset("nobody")
    row = readings(1, 4)[0].tolist()
    fresh = runtime(bundle).feed("a", 0.0, row)
    served.restore("a", served.snapshot("a"))
    after = served.feed("a", 101.0, row)
    assert isinstance(after, Prediction) and isinstance(fresh, Prediction)
    assert after.outputs == fresh.outputs
    assert (after.seq, after.warm, after.gap_s) == (21, False, None)


def test_a_value_at_its_limit_is_taken_here_as_in_training(workshop: Workshop, tmp_path: Path) -> None:
    signals = {"vibration": {"max": 99.9}, "temperature": {}, "pressure": {}}
    served = runtime(workshop.pack(tmp_path / "limit.edge", signals=signals))
    feed(served, "a", 1)
    served.feed("a", 200.0, [99.9, 50.0, 2.0])
    assert served.values_held == 0
    assert served.machines["a"].held[0] == pytest.approx(99.9)


def test_the_channels_are_the_tiny_models() -> None:
    assert len(CHANNELS) == 3
