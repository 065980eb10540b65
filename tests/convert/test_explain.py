"""What `edge explain` says of a model whose every attribution is known."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge.bundle import Bundle
from edge.manifest import Healthy
from tests.support import leaky
from tests.support.pumps import edge
from train.data.simulate import SENSORS, Fleet, Life, simulate


class Asked:
    """`edge explain` on a bundle, in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        self.bundle = leaky.pack(folder / "leaky.edge").path
        self.x = leaky.history()
        self.history = leaky.write(folder / "history.csv", {"pump-7": self.x})

    def status(self, *options: object) -> int:
        return edge(self.monkeypatch, "explain", self.bundle, self.history, *options)

    def json(self, *options: object) -> dict[str, Any]:
        assert self.status("--json", *options) == 0
        found: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return found

    def refused(self, status: int, *options: object) -> str:
        assert self.status(*options) == status
        return self.capsys.readouterr().err


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(tmp_path, monkeypatch, capsys)


def healthy(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a healthy machine shows at the loads of `x`."""
    rows = {row.values[2]: row.values for row in leaky.HEALTHY}
    return np.array([rows[load] for load in x[:, 2]])


def test_every_reading_of_every_sensor_gets_exactly_its_part(asked: Asked) -> None:
    found = asked.json()
    want = leaky.moved(asked.x, healthy(asked.x))
    got = np.stack([found["contributions"][name] for name in ("vibration", "temperature")], axis=1)
    np.testing.assert_allclose(got, want[:, :2], atol=1e-4)
    totals = {s["name"]: s["contribution"] for s in found["sensors"]}
    assert totals == pytest.approx({"vibration": want[:, 0].sum(), "temperature": want[:, 1].sum()}, abs=1e-4)


def test_the_table_adds_up_to_the_difference(asked: Asked) -> None:
    found = asked.json()
    parts = [s["contribution"] for s in found["sensors"]]
    assert sum(parts) + found["unexplained"] == pytest.approx(found["prediction"] - found["baseline"], abs=1e-4)
    assert abs(found["unexplained"]) < 1e-3
    assert [abs(p) for p in parts] == sorted((abs(p) for p in parts), reverse=True)


def test_a_condition_is_no_fault_and_healthy_is_what_is_healthy_at_it(asked: Asked) -> None:
    found = asked.json()
    assert found["held"] == ["load"] and "load" not in {s["name"] for s in found["sensors"]}
    np.testing.assert_allclose(found["healthy_values"]["vibration"], healthy(asked.x)[:, 0])


def test_the_prediction_is_the_devices(asked: Asked) -> None:
    found = asked.json("--at", 5)
    assert edge(asked.monkeypatch, "score", asked.bundle, asked.history, "--json") == 0
    scored = [json.loads(line)["rul"] for line in asked.capsys.readouterr().out.splitlines()]
    assert found["predicted"] == scored[:5] and found["prediction"] == scored[4]


def test_a_fault_of_one_sensor_is_found_in_it_and_in_its_stretch(asked: Asked) -> None:
    x = healthy(asked.x)
    x[8:11, 1] += 30.0
    leaky.write(asked.history, {"pump-7": x})
    found = asked.json()
    assert found["sensors"][0]["name"] == "temperature" and found["sensors"][0]["share"] == pytest.approx(1.0)
    assert (found["stretch"]["first"], found["stretch"]["last"]) == (10, 11)  # of 0.5, 0.25, 0.125 the first two do
    assert (found["stretch"]["begin"], found["stretch"]["end"]) == ("1009", "1010")


@pytest.mark.parametrize(("bent", "by"), [("vibration", 6.0), ("temperature", 25.0)])
def test_a_simulated_machine_with_one_bad_sensor_is_explained_by_it(asked: Asked, bent: str, by: float) -> None:
    young = [shown(life)[: len(life) // 2] for life in simulate(Fleet(machines=8, seed=3, censored=0))]
    seen = np.concatenate(young)
    loads = np.unique(seen[:, 2])
    rows = [Healthy(tuple(np.nanmean(seen[seen[:, 2] == load], axis=0).tolist())) for load in loads]
    leaky.pack(asked.bundle, healthy=rows)
    life = shown(simulate(Fleet(machines=1, seed=3, censored=0, first=900))[0])[:40]
    life[32:38, leaky.CHANNELS.index(bent)] += by
    leaky.write(asked.history, {"pump-7": life})
    found = asked.json()
    assert found["sensors"][0]["name"] == bent and found["sensors"][0]["share"] > 0.6
    assert 33 <= found["stretch"]["first"] <= 38 <= found["stretch"]["last"]


def shown(life: Life) -> NDArray[np.float64]:
    """What the two sensors of the bundle and the load show [T, 3]."""
    places = [list(SENSORS).index(name) for name in ("vibration_rms", "bearing_temp")]
    return np.column_stack([life.values[:, places], life.load])


@pytest.mark.parametrize(
    ("at", "reading"), [("5", 5), ("-1", 12), ("-12", 1), ("1004", 5), ("1004.5", 5), ("99999", 12)]
)
def test_a_reading_is_named_by_its_number_or_by_a_time(asked: Asked, at: str, reading: int) -> None:
    if reading == 1:
        assert "the first one its model saw" in asked.refused(3, "--at", at)
    else:
        assert asked.json("--at", at)["reading"] == reading


def test_a_time_before_the_first_reading_or_none_at_all_is_refused(asked: Asked) -> None:
    assert "before the first reading" in asked.refused(2, "--at", "999")
    assert "no time" in asked.refused(2, "--at", "noon")
    assert "13 is no reading of this machine" in asked.refused(2, "--at", "13")


def test_one_machine_is_chosen_by_name(asked: Asked) -> None:
    leaky.write(asked.history, {"pump-7": asked.x, "pump-8": leaky.history(seed=1)})
    assert asked.json("--machine", "pump-8")["machine"] == "pump-8"
    assert "pump-7, pump-8" in asked.refused(2)
    assert "did you mean `pump-7`?" in asked.refused(2, "--machine", "7")
    assert "did you mean `pump-8`?" in asked.refused(2, "--machine", "pamp-8")


def test_an_unknown_output_says_what_is_known(asked: Asked) -> None:
    assert "unknown output `rull`; did you mean `rul`?" in asked.refused(2, "--output", "rull")


def test_a_history_of_one_reading_is_too_short(asked: Asked) -> None:
    leaky.write(asked.history, {"pump-7": asked.x[:1]})
    assert "nothing led to it" in asked.refused(3)


def test_behind_a_failure_and_a_gap_the_machine_starts_anew(asked: Asked) -> None:
    leaky.write(asked.history, {"pump-7": asked.x}, failed={"pump-7": 3})
    found = asked.json()
    assert (found["reading"], len(found["times"]), found["before"]) == (12, 8, 0)
    text = asked.history.read_text().splitlines()
    late = [line.replace(f",{1000 + t},", f",{1500 + t},") if t >= 9 else line for t, line in enumerate(text[1:])]
    asked.history.write_text("\n".join([text[0], *late]))
    assert len(asked.json()["times"]) == 3


def test_what_came_before_counts_as_one(asked: Asked) -> None:
    found, whole = asked.json("--readings", 3), asked.json()
    want = leaky.moved(asked.x, healthy(asked.x))
    np.testing.assert_allclose(found["contributions"]["vibration"], want[-3:, 0], atol=1e-4)
    assert found["before"] == 9 and found["earlier"] == pytest.approx(want[:-3].sum(), abs=1e-4)
    assert (whole["before"], whole["earlier"]) == (0, 0.0)
    assert [found[key] for key in ("prediction", "baseline")] == [whole[key] for key in ("prediction", "baseline")]
    assert asked.status("--readings", 3) == 0
    assert "the 9 readings before" in asked.capsys.readouterr().out


def test_a_bounded_memory_is_taken_apart_whole(asked: Asked) -> None:
    leaky.pack(asked.bundle, memory=4)
    assert len(asked.json()["times"]) == 4


def test_a_prediction_that_is_cut_off_says_so(asked: Asked) -> None:
    leaky.pack(asked.bundle, leaky.graph(bottom=99.9))
    notes = " ".join(asked.json()["notes"])
    assert "sits where it is cut off" in notes and "nothing to explain" in notes
    leaky.pack(asked.bundle, leaky.graph(bottom=97.0))
    found = asked.json()
    assert "sits where it is cut off" in " ".join(found["notes"])
    assert abs(found["unexplained"]) <= 0.01 * abs(found["prediction"] - found["baseline"])


def test_a_healthy_machine_needs_no_explanation(asked: Asked) -> None:
    leaky.write(asked.history, {"pump-7": healthy(asked.x)})
    found = asked.json()
    assert "nothing to explain" in " ".join(found["notes"]) and all(s["share"] == 0 for s in found["sensors"])
    assert asked.status() == 0


def test_a_prediction_before_the_machine_is_warm_says_so(asked: Asked) -> None:
    assert "does not count yet" in " ".join(asked.json("--at", 2)["notes"])


def test_a_bundle_that_knows_nothing_of_health_is_explained_against_the_mean(asked: Asked) -> None:
    leaky.pack(asked.bundle, healthy=())
    found = asked.json()
    assert "training mean" in " ".join(found["notes"]) and set(found["healthy_values"]["vibration"]) == {3.0}


def test_a_model_that_takes_a_mean_for_a_fault_is_found_out(asked: Asked) -> None:
    said = "raise the alarm of this model themselves"
    assert said not in " ".join(asked.json()["notes"])
    leaky.pack(asked.bundle, alarm={"raise_below": 99.5})
    assert said in " ".join(asked.json()["notes"])


def test_attention_is_shown_where_the_model_has_some(asked: Asked) -> None:
    (weights,) = asked.json()["attention"]["attention"]
    assert len(weights) == leaky.KEPT and sum(weights) == pytest.approx(1.0)
    assert asked.status() == 0
    last = len(asked.x)
    told = re.search(r"attention: (\d+)% of the weight is on readings (\d+) to (\d+)", asked.capsys.readouterr().out)
    assert told is not None
    share, begin, end = (int(group) for group in told.groups())
    of = weights[begin - 1 - last :][: end - begin + 1]
    assert last - leaky.KEPT < begin <= end <= last and 80 <= share == round(100 * sum(of))


def test_a_reading_far_outside_all_others_is_explained_too(asked: Asked) -> None:
    leaky.pack(asked.bundle, leaky.graph(bottom=-1e30))
    asked.x[-1, 1] = 1e12
    leaky.write(asked.folder / "history.csv", {"pump-7": asked.x})
    found = asked.json()
    assert found["prediction"] < -1e11 and found["sensors"][0]["name"] == "temperature"


def test_a_bundle_without_a_float_onnx_file_says_what_to_do(asked: Asked) -> None:
    leaky.pack(asked.bundle, recipe="dynamic-int8")
    assert "holds no onnx/float32" in asked.refused(3)


def test_an_operator_nobody_can_differentiate_is_named_with_its_node(asked: Asked) -> None:
    leaky.pack(asked.bundle, leaky.graph(strange=True))
    said = asked.refused(3)
    assert "node `last` (NonZero)" in said and "Softmax" in said


def test_a_bundle_whose_healthy_machine_has_other_channels_does_not_open(asked: Asked) -> None:
    leaky.pack(asked.bundle, healthy=(Healthy((1.0, 2.0)),))
    assert "shows 2 channels" in asked.refused(3)


def test_what_is_healthy_does_not_rename_a_model(tmp_path: Path) -> None:
    models = {
        Bundle.open(leaky.pack(tmp_path / "x.edge", healthy=rows).path).manifest.model for rows in ((), leaky.HEALTHY)
    }
    assert len(models) == 1


def test_table_and_picture_name_the_sensors(asked: Asked) -> None:
    picture = asked.folder / "why.png"
    assert asked.status("-o", picture) == 0
    told = asked.capsys.readouterr()
    assert f"drawn into {picture}" in told.err
    assert all(word in told.out for word in ("vibration", "temperature", "moved it by [h]", "load: a condition"))
    assert Image.open(io.BytesIO(picture.read_bytes())).size[0] == 1760
