"""Claims every registered model family must stand up to; a newcomer is picked up from the table."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from train.models import FAMILIES
from train.models.base import Family

CHANNELS, OUTPUTS, BATCH = 5, 2, 3
LONG = 10_000
"""Readings that stand for "for ever"."""


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    """Each family with its default options and weights that are not tiny, so that every path carries signal."""
    torch.manual_seed(3)
    cls = FAMILIES[request.param]
    made: Family = cls(CHANNELS, OUTPUTS, cls.Options())
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.5)
    return made.eval()


def readings(steps: int, batch: int = BATCH, seed: int = 0) -> Tensor:
    """x [batch, steps, C] as a scaler leaves it."""
    return torch.randn(batch, steps, CHANNELS, generator=torch.Generator().manual_seed(seed))


def stepped(family: Family, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs [B, T, O] of the step form, and the last state."""
    state = family.init_state(len(x)) if state is None else state
    outputs = []
    with torch.no_grad():
        for x_t in x.unbind(1):
            y_t, *following = family.step(x_t, *state)
            state = tuple(following)
            outputs.append(y_t)
    return torch.stack(outputs, 1), state


def parallel(family: Family, x: Tensor) -> Tensor:
    """Outputs [B, T, O] of the parallel form."""
    with torch.no_grad():
        y: Tensor = family(x)
    return y


def test_step_equals_forward_beyond_memory(family: Family) -> None:
    x = readings(LONG if family.memory is None else 3 * family.memory, batch=2)
    torch.testing.assert_close(stepped(family, x)[0], parallel(family, x), rtol=1e-4, atol=1e-5)


def test_outputs_have_the_announced_shape(family: Family) -> None:
    assert parallel(family, readings(7)).shape == (BATCH, 7, OUTPUTS)


def test_one_reading_is_enough(family: Family) -> None:
    x = readings(1)
    torch.testing.assert_close(stepped(family, x)[0], parallel(family, x), rtol=1e-4, atol=1e-5)


def test_the_future_changes_nothing(family: Family) -> None:
    x = readings(60)
    other = x.clone()
    other[:, 40:] = 99.0
    assert torch.equal(parallel(family, x)[:, :40], parallel(family, other)[:, :40])


def test_nothing_before_the_memory_counts(family: Family) -> None:
    if family.memory is None:
        pytest.skip("unbounded memory")
    x = readings(family.memory + 5)
    older = x.clone()
    older[:, :5] += 10.0
    torch.testing.assert_close(parallel(family, x)[:, -1], parallel(family, older)[:, -1], rtol=0, atol=1e-6)
    older[:, 5] += 10.0
    assert not torch.allclose(parallel(family, x)[:, -1], parallel(family, older)[:, -1], rtol=0, atol=1e-6)


def test_step_leaves_its_inputs_alone(family: Family) -> None:
    x = readings(12)
    _, state = stepped(family, x)
    before = [t.clone() for t in (x[:, 0], *state)]
    with torch.no_grad():
        first = family.step(x[:, 0], *state)
        second = family.step(x[:, 0], *state)
    assert all(torch.equal(a, b) for a, b in zip(before, (x[:, 0], *state), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_state_has_static_shapes_and_names(family: Family) -> None:
    state = family.init_state(BATCH)
    assert len(set(family.state_names)) == len(family.state_names) == len(state)
    assert all(name.isidentifier() for name in family.state_names)
    _, later = stepped(family, readings(5))
    for before, after in zip(state, later, strict=True):
        assert before.shape == after.shape and before.shape[0] == BATCH
        assert before.dtype == after.dtype == torch.float32


def test_a_stream_resumes_in_the_middle(family: Family) -> None:
    x = readings(50)
    whole, _ = stepped(family, x)
    _, state = stepped(family, x[:, :23])
    kept = tuple(torch.tensor(t.tolist()) for t in state)
    assert torch.equal(stepped(family, x[:, 23:], kept)[0], whole[:, 23:])


def test_rows_of_a_batch_do_not_meet(family: Family) -> None:
    x = readings(40)
    other = x.clone()
    other[1] = 99.0
    kept = [0, 2]
    assert torch.equal(parallel(family, x)[kept], parallel(family, other)[kept])
    torch.testing.assert_close(parallel(family, x[:1]), parallel(family, x)[:1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stepped(family, x[:1])[0], stepped(family, x)[0][:1], rtol=1e-5, atol=1e-5)


def test_ten_thousand_readings_stay_finite_and_the_state_does_not_grow(family: Family) -> None:
    x = readings(LONG, batch=1) * 5
    y, state = stepped(family, x)
    assert torch.isfinite(y).all() and all(torch.isfinite(t).all() for t in state)
    assert [t.shape for t in state] == [t.shape for t in family.init_state(1)]


def test_every_weight_learns(family: Family) -> None:
    family.train()
    family(readings(30)).square().mean().backward()
    silent = [
        n for n, p in family.named_parameters() if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()
    ]
    assert not silent


def test_folding_changes_no_output_and_leaves_plain_weights(family: Family) -> None:
    x = readings(30)
    before = parallel(family, x)
    family.fold()
    family.fold()
    torch.testing.assert_close(parallel(family, x), before, rtol=1e-5, atol=1e-6)
    assert not any("parametrizations" in name for name in family.state_dict())


def test_the_step_traces_to_one_graph(family: Family) -> None:
    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.family = family

        def forward(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            return self.family.step(x_t, *state)

    family.fold()
    x, state = readings(1, batch=1)[:, 0], family.init_state(1)
    traced = torch.export.export(Step().eval(), (x, *state)).module()
    for a, b in zip(traced(x, *state), family.step(x, *state), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
