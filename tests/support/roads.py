"""The whole road in small, once a family: simulated fleet, training, conversion. A conftest takes the fixture over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from edge.bundle import Bundle
from edge.spec import load_project
from train.data.simulate import Fleet, project_text, simulate, write_histories
from train.models import FAMILIES
from train.run import Run


@dataclass(frozen=True)
class Road:
    """What one journey leaves behind."""

    family: str
    project: Path
    run: Run
    run_folder: Path
    bundle: Bundle
    histories: list[Path]


def travel(folder: Path, family: str) -> Road:
    """Fit `family` for a few epochs to a few simulated machines and convert it to every target and recipe."""
    from convert.pack import convert
    from train.pipeline import train_run

    write_histories(folder / "history", simulate(Fleet(machines=12, seed=1)))
    project = folder / "pumps.toml"
    project.write_text(project_text(test=None))
    small = f"model.{FAMILIES[family].width}=8"
    settings = ["train.epochs=4", "train.learning_rate=0.02", f"model.family={family}", small]
    run = train_run(load_project(project, settings), folder / "run")
    bundle = convert(run, folder / "pumps.edge")
    return Road(family, project, run, folder / "run", bundle, sorted((folder / "history").glob("*.csv")))


@pytest.fixture(scope="session")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Road]:
    """Family -> its road, travelled once a session."""

    @cache
    def of(family: str) -> Road:
        return travel(tmp_path_factory.mktemp(f"road-{family}"), family)

    return of


@pytest.fixture(scope="session", params=list(FAMILIES))
def road(request: pytest.FixtureRequest, roads: Callable[[str], Road]) -> Road:
    """The road of each registered family."""
    return roads(request.param)


@pytest.fixture(scope="session")
def one_road(roads: Callable[[str], Road]) -> Road:
    """The road of one family, for claims that have nothing to do with the family."""
    return roads("gru")
