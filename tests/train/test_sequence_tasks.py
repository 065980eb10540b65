"""Claims about the sequence tasks and their trainer; a new task or family is picked up from its table."""

from __future__ import annotations

import copy
import json
import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge.errors import DataError, ProjectError
from tests.support.pumps import edge
from train.checkpoint import Checkpoint
from train.models import FAMILIES
from train.models.base import Family, FamilyOptions
from train.sequence import SEQUENCE_TASKS
from train.sequence.adding import Sums
from train.sequence.base import Asked, Examples, SequenceTask, batches
from train.sequence.bench import Wanted, bench_sequence
from train.sequence.course import Limits, examine, quick, rate, teach
from train.sequence.lag import gradient_by_lag, reach, shown
from train.sequence.sizing import chosen, make, options_of, weights, widest

Made = Callable[[str], SequenceTask]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A task with the least there is to learn from, made once."""
    known: dict[str, SequenceTask] = {}

    def make_task(name: str) -> SequenceTask:
        if name not in known:
            cls = SEQUENCE_TASKS[name]
            known[name] = cls(cls.tiny(tmp_path_factory.mktemp(name)))
        return known[name]

    return make_task


@pytest.fixture(params=sorted(SEQUENCE_TASKS))
def task(request: pytest.FixtureRequest, made: Made) -> SequenceTask:
    return made(request.param)


def some(examples: Examples, count: int = 4) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The places of the first examples."""
    return np.arange(min(count, len(examples)))


def small(task: SequenceTask, family: str = "gru", **options: Any) -> Family:
    """A family with few weights, the same each time."""
    torch.manual_seed(5)
    return make(task, family, {"hidden": 4, **options} if family == "gru" else options)


def test_a_batch_has_the_shapes_that_the_task_announces(task: SequenceTask) -> None:
    batch = task.training.batch(some(task.training))
    rows, time, channels = batch.x.shape
    assert channels == task.inputs and batch.counted.shape == (rows, time) and time <= task.length
    assert task.right(batch).shape == (rows, time, task.outputs)
    terms = task.terms(torch.zeros(rows, time, task.outputs), batch)
    assert terms.ndim == 1 and len(terms) == len(task.figures(task.right(batch), batch)) > 0


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_the_right_answer_costs_nothing(task: SequenceTask, part: str) -> None:
    examples: Examples = getattr(task, part)
    batch = examples.batch(some(examples))
    figures = task.figures(task.right(batch), batch)
    assert task.terms(task.right(batch), batch).abs().max() < 1e-6
    assert torch.allclose(figures, torch.full_like(figures, 100.0 if task.higher else 0.0), atol=1e-5)


def test_only_what_counts_is_judged(task: SequenceTask) -> None:
    batch = task.training.batch(some(task.training))
    answer = task.right(batch) + 0.25
    noise = torch.where(batch.counted.unsqueeze(-1), answer, torch.full_like(answer, 7.0))
    assert torch.equal(task.terms(answer, batch), task.terms(noise, batch))


def test_the_same_examples_each_time(task: SequenceTask) -> None:
    again = type(task)(task.asked)
    for part in ("training", "validation", "test"):
        one, two = (getattr(t, part).batch(some(getattr(t, part))) for t in (task, again))
        assert torch.equal(one.x, two.x) and torch.equal(one.y, two.y)


def test_what_teaches_does_not_judge(task: SequenceTask) -> None:
    first = [part.batch(some(part, 1)).x for part in (task.training, task.validation, task.test)]
    assert not any(torch.equal(a, b) for a, b in zip(first, [*first[1:], first[0]], strict=True))


def test_who_knows_nothing_is_between_right_and_lost(task: SequenceTask) -> None:
    assert math.isfinite(task.naive()) and 0 < task.naive() < 100


def test_every_family_of_the_paper_has_a_plan_with_a_known_optimiser(task: SequenceTask) -> None:
    for name in task.published():
        plan = task.plan(name)
        assert plan.epochs > 0 and plan.batch > 0 and plan.learning_rate > 0
        assert task.published()[name].parameters == task.budget and "table 1" in task.published()[name].where


def test_adding_asks_for_the_sum_of_the_two_marked_numbers(made: Made) -> None:
    task = made("adding")
    batch = task.test.batch(np.arange(len(task.test)))
    numbers, marks = batch.x.unbind(-1)
    assert (marks.sum(1) == 2).all() and set(marks.flatten().tolist()) == {0.0, 1.0}
    torch.testing.assert_close((numbers * marks).sum(1), batch.y.squeeze(1))
    assert (marks.sum(0) > 0).all(), "every place is marked now and then"
    best = batch.y.var(correction=0).item()
    assert best == pytest.approx(task.naive(), rel=0.1) and task.naive() == pytest.approx(0.1667, abs=1e-4)


def test_copy_lays_out_digits_blank_and_question_as_in_the_paper(made: Made) -> None:
    task = made("copy")
    blank = task.asked.length
    assert blank is not None
    batch = task.training.batch(np.arange(50))
    x, y = batch.x.squeeze(-1), batch.y
    assert x.shape == y.shape == (50, blank + 20)
    assert ((x[:, :10] >= 1) & (x[:, :10] <= 8)).all() and len(set(x[:, :10].flatten().tolist())) == 8
    assert (x[:, 10 : blank + 9] == 0).all() and (x[:, blank + 9 :] == 9).all() and (x[0, blank + 9 :].numel() == 11)
    assert torch.equal(y[:, -10:], x[:, :10].long()) and (y[:, :-10] == 0).all()
    knows_where = torch.full((50, blank + 20, 10), -30.0)
    knows_where[:, :-10, 0] = 30.0
    knows_where[:, -10:, 1:9] = 30.0
    assert task.terms(knows_where, batch).mean().item() == pytest.approx(task.naive(), rel=1e-4)


def test_a_chorale_is_judged_by_the_sum_over_its_keys_at_every_moment(made: Made) -> None:
    task = made("jsb")
    batch = task.training.batch(np.array([0, 3]))
    assert batch.counted.sum(1).tolist() == [4, 10]
    assert torch.equal(batch.x[0, 1:4], batch.y[0, :3]), "the next moment is what is right"
    even = task.terms(torch.zeros_like(batch.y), batch)
    torch.testing.assert_close(even, torch.full((14,), 88 * math.log(2)))


def test_characters_are_each_counted_once_and_strange_ones_are_another_one(made: Made) -> None:
    task = made("char")
    counted = sum(int(batch.counted.sum()) for batch in batches(task.test, 3))
    assert counted == 8000 - int(0.95 * 8000) - 1
    assert task.inputs == 4, "three letters, and what was never seen"
    last = task.test.batch(np.array([len(task.test) - 1]))
    assert 3 in last.y and (last.x.sum(-1) == 1).all()
    assert task.naive() == pytest.approx(math.log2(3), abs=0.1)


def test_permuted_pixels_are_the_same_pixels_in_one_order(tmp_path: Path) -> None:
    cls = SEQUENCE_TASKS["mnist"]
    asked = cls.tiny(tmp_path)
    plain, mixed = cls(asked), cls(replace(asked, permuted=True))
    x, shuffled = (t.test.batch(np.arange(5)).x.squeeze(-1) for t in (plain, mixed))
    assert not torch.equal(x, shuffled) and torch.equal(x.sort(1).values, shuffled.sort(1).values)
    order = [int((x == shuffled[:, i : i + 1]).all(0).nonzero()[0]) for i in range(x.shape[1])]
    assert torch.equal(x[:, order], shuffled)


def test_the_chorales_are_those_of_the_paper() -> None:
    try:
        task = SEQUENCE_TASKS["jsb"](Asked())
    except (DataError, ProjectError) as why:
        pytest.skip(str(why))
    assert [len(part) for part in (task.training, task.validation, task.test)] == [229, 76, 77]
    assert 10 < task.naive() < 13


class Memoryless(Family):
    """Each output from its own reading alone."""

    Options = FamilyOptions
    width = "none"
    takes: ClassVar[tuple[str, ...]] = ("dt", "mask")

    def __init__(self, inputs: int, outputs: int, options: FamilyOptions) -> None:
        super().__init__(inputs, outputs, options)
        self.head = nn.Linear(2 * inputs + 1, outputs)

    @property
    def memory(self) -> int:
        return 1

    @property
    def state_names(self) -> tuple[str, ...]:
        return ()

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        return ()

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        y: Tensor = self.head(torch.cat([x, *more], -1))
        return y

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return (self.head(torch.cat([x_t, *rest], -1)),)


def test_a_family_without_memory_feels_only_the_last_reading() -> None:
    family = Memoryless(3, 1, FamilyOptions())
    norms = gradient_by_lag(family, torch.randn(4, 9, 3))
    expected = family.head.weight[0, :3].norm().item()
    assert norms[0] == pytest.approx(expected, rel=1e-5) and norms[1:] == [0.0] * 8
    assert reach(norms) == 0


def test_the_gradient_by_lag_of_a_fading_memory_fades_as_it_should() -> None:
    class Fading(Memoryless):
        takes: ClassVar[tuple[str, ...]] = ()

        def forward(self, x: Tensor, *more: Tensor) -> Tensor:
            kept = torch.tensor([0.5**lag for lag in reversed(range(x.shape[1]))])
            return (x.sum(-1) * kept).cumsum(1).unsqueeze(-1)

    norms = gradient_by_lag(Fading(1, 1, FamilyOptions()), torch.randn(2, 10, 1))
    assert norms == pytest.approx([0.5**lag for lag in range(10)], rel=1e-5)
    assert reach(norms) == 6 and shown(10) == [0, 1, 5, 9]


def test_the_gradient_is_taken_without_the_loops_that_refuse_it_in_eval_mode() -> None:
    seen = []

    class Watched(Memoryless):
        takes: ClassVar[tuple[str, ...]] = ()

        def forward(self, x: Tensor, *more: Tensor) -> Tensor:
            seen.append((self.training, torch.backends.cudnn.enabled))
            return x.sum(-1, keepdim=True)

    gradient_by_lag(Watched(1, 1, FamilyOptions()), torch.randn(2, 10, 1))
    assert seen == [(False, False)]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_is_as_wide_as_its_budget_and_learns_a_step(made: Made, name: str) -> None:
    task = made("adding")
    cls = FAMILIES[name]
    budget = 6_000
    options = options_of(task, name, replace(task.plan(name), options={}), {}, budget)
    torch.manual_seed(0)
    family = make(task, name, options)
    assert budget / 4 < weights(family) <= budget
    assert weights(make(task, name, {**options, cls.width: options[cls.width] + 64})) > budget
    before = [parameter.detach().clone() for parameter in family.parameters()]
    with quick():
        teach(task, family, task.plan(name), Limits(1, minutes=1e-6), seed=0)
    assert any(not torch.equal(a, b) for a, b in zip(before, family.parameters(), strict=True))
    norms = gradient_by_lag(family, task.probe())
    assert len(norms) == task.length and all(math.isfinite(norm) for norm in norms) and norms[0] > 0


def test_a_plans_width_holds_until_a_budget_or_the_user_says_otherwise(made: Made) -> None:
    task = made("adding")
    plan = task.plan("tcn")
    assert options_of(task, "tcn", plan, {}, None)["channels"] == 27
    assert options_of(task, "tcn", plan, {"channels": 3}, None)["channels"] == 3
    assert options_of(task, "tcn", plan, {}, 9_000)["channels"] < 27
    assert options_of(task, "gru", task.plan("gru"), {}, None)["hidden"] == 150
    with pytest.raises(ProjectError, match="the budget is 10; ask for more"):
        widest(task, "gru", {}, 10)


def test_keys_are_read_as_toml() -> None:
    assert chosen(["hidden=8", "kind=relu", "model.dropout=0.5"]) == {"hidden": 8, "kind": "relu", "dropout": 0.5}
    with pytest.raises(ProjectError, match="--set takes key=value"):
        chosen(["hidden"])


def test_the_learning_rate_is_held_and_then_falls(made: Made) -> None:
    plan = made("adding").plan("gru")
    rates = [rate(share, plan) for share in np.linspace(0, 1, 21)]
    assert rates[:11] == [1.0] * 11 and rates[-1] == pytest.approx(plan.last)
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_a_gru_learns_to_add(made: Made) -> None:
    task = copy.copy(made("adding"))
    task.training = Sums(10_000, task.length, np.random.default_rng(0))
    family = small(task, hidden=16)
    with quick():
        before = examine(task, family, task.validation)[1]
        plan = replace(task.plan("gru"), learning_rate=0.03, batch=64)
        at, ended = teach(task, family, plan, Limits(1), seed=1)
        after = examine(task, family, task.validation)[1]
    assert before > 0.1 and after < 0.03 and ended == "all epochs"
    assert after == pytest.approx(min(look[3] for look in at.looks)), "the weights that validated best are kept"


class Interrupted(Exception):
    """What a test raises in the middle of a course."""


@pytest.mark.parametrize(("stop", "name"), [(1, "tcn"), (5, "gru"), (8, "tcn"), (14, "gru")])
def test_wherever_it_is_interrupted_the_course_ends_with_the_very_same_weights(
    made: Made, tmp_path: Path, stop: int, name: str
) -> None:
    task = made("jsb")
    options = {"dropout": 0.3, **({"channels": 4, "levels": 2} if name == "tcn" else {"hidden": 4})}

    def course(checkpoint: Checkpoint | None, until: int | None = None) -> dict[str, Tensor]:
        torch.manual_seed(3)
        family = make(task, name, options)
        seen = 0

        def told(done: int, remark: str) -> None:
            nonlocal seen
            seen += 1
            if seen == until:
                raise Interrupted

        teach(task, family, task.plan(name), Limits(3), 3, told, checkpoint)
        return family.state_dict()

    with quick(), torch.random.fork_rng(devices=[]):
        whole = course(None)
        with pytest.raises(Interrupted):
            course(Checkpoint(tmp_path / "mark", "a", every_s=0.0), stop)
        torch.manual_seed(99)
        again = course(Checkpoint(tmp_path / "mark", "a", every_s=0.0))
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_run_leaves_report_and_picture_and_no_checkpoint(made: Made, tmp_path: Path) -> None:
    wanted = Wanted("jsb", "gru", made("jsb").asked, given=("hidden=4",), epochs=2)
    report = bench_sequence(wanted, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert (tmp_path / "out" / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert report["published"]["value"] == 8.43 and report["steps"] == 10
    assert f"--data {made('jsb').asked.data}" in report["command"] and "--set hidden=4" in report["command"]
    again = bench_sequence(wanted)
    assert [again[key] for key in ("figure", "looks")] == [report[key] for key in ("figure", "looks")]


def test_the_command_of_a_report_can_be_typed_as_it_stands() -> None:
    wanted = Wanted("char", "gru", Asked(9, text=Path("two words.txt")), given=("hidden=4",), rate=0.1, device="cuda")
    words = shlex.split(wanted.command())
    assert words[:3] == ["edge", "bench", "sequence"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {"--task": "char", "--family": "gru", "--length": "9", "--text": "two words.txt", "--seed": "0",
                       "--rate": "0.1", "--set": "hidden=4", "--device": "cuda"}  # fmt: skip
    assert "--permuted" in replace(wanted, asked=Asked(permuted=True)).command()


def test_an_interrupted_run_says_so_and_goes_on(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = Wanted("jsb", "gru", made("jsb").asked, given=("hidden=4",), epochs=3)
    whole = bench_sequence(wanted)
    monkeypatch.setattr("train.sequence.bench.SAVE_EVERY_S", 0.0)

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("train.sequence.bench.gradient_by_lag", lambda f, x: pressed() if not f.training else [1.0])
        with pytest.raises(KeyboardInterrupt):
            bench_sequence(wanted, tmp_path / "out")
    assert "15 steps are kept; the same command goes on from there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".out.resume"]
    report = bench_sequence(wanted, tmp_path / "out")
    assert "resuming" in capsys.readouterr().err
    assert report["figure"] == whole["figure"] and report["looks"] == whole["looks"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_text_of_the_same_size_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("train.sequence.bench.SAVE_EVERY_S", 0.0)
    asked = SEQUENCE_TASKS["char"].tiny(tmp_path)
    assert asked.text is not None

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    wanted = Wanted("char", "gru", asked, given=("hidden=2",), epochs=1)
    text = asked.text.read_text("utf-8")
    for same_size in (text, text.translate(str.maketrans("ab", "ba"))):
        asked.text.write_text(same_size, "utf-8")
        with monkeypatch.context() as patched:
            patched.setattr("train.sequence.course._look", pressed)
            with pytest.raises(KeyboardInterrupt):
                bench_sequence(wanted, tmp_path / "out")
    assert "was interrupted with other settings or another version; starting anew" in capsys.readouterr().err


def bench(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    return edge(monkeypatch, "bench", "sequence", *arguments)


def test_the_command_prints_the_papers_figure_beside_ours(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made("jsb").asked.data
    status = bench(
        monkeypatch, "--task", "jsb", "--family", "tcn", "--data", data, "--set", "channels=4", "--epochs", 1
    )
    said = capsys.readouterr().out
    assert status == 0 and "8.1" in said and "table 1" in said and "knows nothing" in said and "before fitting" in said
    assert said.splitlines()[-1].startswith(f"edge bench sequence --task jsb --family tcn --data {data} --seed 0")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--task", "adding", "--family", "gru", "--rate", "1e38"), 2, "not in the range 0<x<=1000"),
        (("--task", "addng", "--family", "gru"), 2, "unknown sequence task `addng`; did you mean `adding`?"),
        (("--task", "adding", "--family", "grü"), 2, "unknown model family `grü`; did you mean `gru`?"),
        (("--task", "adding", "--family", "gru", "--length", "1"), 2, "two numbers are marked, so at least 2"),
        (("--task", "adding", "--family", "gru", "--permuted"), 2, "has no --permuted; it takes --length"),
        (("--task", "adding", "--family", "gru", "--length", "9", "--set", "hiden=3"), 2, "did you mean `hidden`?"),
        (("--task", "char", "--family", "gru"), 2, "task `char` needs a text: --text FILE"),
        (("--task", "char", "--family", "gru", "--text", "nowhere.txt"), 3, "`nowhere.txt` cannot be read as text: No"),
        (
            ("--task", "char", "--family", "gru", "--text", "short.txt"),
            3,
            "has 5 characters; at this --length at least",
        ),
        (("--task", "char", "--family", "gru", "--text", "bytes.bin"), 3, "`bytes.bin` cannot be read as text: it is"),
        (("--task", "mnist", "--family", "gru"), 2, "task `mnist` needs the four MNIST files"),
        (("--task", "mnist", "--family", "gru", "--data", "."), 3, "there is no `train-images-idx3-ubyte`"),
        (("--task", "jsb", "--family", "gru"), 2, "export EDGE_DATA"),
        (("--task", "jsb", "--family", "gru", "--data", "nowhere.mat"), 3, "say where JSB_Chorales.mat is"),
        (("--task", "jsb", "--family", "gru", "--data", "short.txt"), 3, "is no file of piano rolls"),
        (("--task", "adding", "--family", "gru", "-o", "short.txt"), 3, "exists and is no benchmark folder"),
        (("--task", "adding", "--family", "gru", "-o", "."), 3, "which no benchmark does; nothing was touched"),
    ],
)
def test_what_is_asked_wrongly_is_answered_in_one_clear_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGE_DATA", raising=False)
    Path("short.txt").write_text("hello", encoding="utf-8")
    Path("bytes.bin").write_bytes(b"\xff\xfe\xff")
    assert bench(monkeypatch, *arguments) == status
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
def test_a_gpu_that_is_not_there_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, "--task", "adding", "--family", "gru", "--device", "cuda") == 2
    assert "torch sees no GPU here" in capsys.readouterr().err


def test_a_damaged_file_of_digits_is_named(tmp_path: Path) -> None:
    cls = SEQUENCE_TASKS["mnist"]
    asked = cls.tiny(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="is no idx file of images"):
        cls(asked)
