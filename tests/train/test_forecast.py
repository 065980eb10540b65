"""Claims about the forecast task: what teaches, what a prediction is made of, and how it is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from edge.errors import DataError, ProjectError
from edge.spec import Project, parse_project
from train.build import build_predictor, build_task
from train.data.history import History
from train.data.scale import Scaler
from train.data.split import Split, split
from train.evaluate import judge
from train.fit import fit
from train.infer import predict
from train.intervals import ask, judged_all, out_of_fold, shortfall, tables
from train.picture import picture
from train.tasks.forecast import Forecast


def project(**options: Any) -> Project:
    sections: dict[str, Any] = {
        key: options.pop(key) for key in ("train", "timing", "alarm", "regime", "model") if key in options
    }
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x"},
            "signals": {"a": {"unit": "degC"}, "b": {"unit": "bar"}, "load": {}},
            "task": {"kind": "forecast", **options},
            **sections,
        }
    )


def task(**options: Any) -> Forecast:
    made = build_task(project(**options))
    assert isinstance(made, Forecast)
    return made


def machine(name: str, seed: int, steps: int = 300) -> History:
    """Two waves in units of their own, and a load that changes now and then."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps) + rng.integers(100)
    load = np.repeat(rng.choice([60.0, 100.0], steps // 50 + 1), 50)[:steps]
    x = np.stack([40 + 5 * np.sin(t / 6) + 0.1 * load, 1e5 + 50 * np.cos(t / 6), load], 1)
    x[:, :2] += rng.normal(size=(steps, 2)) * [0.2, 2.0]
    return History(name, 0, 60.0 * np.arange(steps, dtype=np.float64), x.astype(np.float32), False, None)


FLEET = [machine(f"m{i}", i) for i in range(5)]
PARTS = Split(FLEET[:3], FLEET[3:4], FLEET[4:])


def test_an_output_is_a_channel_at_a_horizon_horizon_by_horizon() -> None:
    made = task(horizons=[1, 6], channels=["b", "a"])
    assert made.horizons == (1, 6) and made.predicted == (1, 0)
    assert made.outputs == (("b_in_1", "bar"), ("a_in_1", "degC"), ("b_in_6", "bar"), ("a_in_6", "degC"))


def test_a_number_of_horizons_is_all_up_to_it() -> None:
    assert task(horizons=4).horizons == (1, 2, 3, 4)


@pytest.mark.parametrize("horizons", [0, [], [0, 1], [2, 1], [3, 3]])
def test_horizons_rise_from_one_on(horizons: object) -> None:
    with pytest.raises(ProjectError, match=r"`task\.horizons` must be readings ahead in rising order"):
        task(horizons=horizons)


def test_a_channel_nobody_has_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"`task\.channels` names `lode`, no channel; did you mean `load`"):
        task(channels=["lode"])
    with pytest.raises(ProjectError, match="names `a` twice"):
        task(channels=["a", "a"])


def test_labels_are_the_readings_to_come_and_end_with_the_record() -> None:
    made, history = task(horizons=[1, 6], channels=["a", "b"]), FLEET[0]
    labels = made.labels(history)
    np.testing.assert_array_equal(labels.value[:-6, 2:], history.x[6:, :2])
    assert labels.weight[:-6].all() and not labels.weight[-6:, 2:].any() and not labels.weight[-1].any()


def test_a_value_that_was_held_is_no_label() -> None:
    mask = np.ones_like(FLEET[0].x, np.bool_)
    mask[20, 0] = False
    labels = task(horizons=[1, 6], channels=["a", "b"]).labels(replace(FLEET[0], mask=mask))
    assert labels.weight[19].tolist() == [0, 1, 1, 1] and labels.weight[14].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("regime", [{}, {"columns": ["load"], "count": 2}], ids=["plain", "regimes"])
def test_what_has_learnt_nothing_says_that_all_stays(regime: dict[str, Any]) -> None:
    of = project(horizons=[1, 6], regime=regime)
    predictor = build_predictor(of, Scaler.fit(FLEET, of)).eval()
    with torch.no_grad():
        x = torch.from_numpy(FLEET[0].x)[None]
        z = predictor.scaler(x)
        said = predictor.tail(z, torch.zeros(1, len(FLEET[0]), predictor.task.width))
    deviation = FLEET[0].x.std(0)
    for stays in said.chunk(2, -1):
        assert float(((stays - x).abs() / torch.from_numpy(deviation)).max()) < 1e-3


def test_a_channel_that_never_changed_is_forecast_to_stay() -> None:
    of = project(horizons=[1, 6])
    flat = [replace(h, x=np.where([False, True, False], np.float32(7), h.x)) for h in FLEET]
    predictor = build_predictor(of, Scaler.fit(flat, of)).eval()
    (found,) = predict(predictor, flat[:1])
    assert np.isfinite(found).all() and (found[:, [1, 4]] == 7).all()


@pytest.mark.parametrize("regime", [{}, {"columns": ["load"], "count": 2}], ids=["plain", "regimes"])
def test_loss_exam_and_headline_are_one_error(regime: dict[str, Any]) -> None:
    from train.data.batches import lessons, pad

    of = project(horizons=[1, 6], regime=regime)
    predictor = build_predictor(of, Scaler.fit(FLEET, of)).eval()
    made = predictor.task
    batch = pad(lessons(FLEET, made, predictor.scaler))
    with torch.no_grad():
        raw = predictor.family(batch.x)
        asked = torch.ones(raw.shape[:2], dtype=torch.bool)
        found = [float(made.loss(raw, batch)), made.exam([(raw, batch, asked)])]
    assert found == pytest.approx([made.error(FLEET, predict(predictor, FLEET))] * 2, rel=1e-3)


def test_readings_before_the_warm_up_do_not_judge() -> None:
    made = task(horizons=[1], channels=["a"], timing={"warm_up_readings": 50})
    truth = made.truth(FLEET[0])
    assert truth is not None
    wrong = np.nan_to_num(truth)
    wrong[:49] = 1e3
    assert made.error(FLEET[:1], [wrong]) == 0
    wrong[49] += 1
    assert made.error(FLEET[:1], [wrong]) > 0


def test_a_record_whose_first_channel_is_dead_is_judged_by_the_others() -> None:
    made = task(horizons=[1], channels=["a", "b"]).scaled_by(Scaler.fit(FLEET, project()))
    mask = np.ones_like(FLEET[0].x, np.bool_)
    mask[:, 0] = False
    dead = replace(FLEET[0], mask=mask)
    truth = made.truth(dead)
    assert truth is not None and len(made.judged(dead)) == len(dead) - 1
    assert made.error([dead], [np.nan_to_num(truth) + np.array([0, 35], np.float32)]) == pytest.approx(1.0, rel=0.1)


def test_a_task_is_not_changed_by_the_scale_it_is_told() -> None:
    bare = task(horizons=[1])
    assert bare.scaled_by(Scaler.fit(FLEET, project())) is not bare
    assert bare.scaler.scale.tolist() == [1.0, 1.0, 1.0]


def test_persistence_saves_nothing_of_its_own_error_and_the_truth_all() -> None:
    of, made = project(horizons=[1, 6]), task(horizons=[1, 6])
    stays = judge(made, PARTS.test, made.baselines["persistence"](of, made, PARTS))
    assert stays.figures["skill"].value == pytest.approx(0, abs=1e-6)
    truths = [np.nan_to_num(t) for h in PARTS.test if (t := made.truth(h)) is not None]
    assert judge(made, PARTS.test, lambda _: truths).figures["skill"].value == pytest.approx(1)


def test_it_learns_more_than_persistence_and_draws_itself() -> None:
    of = project(horizons=[1, 6], train={"epochs": 25, "learning_rate": 0.02}, model={"hidden": 12})
    predictor = fit(of, PARTS.train, PARTS.validation).predictor
    made = predictor.task
    models = {"gru": lambda h: predict(predictor, h)}
    models |= {name: by(of, made, PARTS) for name, by in made.baselines.items()}
    judged = {name: judge(made, PARTS.test, by) for name, by in models.items()}
    assert judged["gru"].headline.value < 0.7 * judged["persistence"].headline.value
    assert picture(of, made, PARTS.test, predict(predictor, PARTS.test), judged).startswith(b"\x89PNG")


def test_every_output_gains_an_interval_of_its_own() -> None:
    of = project(horizons=[1, 12], interval=0.5, train={"epochs": 3, "learning_rate": 0.02}, model={"hidden": 4})
    parts = Split([machine(f"m{i}", i, 120) for i in range(10)], [machine(f"v{i}", 50 + i, 120) for i in range(2)], [])
    predictor = fit(of, parts.train, parts.validation).predictor
    made = tables(predictor.task, out_of_fold(of, parts))
    assert [table.output for table in made] == [name for name, _ in predictor.task.outputs]
    assert all(table.machines == 12 and table.low is None for table in made)
    judged = judged_all(predictor, made, [machine(f"n{i}", 90 + i, 120) for i in range(10)])
    assert [found["output"] for found in judged] == [table.output for table in made]
    # Models of folds have learnt from fewer machines: what they say may make an interval wider, hardly narrower.
    assert all(found["all"]["coverage"]["value"] > 0.3 and found["all"]["width"]["value"] > 0 for found in judged)


def test_one_machine_is_too_few_for_an_interval() -> None:
    of = project(horizons=[1], interval=0.5)
    parts = Split(FLEET[:1], FLEET[:1], FLEET[1:])
    [*said] = shortfall(build_task(of), parts, {})
    assert len(said) == 1, "outputs that lack the same share a sentence"
    assert "the 50 % interval of a_in_1 and 2 other outputs is not given: it needs 4 machines" in said[0]
    assert tables(build_task(of), out_of_fold(of, parts)) == ()


def test_an_output_that_too_few_records_reach_is_said_to_have_no_interval() -> None:
    of = project(horizons=[1, 60], channels=["a"], interval=0.8)
    made, fleet = build_task(of), [machine(f"m{i}", i, 90 if i < 3 else 40) for i in range(8)]
    predictor = build_predictor(of, Scaler.fit(fleet, of)).eval()
    answers = ask(predictor, fleet)
    assert [table.output for table in tables(made, answers)] == ["a_in_1"]
    [said] = shortfall(made, Split(fleet[:6], fleet[6:], []), answers)
    assert said.startswith(
        "the 80 % interval of a_in_60 is not given: it needs 4 machines whose truth is known, and could ask 3;"
    )


def test_one_machine_is_cut_in_time() -> None:
    of = project(horizons=[1], train={"split": "time"})
    parts = split(FLEET[:1], of, lasting=Forecast.lasting)
    assert [len(h) for part in (parts.train, parts.validation, parts.test) for h in part] == [180, 60, 60]


def test_alarms_of_failures_are_measured_where_both_are_known() -> None:
    from dataclasses import replace as put

    bare = project(horizons=[1], alarm={"raise_above": 60.0})
    keys = {m.key for m in build_task(bare).measures}
    with_failures = put(bare, data=put(bare.data, failure="failed"))
    assert {m.key for m in build_task(with_failures).measures} - keys == {"warned", "lead"}


def test_a_horizon_that_no_training_record_reaches_is_refused_before_anything_is_fitted() -> None:
    of, epochs = project(horizons=[1, 300], channels=["a"]), list[int]()
    with pytest.raises(DataError, match=r"no training record tells what `a_in_300` should be: the longest has 300"):
        fit(of, PARTS.train, PARTS.validation, told=lambda done, error: epochs.append(done))
    assert not epochs
