"""Claims every family that can be pruned must stand up to: what is cut equals what is silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from convert.step import StepModule
from convert.targets import TARGETS
from device.backends.ort_step import engine
from edge.errors import ProjectError
from edge.spec import Project, parse_project
from tests.support.taken import taken
from train.build import build_predictor
from train.data.batches import Lesson
from train.data.scale import Scaler
from train.models import FAMILIES
from train.models.base import Family
from train.predictor import Predictor
from train.prune import importance, keep, mask, narrow, narrowed, width_of, widths

CHANNELS = 5
AMOUNTS = (0.1, 0.5, 0.8)
STACKED = ("layers", "levels")
"""Options that stack a family's blocks."""

PRUNABLE = [name for name in FAMILIES if FAMILIES[name](1, 1, FAMILIES[name].Options()).units()]
SHAPES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in PRUNABLE),
    ("mingru", {"candidate": "positive"}),
    *((name, {key: 3}) for name in PRUNABLE for key in STACKED if hasattr(FAMILIES[name].Options, key)),
]


def project(family: str, **options: Any) -> Project:
    return parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x"},
            "signals": {f"s{i}": {} for i in range(CHANNELS)},
            "task": {"kind": "rul"},
            "model": {"family": family, **options},
        }
    )


def loud(of: Project) -> Predictor:
    """A fitted model's double: folded, with weights that are not tiny and biases that are not zero."""
    torch.manual_seed(3)
    scaler = Scaler(CHANNELS)
    scaler.set(mean=np.full(CHANNELS, 2.0), scale=np.full(CHANNELS, 0.5))
    predictor = build_predictor(of, scaler)
    predictor.family.fold()
    with torch.no_grad():
        for parameter in predictor.family.parameters():
            parameter.copy_(1.5 * parameter + 0.05 * torch.randn(parameter.shape))
    return predictor.eval()


def some(family: Family, width: int, left: int) -> list[torch.Tensor]:
    """Random units to keep, others in each group."""
    return [torch.randperm(width)[:left].sort().values for _ in family.units()]


def given(family: Family, batch: int, steps: int) -> tuple[torch.Tensor, ...]:
    """Random readings [B, T, C], and what the family takes behind them."""
    return taken(family, 2.0 * torch.randn(batch, steps, CHANNELS))


@pytest.fixture(params=SHAPES, ids=lambda shape: "-".join([shape[0], *shape[1]]))
def shape(request: pytest.FixtureRequest) -> Project:
    name, options = request.param
    return project(name, **options)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_the_cut_network_equals_its_masked_self(shape: Project, amount: float) -> None:
    whole = loud(shape)
    width = width_of(shape)
    left = max(1, round(width * (1 - amount)))
    kept = some(whole.family, width, left)
    silent, small = mask(whole.family, kept), narrow(whole.family, shape, kept)
    small.fold()
    x = given(small, 3, 120)
    with torch.no_grad():
        want = silent(*x)
        torch.testing.assert_close(small(*x), want, rtol=0, atol=1e-5)
        assert not torch.allclose(small(*x), whole.family(*x), atol=1e-3)
        state = small.init_state(3)
        for t in range(40):
            y_t, *following = small.step(*(part[:, t] for part in x), *state)
            state = tuple(following[len(small.extras) :])
            torch.testing.assert_close(y_t, want[:, t], rtol=0, atol=1e-5)
    fresh = loud(narrowed(shape, left)).family.init_state(3)
    assert [tensor.shape for tensor in state] == [tensor.shape for tensor in fresh]


def test_pruning_leaves_the_whole_network_as_it_was(shape: Project) -> None:
    whole = loud(shape)
    before = {name: t.clone() for name, t in whole.state_dict().items()}
    kept = some(whole.family, width_of(shape), 3)
    narrow(whole.family, shape, kept)
    mask(whole.family, kept)
    assert all(torch.equal(t, before[name]) for name, t in whole.state_dict().items())


def test_a_cut_network_is_ready_to_be_fitted_on(shape: Project) -> None:
    whole = loud(shape)
    small = narrow(whole.family, shape, some(whole.family, width_of(shape), 4))
    small.train()
    small(*given(small, 2, 30)).square().mean().backward()
    assert all(p.requires_grad and p.grad is not None for p in small.parameters())


def test_every_unit_lies_in_what_it_is_said_to_lie_in(shape: Project) -> None:
    """A weight with units in it that no group names would keep its size, and the cut network would not be built."""
    family = loud(shape).family
    left = 7
    small = narrow(family, shape, some(family, width_of(shape), left))
    fresh = loud(narrowed(shape, left)).family
    small.fold()
    assert {n: p.shape for n, p in small.named_parameters()} == {n: p.shape for n, p in fresh.named_parameters()}


@pytest.mark.parametrize("name", PRUNABLE)
def test_a_cut_network_is_exported_as_if_it_had_always_been_that_small(name: str) -> None:
    of, left = project(name), 5
    whole = loud(of)
    small = narrow(whole.family, of, some(whole.family, width_of(of), left))
    small.fold()
    predictor = Predictor(narrowed(of, left), whole.scaler, small, whole.task).eval()
    step = StepModule(predictor)
    content = TARGETS["onnx"](step).emit("float32").content
    session = engine().InferenceSession(content, providers=["CPUExecutionProvider"])
    x = given(small, 1, 20)
    with torch.no_grad():
        want = predictor(*x)[0].numpy()
    state = [tensor.numpy() for tensor in step.initial]
    for t in range(20):
        reading = [part[:, t].numpy() for part in x]
        feed = dict(zip(step.inputs, [*reading, *state], strict=True))
        y, *state = session.run(["y", *step.after], feed)
        np.testing.assert_allclose(y[0], want[t], rtol=0, atol=1e-3)


def test_silent_units_do_not_matter_and_others_do(shape: Project) -> None:
    whole = loud(shape)
    width = width_of(shape)
    kept = some(whole.family, width, width // 2)
    silent = mask(whole.family, kept)
    steps = 120
    more = {"dt": torch.rand(steps, 1), "mask": torch.ones(steps, CHANNELS)}
    life = 3 * torch.randn(steps, CHANNELS), torch.rand(steps, 1) * 60, torch.ones(steps, 1), torch.zeros(steps).bool()
    lesson = Lesson(*life, more=more)
    matters = importance(silent, whole.task, [lesson] * 3, np.random.default_rng(0), 512)
    for felt, loud_ones in zip(matters, kept, strict=True):
        assert felt.shape == (width,) and felt.count_nonzero() == felt[loud_ones].count_nonzero() > width // 4
        assert keep([felt], 1)[0].item() == felt.argmax()


def test_a_family_that_cannot_be_pruned_says_so_and_which_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES["tcn"], "units", lambda family: ())
    with pytest.raises(ProjectError, match=r"model family `tcn` cannot be pruned; of those that can there are .*gru"):
        width_of(project("tcn"))


@pytest.mark.parametrize(
    ("amount", "steps", "wanted"),
    [(0.5, 1, [32]), (0.5, 4, [54, 45, 38, 32]), (0.75, 2, [32, 16]), (0.01, 4, [63]), (0.999, 3, [16, 4, 1])],
)
def test_every_step_cuts_the_same_share_and_the_last_one_leaves_what_was_asked(
    amount: float, steps: int, wanted: list[int]
) -> None:
    spec = parse_project(
        {
            "project": {"name": "t"},
            "data": {"path": "x"},
            "signals": {"a": {}},
            "task": {"kind": "rul"},
            "prune": {"amount": amount, "steps": steps},
        }
    ).prune
    assert list(widths(64, spec)) == wanted
