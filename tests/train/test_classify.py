"""Claims about the classify task: where classes come from, what teaches, and how answers are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from edge.errors import DataError, ProjectError
from edge.spec import Project, parse_project
from train.build import build_task
from train.data.batches import Batch
from train.data.history import History
from train.data.split import Split
from train.evaluate import judge, truth_of
from train.fit import fit
from train.folding import deal, examiner, figures
from train.infer import predict
from train.picture import picture
from train.tasks.classify import Classify

STATES = ("fine", "leak", "jam")


def project(**options: Any) -> Project:
    data = options.pop("data", {"label": "state"})
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x", **data},
            "signals": {"a": {}, "b": {}},
            "task": {"kind": "classify", **options},
            "model": {"hidden": 8},
            "train": {"epochs": 15, "learning_rate": 0.02},
        }
    )


def task(**options: Any) -> Classify:
    made = build_task(project(**options))
    assert isinstance(made, Classify)
    return made


def machine(name: str, seed: int, states: tuple[str, ...] = STATES, each: int = 25) -> History:
    """A few stretches, each in one state: a leak lowers the first signal, a jam raises the second."""
    rng = np.random.default_rng(seed)
    label = np.repeat(rng.permutation([*states, "fine"]), each)
    x = rng.normal(size=(len(label), 2)) * 0.4
    x[label == "leak", 0] -= 2.0
    x[label == "jam", 1] += 2.0
    return History(name, 0, np.arange(len(x), dtype=np.float64), x.astype(np.float32), False, None, label=label)


FLEET = [machine(f"m{i}", i) for i in range(8)]
PARTS = Split(FLEET[:5], FLEET[5:6], FLEET[6:])
NAMED: dict[str, Any] = {"classes": list(STATES)}


def batch_of(made: Classify, history: History) -> Batch:
    labels = made.labels(history)
    parts = (torch.from_numpy(t)[None] for t in (labels.value, labels.weight, labels.censored))
    return Batch(torch.from_numpy(history.x)[None], *parts)


def test_the_classes_of_the_histories_travel_with_the_model_the_most_frequent_first() -> None:
    of = task().study(project(), FLEET)
    made = build_task(parse_project_again(of))
    assert isinstance(made, Classify) and made.classes == ("fine", "jam", "leak")
    assert [name for name, _ in made.outputs] == ["fault", "p_fine", "p_jam", "p_leak"]
    assert made.study(of, FLEET[:1]) is of


def parse_project_again(of: Project) -> Project:
    from edge.spec import flat

    return parse_project(flat(of))


def test_one_class_cannot_be_told_apart() -> None:
    with pytest.raises(DataError, match=r"column `state` \(data\.label\) holds only `fine`; two classes or more"):
        task().study(project(), [machine("m", 0, ("fine",))])


@pytest.mark.parametrize("classes", [["fine"], ["fine", "fine"]])
def test_classes_are_two_or_more_each_once(classes: list[str]) -> None:
    with pytest.raises(ProjectError, match="must name two classes or more, each once"):
        task(classes=classes)


def test_a_label_that_is_no_class_is_named_and_an_empty_one_is_not_known() -> None:
    made, history = task(**NAMED), machine("m7", 0)
    assert history.label is not None
    history.label[3] = ""
    assert made.labels(history).weight[:, 0].tolist() == [float(i != 3) for i in range(len(history))]
    history.label[3] = "odd"
    with pytest.raises(DataError, match="machine `m7` is labelled `odd`, none of the classes fine, leak, jam"):
        made.labels(history)


def test_what_is_healthy_is_what_is_labelled_so() -> None:
    made, history = task(**NAMED), machine("m7", 0)
    assert history.label is not None
    history.label[:5] = ""
    np.testing.assert_array_equal(made.healthy(history), history.label == "fine")
    broken = machine("m8", 0, ("leak", "leak", "leak"))
    assert broken.label is not None
    broken.label[-1] = "leak"
    assert not task(**NAMED, per="history").healthy(broken).any()


def test_marks_are_two_classes_where_there_are_no_labels() -> None:
    made = task(data={"anomaly": "bad"})
    marks = np.arange(100) > 60
    history = History("m", 0, np.arange(100.0), FLEET[0].x, False, None, marks)
    assert made.classes == ("healthy", "faulty")
    np.testing.assert_array_equal(made.labels(history).value[:, 0], marks)


def test_a_record_with_one_class_is_judged_at_its_last_reading_and_teaches_there() -> None:
    made, history = task(**NAMED, per="history"), FLEET[0]
    assert history.label is not None
    assert made.judged(history) == [len(history) - 1]
    assert set(made.labels(history).value[:, 0]) == {float(STATES.index(history.label[-1]))}
    raw = torch.zeros(1, len(history), 3, requires_grad=True)
    made.loss(raw, batch_of(made, history)).backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None and bool(raw.grad[0, -1].any()) and not raw.grad[0, :-1].any()


def test_balanced_classes_teach_alike_however_rare() -> None:
    label = np.array(["fine"] * 90 + ["leak"] * 9 + ["jam"])
    history = History("m", 0, np.arange(100.0), FLEET[0].x, False, None, label=label)
    shares = []
    for balanced in (False, True):
        made = task(**NAMED, balanced=balanced)
        raw = torch.zeros(1, 100, 3, requires_grad=True)
        made.loss(raw, batch_of(made, history)).backward()  # type: ignore[no-untyped-call]
        assert raw.grad is not None
        # Each reading pulls its own class up by two thirds of what it weighs.
        shares.append([float(-1.5 * raw.grad[0, label == name, i].sum()) for i, name in enumerate(STATES)])
    assert shares == [pytest.approx([0.9, 0.09, 0.01]), pytest.approx([1 / 3] * 3)]


def test_probabilities_and_the_first_output_say_one_thing() -> None:
    made = task(**NAMED)
    y = made.tail()(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 1.0, 2.0]]]))[0, 0].tolist()
    assert sum(y[1:]) == pytest.approx(1) and y[0] == pytest.approx(1 - y[1]) and y[0] == pytest.approx(y[2] + y[3])


def test_figures_are_those_of_the_book() -> None:
    made = task(**NAMED)
    label = np.array(["fine", "fine", "fine", "leak"])
    history = History("m", 0, np.arange(4.0), np.zeros((4, 2), np.float32), False, None, label=label)
    said = made.outputs_of(np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0], [0.2, 0.6, 0.2], [0.25, 0.5, 0.25]]))
    found = {key: f.value for key, f in judge(made, [history], lambda _: [said]).figures.items()}
    assert found["loss"] == pytest.approx(-np.mean(np.log2([0.5, 0.9, 0.2, 0.5])), rel=1e-5)
    assert found["error"] == 0.25 and found["recall_fine"] == pytest.approx(2 / 3) and found["recall_leak"] == 1
    assert np.isnan(found["recall_jam"]) and found["f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_cross_validation_asks_every_record_for_its_class_however_long_it_is() -> None:
    of = project(**NAMED, per="history")
    records = [machine(f"m{i}", i, each=500) for i in range(4)]
    task = examiner(of, records)
    for fold in deal(of, task, records, 2):
        whole, late = fold.papers.values()
        assert [h.machine for h in whole.about] == [h.machine for h in fold.parts.test]
        assert len(late.about) == 5 * len(whole.about) and all(len(h) < 2000 for h in late.about)
        answers = fold.examine(lambda histories: [np.nan_to_num(truth_of(task, h)) for h in histories])
        found = figures(task, [fold], [[answers]])
        assert [(f.value, len(f.machines)) for f in found.values()] == [(0.0, 2)] * 2


def test_labels_that_no_cut_off_meets_are_said_before_anything_is_fitted() -> None:
    of, fleet = project(**NAMED), [machine(f"m{i}", i, each=500) for i in range(4)]
    for record in fleet:
        assert record.label is not None
        record.label[: len(record) - 1] = ""
    with pytest.raises(DataError, match="nothing can be asked seen from the first reading: none of the readings drawn"):
        deal(of, examiner(of, fleet), fleet, 2)


def test_held_out_histories_do_not_say_what_is_normal() -> None:
    judges = [machine(f"t{i}", i, ("jam", "jam", "jam")) for i in range(9)]
    found = task().study(project(), FLEET[:1], judges)
    assert found.task.options["classes"] == ["fine", "jam", "leak"]
    alone = task().study(project(), [machine("m", 0, ("fine", "leak"))], judges)
    assert alone.task.options["classes"] == ["fine", "jam", "leak"], "a class that nobody taught can be read"


@pytest.mark.parametrize("per", ["reading", "history"])
def test_it_learns_more_than_the_majority_and_draws_itself(per: str) -> None:
    of = project(**NAMED, per=per)
    predictor = fit(of, PARTS.train, PARTS.validation).predictor
    made = predictor.task
    models = {"gru": lambda h: predict(predictor, h)}
    models |= {name: by(of, made, PARTS) for name, by in made.baselines.items()}
    judged = {name: judge(made, PARTS.test, by) for name, by in models.items()}
    assert judged["gru"].headline.value < judged["majority"].headline.value
    if per == "reading":
        assert judged["logistic"].headline.value < judged["majority"].headline.value
    assert picture(of, made, PARTS.test, predict(predictor, PARTS.test), judged).startswith(b"\x89PNG")


def relabelled(of: History, where: slice, name: str) -> History:
    assert of.label is not None
    label = of.label.astype("U16")
    label[where] = name
    return replace(of, label=label)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Fine", "`fine` and `Fine` are two classes; if they are one, write them alike"),
        ("fime", "`fime` is a class of 1 readings; is it a misspelling of `fine`?"),
    ],
)
def test_classes_that_may_be_one_are_asked_about(name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    task().study(project(), [*FLEET, relabelled(machine("odd", 9), slice(0, 1), name)])
    assert says in capsys.readouterr().err.splitlines()


def test_where_a_record_has_one_class_its_last_label_alone_says_which() -> None:
    of = {"per": "history"}
    ends = [relabelled(machine(f"m{i}", i), slice(-1, None), "jam") for i in range(4)]
    with pytest.raises(DataError, match=r"holds only `jam`; two classes or more"):
        task(**of).study(project(**of), ends)
    ends.append(relabelled(machine("m9", 9), slice(-1, None), "leak"))
    studied = task(**of).study(project(**of), ends)
    assert studied.task.options["classes"] == ["jam", "leak"]
    labels = build_task(studied).labels(ends[-1])
    assert labels.weight.all() and (labels.value == 1).all(), "`fine`, of which no record is, is passed over"
