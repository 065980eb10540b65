"""Claims every registered model family must stand up to; a newcomer is picked up from the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from convert.targets import TARGETS
from edge.manifest import TAKES
from edge.recipes import RECIPES
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


@dataclass(frozen=True)
class Readings:
    """What a family is given: `x` [B, T, C] as a scaler leaves it, and what it takes behind it."""

    parts: tuple[Tensor, ...]

    def __getitem__(self, times: slice) -> Readings:
        return Readings(tuple(part[:, times] for part in self.parts))

    def rows(self, batch: slice | list[int]) -> Readings:
        return Readings(tuple(part[batch] for part in self.parts))

    def at(self, t: int) -> tuple[Tensor, ...]:
        return tuple(part[:, t] for part in self.parts)

    def changed(self, batch: slice | int, times: slice | int, value: float) -> Readings:
        """The same but for `value` in every part there."""
        parts = tuple(part.clone() for part in self.parts)
        for part in parts:
            part[batch, times] = value
        return Readings(parts)


def readings(family: Family, steps: int, batch: int = BATCH, seed: int = 0) -> Readings:
    """Irregular readings: gaps about 1 and some far longer, values of which a third is held."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, steps, CHANNELS, generator=draw)
    mask = (torch.rand(batch, steps, CHANNELS, generator=draw) > 0.33).float()
    dt = torch.rand(batch, steps, 1, generator=draw) * 2
    dt = torch.where(torch.rand(batch, steps, 1, generator=draw) > 0.95, 50.0, dt)
    dt[:, 0] = 0.0
    more = {"dt": dt, "mask": mask}
    return Readings((x, *(more[name] for name in family.takes)))


def stepped(
    family: Family, given: Readings, state: tuple[Tensor, ...] | None = None, learning: bool = False
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs [B, T, O] of the step form, and the last state."""
    state = family.init_state(len(given.parts[0])) if state is None else state
    outputs = []
    with torch.inference_mode(not learning):
        for t in range(given.parts[0].shape[1]):
            y_t, *following = family.step(*given.at(t), *state)
            state = tuple(following[len(family.extras) :])
            outputs.append(y_t)
    return torch.stack(outputs, 1), state


def parallel(family: Family, given: Readings) -> Tensor:
    """Outputs [B, T, O] of the parallel form."""
    with torch.no_grad():
        y: Tensor = family(*given.parts)
    return y


def test_step_equals_forward_beyond_memory(family: Family) -> None:
    family.fold()
    x = readings(family, LONG if family.memory is None else 3 * family.memory, batch=2)
    want = parallel(family, x)
    reach = float(want.max() - want.min())
    torch.testing.assert_close(stepped(family, x)[0], want, rtol=0, atol=1e-5 * reach)


def test_outputs_have_the_announced_shape(family: Family) -> None:
    assert parallel(family, readings(family, 7)).shape == (BATCH, 7, OUTPUTS)


def test_one_reading_is_enough(family: Family) -> None:
    x = readings(family, 1)
    torch.testing.assert_close(stepped(family, x)[0], parallel(family, x), rtol=1e-4, atol=1e-5)


def test_the_future_changes_nothing(family: Family) -> None:
    x = readings(family, 60)
    other = x.changed(slice(None), slice(40, None), 99.0)
    assert torch.equal(parallel(family, x)[:, :40], parallel(family, other)[:, :40])


def test_nothing_before_the_memory_counts(family: Family) -> None:
    if family.memory is None:
        pytest.skip("unbounded memory")
    x = readings(family, family.memory + 5)
    older = x.changed(slice(None), slice(0, 5), 10.0)
    torch.testing.assert_close(parallel(family, x)[:, -1], parallel(family, older)[:, -1], rtol=0, atol=1e-6)
    older = x.changed(slice(None), slice(0, 6), 10.0)
    assert not torch.allclose(parallel(family, x)[:, -1], parallel(family, older)[:, -1], rtol=0, atol=1e-6)


def test_step_leaves_its_inputs_alone(family: Family) -> None:
    x = readings(family, 12)
    _, state = stepped(family, x)
    given = (*x.at(0), *state)
    before = [t.clone() for t in given]
    with torch.no_grad():
        first = family.step(*given)
        second = family.step(*given)
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_state_has_static_shapes_and_names(family: Family) -> None:
    state = family.init_state(BATCH)
    assert len(set(family.state_names)) == len(family.state_names) == len(state)
    assert all(name.isidentifier() for name in family.state_names)
    _, later = stepped(family, readings(family, 5))
    for before, after in zip(state, later, strict=True):
        assert before.shape == after.shape and before.shape[0] == BATCH
        assert before.dtype == after.dtype == torch.float32


def test_a_stream_resumes_in_the_middle(family: Family) -> None:
    x = readings(family, 50)
    whole, _ = stepped(family, x)
    _, state = stepped(family, x[:23])
    kept = tuple(torch.tensor(t.tolist()) for t in state)
    assert torch.equal(stepped(family, x[23:], kept)[0], whole[:, 23:])


def test_rows_of_a_batch_do_not_meet(family: Family) -> None:
    x = readings(family, 40)
    other = x.changed(1, slice(None), 99.0)
    kept = [0, 2]
    assert torch.equal(parallel(family, x)[kept], parallel(family, other)[kept])
    torch.testing.assert_close(parallel(family, x.rows(slice(1))), parallel(family, x)[:1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stepped(family, x.rows(slice(1)))[0], stepped(family, x)[0][:1], rtol=1e-5, atol=1e-5)


def test_ten_thousand_readings_stay_finite_and_the_state_does_not_grow(family: Family) -> None:
    family.fold()
    x = readings(family, LONG, batch=1)
    x = Readings((x.parts[0] * 5, *x.parts[1:]))
    y, state = stepped(family, x)
    assert torch.isfinite(y).all() and all(torch.isfinite(t).all() for t in state)
    assert [t.shape for t in state] == [t.shape for t in family.init_state(1)]


def test_every_weight_learns(family: Family) -> None:
    family.train()
    family(*readings(family, 30).parts).square().mean().backward()
    silent = [
        n for n, p in family.named_parameters() if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()
    ]
    assert not silent


def test_both_forms_have_the_same_gradients(family: Family) -> None:
    x = readings(family, 80)
    goal = torch.randn(BATCH, 80, OUTPUTS, generator=torch.Generator().manual_seed(1))
    slopes = []
    for form in (lambda: family(*x.parts), lambda: stepped(family, x, learning=True)[0]):
        family.zero_grad()
        ((form() - goal) ** 2).mean().backward()
        slopes.append({n: p.grad.clone() for n, p in family.named_parameters() if p.grad is not None})
    assert slopes[0].keys() == slopes[1].keys()
    for name, slope in slopes[0].items():
        torch.testing.assert_close(slope, slopes[1][name], rtol=1e-3, atol=1e-4 * float(slope.abs().max()), msg=name)


def test_folding_changes_no_output_and_leaves_plain_weights(family: Family) -> None:
    x = readings(family, 30)
    before = parallel(family, x)
    family.fold()
    family.fold()
    torch.testing.assert_close(parallel(family, x), before, rtol=1e-5, atol=1e-6)
    assert not any("parametrizations" in name for name in family.state_dict())


def test_folding_hides_no_weight_from_who_counts_them(family: Family) -> None:
    family.fold()
    assert sum(p.numel() for p in family.parameters()) == sum(t.numel() for t in family.state_dict().values())


def test_the_step_traces_to_one_graph(family: Family) -> None:
    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.family = family

        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            return self.family.step(*inputs)

    family.fold()
    inputs = (*readings(family, 1, batch=1).at(0), *family.init_state(1))
    traced = torch.export.export(Step().eval(), inputs).module()
    for a, b in zip(traced(*inputs), family.step(*inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_what_it_takes_is_known_and_counts(family: Family) -> None:
    assert family.takes == tuple(name for name in TAKES if name in family.takes)
    x = readings(family, 40)
    for i, name in enumerate(family.takes, start=1):
        parts = list(x.parts)
        parts[i] = torch.ones_like(parts[i]) if name == "mask" else parts[i] * 3
        assert not torch.allclose(parallel(family, Readings(tuple(parts))), parallel(family, x)), name


def test_a_gap_of_years_leaves_everything_finite_and_inside_its_bounds(family: Family) -> None:
    if "dt" not in family.takes:
        pytest.skip("takes no time")
    x = readings(family, 40)
    x.parts[1 + family.takes.index("dt")][:, 20] = 1e8
    y, state = stepped(family, x[:21])
    torch.testing.assert_close(y, parallel(family, x[:21]), rtol=1e-4, atol=1e-4)
    for name, tensor in zip(family.state_names, state, strict=True):
        assert float(tensor.abs().max()) <= family.state_bounds.get(name, 1e6)
    torch.testing.assert_close(stepped(family, x)[0], parallel(family, x), rtol=1e-4, atol=1e-4)
    assert parallel(family, x).isfinite().all()


def test_no_reading_drives_a_state_out_of_its_bounds(family: Family) -> None:
    with torch.no_grad():
        for parameter in family.parameters():
            parameter.mul_(3)
    x = readings(family, 60)
    x = Readings((x.parts[0] * 1e10, *x.parts[1:]))
    state = family.init_state(BATCH)
    with torch.no_grad():
        for t in range(60):
            y, *following = family.step(*x.at(t), *state)
            state = tuple(following[len(family.extras) :])
            assert y.isfinite().all()
            for name, tensor in zip(family.state_names, state, strict=True):
                assert float(tensor.abs().max()) <= family.state_bounds.get(name, torch.inf) * (1 + 1e-6), name


def test_bounds_are_said_of_states_there_are(family: Family) -> None:
    assert family.state_bounds.keys() <= set(family.state_names)


def test_extras_have_the_announced_names_and_shapes(family: Family) -> None:
    names = [extra.name for extra in family.extras]
    assert len({*names, *family.state_names, "y"}) == len(names) + len(family.state_names) + 1
    with torch.no_grad():
        said = family.step(*readings(family, 1, batch=1).at(0), *family.init_state(1))
    assert len(said) == 1 + len(names) + len(family.state_names)
    for extra, tensor in zip(family.extras, said[1:], strict=False):
        assert extra.shape == tuple(tensor.shape) and tensor.dtype == torch.float32


def test_what_it_declines_is_a_recipe_with_a_reason(family: Family) -> None:
    known = {*RECIPES, *(f"{target}/{recipe}" for target in TARGETS for recipe in RECIPES)}
    assert all(key in known and why for key, why in family.declines.items())


def test_its_width_is_an_option_that_makes_it_larger(family: Family) -> None:
    def weights(width: int) -> int:
        cls = type(family)
        made = cls(CHANNELS, OUTPUTS, replace(cls.Options(), **{cls.width: width}))
        return sum(parameter.numel() for parameter in made.parameters())

    assert weights(8) < weights(16) < weights(32) < weights(64)
