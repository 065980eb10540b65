"""Claims about every family that says how it divides its attention: what the weights mean to who looks at them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from edge.errors import ProjectError
from tests.support.taken import taken
from train.models import FAMILIES
from train.models.base import Family

CHANNELS = 5


def made(name: str) -> Family:
    cls = FAMILIES[name]
    family: Family = cls(CHANNELS, 1, cls.Options())
    return family.eval()


LOOKING = [n for n in FAMILIES if any(e.name.startswith("attention") for e in made(n).extras)]


@pytest.fixture(params=LOOKING)
def family(request: pytest.FixtureRequest) -> Family:
    """Each family with weights that are not tiny."""
    torch.manual_seed(5)
    family = made(request.param)
    with torch.no_grad():
        for parameter in family.parameters():
            parameter.copy_(1.5 * parameter + 0.05 * torch.randn(parameter.shape))
    return family


def looked(family: Family, steps: int) -> list[dict[str, Tensor]]:
    """The weights behind each of the first `steps` readings, by name."""
    state, said = family.init_state(1), []
    names = [extra.name for extra in family.extras]
    with torch.inference_mode():
        x = torch.randn(1, steps, CHANNELS, generator=torch.Generator().manual_seed(0))
        for row in zip(*(part.unbind(1) for part in taken(family, x)), strict=True):
            _, *rest = family.step(*row, *state)
            extras, state = rest[: len(names)], tuple(rest[len(names) :])
            said.append({n: e for n, e in zip(names, extras, strict=True) if n.startswith("attention")})
    return said


def window(family: Family) -> int:
    return max(extra.shape[-1] for extra in family.extras if extra.name.startswith("attention"))


def test_weights_are_shares_of_one(family: Family) -> None:
    for weights in looked(family, 2 * window(family)):
        for shares in weights.values():
            assert (shares >= 0).all()
            torch.testing.assert_close(shares.sum(-1), torch.ones(shares.shape[:-1]))


def test_the_first_reading_looks_at_itself_which_is_the_last_column(family: Family) -> None:
    for shares in looked(family, 1)[0].values():
        assert (shares[..., -1] == 1).all() and not shares[..., :-1].any()


def test_an_empty_place_gets_nothing_and_places_fill_from_the_present_back(family: Family) -> None:
    for t, weights in enumerate(looked(family, window(family) + 3), start=1):
        for shares in weights.values():
            full = min(t, shares.shape[-1])
            assert (shares[..., -full:] > 0).all() and not shares[..., : shares.shape[-1] - full].any()


@pytest.mark.parametrize("name", [n for n in LOOKING if hasattr(FAMILIES[n].Options, "window")])
def test_any_window_of_two_or_more_is_looked_at_in_both_forms_alike(name: str) -> None:
    cls = FAMILIES[name]
    for size in (2, 3, 7):
        torch.manual_seed(size)
        family = cls(CHANNELS, 1, cls.Options(window=size)).eval()
        x = taken(family, torch.randn(2, 3 * size + 1, CHANNELS))
        state, outputs = family.init_state(2), []
        with torch.inference_mode():
            for row in zip(*(part.unbind(1) for part in x), strict=True):
                y, *rest = family.step(*row, *state)
                state = tuple(rest[len(family.extras) :])
                outputs.append(y)
            torch.testing.assert_close(torch.stack(outputs, 1), family(*x), rtol=0, atol=1e-5)
    with pytest.raises(ProjectError, match=r"`model\.window` must be from 2"):
        cls(CHANNELS, 1, cls.Options(window=1))


@pytest.mark.parametrize("name", [n for n in FAMILIES if hasattr(FAMILIES[n].Options, "heads")])
@pytest.mark.parametrize("heads", [1, 3, 4])
def test_any_number_of_heads_goes_with_any_width(name: str, heads: int) -> None:
    cls = FAMILIES[name]
    family = cls(CHANNELS, 2, cls.Options(**{cls.width: 7, "heads": heads})).eval()
    x = taken(family, torch.randn(2, 9, CHANNELS))
    state, outputs = family.init_state(2), []
    with torch.inference_mode():
        for row in zip(*(part.unbind(1) for part in x), strict=True):
            y, *rest = family.step(*row, *state)
            state = tuple(rest[len(family.extras) :])
            outputs.append(y)
        torch.testing.assert_close(torch.stack(outputs, 1), family(*x), rtol=0, atol=1e-5)
