"""Claims about the anomaly task: who teaches, what a score means, and how it is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from edge.errors import DataError, ProjectError
from edge.spec import Project, parse_project
from train.build import build_task
from train.data.history import History
from train.data.split import Split, check_later, folds, split
from train.evaluate import judge
from train.fit import Fitted, fit
from train.infer import predict
from train.tasks.anomaly import Anomaly
from train.tasks.chart import Chart


def project(data: dict[str, Any] | None = None, train: dict[str, Any] | None = None, **options: Any) -> Project:
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x", "anomaly": "bad", **(data or {})},
            "signals": {"a": {}, "b": {}, "c": {}},
            "task": {"kind": "anomaly", "smooth_readings": 10, "false_alarms": 0.02, **options},
            "model": {"hidden": 6},
            "train": {"epochs": 10, "learning_rate": 0.02, **(train or {})},
        }
    )


def task(**options: Any) -> Anomaly:
    made = build_task(project(**options))
    assert isinstance(made, Anomaly)
    return made


def machine(name: str, seed: int, steps: int = 400, fault: tuple[int, int] | None = None) -> History:
    """A wave, its echo in noise, and noise; a fault moves the second signal by three of its deviations."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps) + rng.integers(100)
    wave = np.sin(t / 8)
    x = np.stack([wave, wave + rng.normal(size=steps) * 0.3, rng.normal(size=steps)], 1)
    marks = np.zeros(steps, np.bool_)
    if fault is not None:
        marks[slice(*fault)] = True
        x[marks, 1] += 3.0
    ts = 60.0 * np.arange(steps, dtype=np.float64)
    return History(name, 0, np.asarray(ts, np.float64), x.astype(np.float32), False, None, marks)


def fleet(count: int, seed: int = 0) -> list[History]:
    return [machine(f"m{seed}-{i}", 100 * seed + i) for i in range(count)]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """A small model of six healthy machines."""
    return fit(project(), fleet(6), fleet(3, 1), seed=0)


def test_a_score_of_one_is_what_the_stated_share_of_healthy_readings_exceeds(fitted: Fitted) -> None:
    found = judge(fitted.predictor.task, fleet(6, 2), lambda h: predict(fitted.predictor, h))
    assert found.figures["false"].value < 0.06
    assert np.isnan(found.figures["missed"].value) and found.headline.value < 0.2


def test_it_finds_a_fault_says_when_and_names_the_signal(fitted: Fitted) -> None:
    faulty = [machine(f"f{i}", 300 + i, fault=(200, 300)) for i in range(4)]
    found = judge(fitted.predictor.task, faulty, lambda h: predict(fitted.predictor, h))
    assert found.figures["missed"].value < 0.2 and found.figures["found"].value == 1.0
    assert found.figures["delay"].value <= 10 and found.figures["false"].value < 0.2
    scores = predict(fitted.predictor, faulty)[0][210:300, 1:].mean(0)
    assert scores.argmax() == 1
    assert fitted.predictor.task.outputs[2] == ("anomaly_b", "")


def test_the_level_travels(fitted: Fitted) -> None:
    assert fitted.predictor.project.alarm.raise_above == 1.0
    assert float(fitted.predictor.tail.limit) != 1.0  # type: ignore[arg-type]


def test_marked_readings_teach_nothing() -> None:
    wild = machine("w", 5, fault=(100, 200))
    wild.x[100:200] = 1e3
    tame = replace(wild, x=wild.x.copy())
    tame.x[100:200] = -5.0
    of = project(train={"epochs": 1})
    first, second = (fit(of, [*fleet(2), history], fleet(2, 1)).predictor.state_dict() for history in (wild, tame))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_healthy_stretches_are_cut_out_of_a_record() -> None:
    history = machine("w", 5, steps=100, fault=(40, 60))
    assert [(len(h), float(h.ts[0])) for h in task().taught([history])] == [(40, 0.0), (40, 3600.0)]
    with pytest.raises(DataError, match="two healthy readings in a row"):
        task().taught([replace(history, anomalous=np.ones(100, np.bool_))])


def test_readings_before_a_failure_are_suspect_where_the_project_says_so() -> None:
    failed = replace(machine("w", 5, steps=100), failed=True, left=0.0, anomalous=None)
    assert [len(h) for h in task(suspect_readings=30).taught([failed])] == [70]
    assert task(suspect_readings=30).truth(failed)[:, 0].tolist() == [0.0] * 70 + [10.0] * 30
    assert [len(h) for h in task().taught([failed])] == [100]


def test_without_marks_all_is_healthy_and_only_false_alarms_are_judged() -> None:
    of = build_task(parse_project(unmarked()))
    keys = [m.key for m in of.measures]
    assert keys == ["error", "false", "false_alarms"]
    history = replace(machine("w", 5), anomalous=None)
    truth = of.truth(history)
    assert truth is not None and not truth[:, 0].any()


def unmarked() -> dict[str, Any]:
    return {
        "project": {"name": "t"},
        "data": {"path": "x"},
        "signals": {"a": {}, "b": {}, "c": {}},
        "task": {"kind": "anomaly"},
    }


def test_missed_found_and_delay_are_counted_fault_by_fault() -> None:
    of = task()
    history = machine("w", 1, steps=100, fault=(20, 40))
    assert history.anomalous is not None
    history.anomalous[60:80] = True
    scores = np.zeros((100, 4), np.float32)
    scores[25:45, 0] = 2.0
    found = {k: f.value for k, f in judge(of, [history], lambda hs: [scores]).figures.items()}
    assert found["missed"] == 25 / 40 and found["false"] == 5 / 60
    assert found["found"] == 0.5 and found["delay"] == 5.0
    assert found["error"] == pytest.approx((25 / 40 + 5 / 60) / 2)


def test_an_alarm_that_outlasts_its_fault_is_no_false_alarm_but_its_readings_count() -> None:
    history = machine("w", 1, steps=100, fault=(20, 40))
    scores = np.zeros((100, 4), np.float32)
    scores[25:65, 0] = 2.0
    figures = judge(task(), [history], lambda hs: [scores]).figures
    assert figures["false_alarms"].value == 0.0 and figures["false"].value == 25 / 80
    scores[[80, 90], 0] = 2.0
    assert judge(task(), [history], lambda hs: [scores]).figures["false_alarms"].sums[0, 0] == 2.0
    assert any("outlasts" in note for note in task().notes)


def test_an_alarm_with_hold_is_judged_as_the_device_raises_it() -> None:
    held = build_task(parse_project({**unmarked(), "alarm": {"hold_readings": 3}}))
    scores = np.zeros((50, 4), np.float32)
    scores[[5, 6, 20, 21, 22, 23], 0] = 2.0
    history = replace(machine("w", 1, steps=50), anomalous=None)
    assert judge(held, [history], lambda hs: [scores]).figures["false"].value == pytest.approx(4 / 50)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"false_alarms": 0.0}, r"`task\.false_alarms` must be above 0 and below 1"),
        ({"smooth_readings": 0}, r"`task\.smooth_readings` must be at least 1"),
        ({"highest": 1}, r"`task\.highest` must be above 1"),
    ],
)
def test_options_out_of_reach_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        task(**options)


@pytest.mark.parametrize("name", ["T² and SPE", "persistence", "never"])
def test_baselines_say_one_where_their_own_share_of_healthy_readings_ends(name: str) -> None:
    of, parts = task(), Split(fleet(4), fleet(3, 1), [])
    found = judge(of, fleet(4, 2), of.baselines[name](project(), of, parts)).figures["false"].value
    assert found < 0.05 and (found > 0) == (name != "never")


def test_machines_can_be_cut_in_time() -> None:
    parts = split(fleet(2), project(train={"split": "time", "validation_share": 0.2, "test_share": 0.3}), lasting=False)
    assert [[len(h) for h in part] for part in (parts.train, parts.validation, parts.test)] == [
        [200] * 2,
        [80] * 2,
        [120] * 2,
    ]
    for early, middle, late in zip(parts.train, parts.validation, parts.test, strict=True):
        assert early.machine == late.machine and early.ts[-1] < middle.ts[0] <= middle.ts[-1] < late.ts[0]


def test_machines_without_a_failure_are_dealt_out_whole() -> None:
    parts = split(fleet(5), project(), lasting=False)
    assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [3, 1, 1]
    with pytest.raises(DataError, match=r'train\.split = "time"'):
        split(fleet(2), project(), lasting=False)
    assert len(list(folds(fleet(5), 3, 0, lasting=False))) == 3
    with pytest.raises(DataError, match="3 folds need 5 machines"):
        list(folds(fleet(4), 3, 0, lasting=False))


def test_later_readings_of_a_machine_may_judge_it_and_the_same_ones_may_not() -> None:
    whole = machine("w", 1)
    check_later([whole.window(0, 200)], [whole.window(200, 400)])
    with pytest.raises(DataError, match="not later than its last one"):
        check_later([whole.window(0, 200)], [whole.window(199, 400)])


def learned() -> tuple[Chart, torch.Tensor, torch.Tensor]:
    """A chart of white noise that nothing is expected of, with noise x [1, 200, 3] and raw outputs to try it on."""
    draw = torch.Generator().manual_seed(0)
    x, raw = torch.randn(1, 4000, 3, generator=draw), torch.zeros(1, 4000, 6)
    raw[..., 3:] = -20.0
    chart = Chart(3, 0.05, 100.0).eval()
    chart.learn([(x[:, :3000], raw[:, :3000])])
    chart.level([(x[:, 3000:], raw[:, 3000:])], 0.99, 0)
    return chart, x[:, :200], raw[:, :200]


def test_a_chart_starts_quiet_and_forgets_one_wild_reading() -> None:
    chart, x, raw = learned()
    wild = x.clone()
    wild[0, 50] = 1e6
    calm, y = chart(x, raw)[0, :, 0], chart(wild, raw)[0, :, 0]
    assert y[0] < 0.1 and (y[:50] < 1).all() and y[51] > y[:50].max()
    torch.testing.assert_close(y[150:], calm[150:], rtol=0, atol=0.1)


def test_a_stuck_signal_is_as_strange_as_a_noisy_one() -> None:
    chart, x, raw = learned()
    stuck, noisy = x.clone(), x.clone()
    stuck[:, 100:, 1] = 0.0
    noisy[:, 100:, 1] *= 2.5
    for faulty in (stuck, noisy):
        y = chart(faulty, raw)[0]
        assert (y[150:, 0] > 1).float().mean() > 0.9 and y[150:, 1:].mean(0).argmax() == 1
