"""Behind a pruning the road goes on as if the model had always been that small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli import group
from tests.support.roads import Road
from train.models import FAMILIES

PRUNABLE = [name for name in FAMILIES if FAMILIES[name](1, 1, FAMILIES[name].Options()).units()]


def edge(*arguments: object) -> str:
    """What a verb that ends well prints."""
    found = CliRunner().invoke(group, [str(a) for a in arguments])
    assert found.exit_code == 0, (found.output, found.exception)
    return found.stdout


@pytest.mark.parametrize("road", PRUNABLE, indirect=True)
def test_a_pruned_run_converts_verifies_scores_and_is_profiled(road: Road, tmp_path: Path) -> None:
    small, bundle = tmp_path / "small", tmp_path / "small.edge"
    short = ["--set", "prune.last_epochs=1", "--steps", 1]
    edge("prune", road.run_folder, "--amount", 0.5, "-o", small, *short)
    edge("convert", small, "-o", bundle, "--target", "onnx", "--recipe", "float32")
    assert "FAILED" not in edge("verify", bundle)
    rows = [json.loads(line) for line in edge("score", bundle, road.histories[0], "--json").splitlines()]
    assert len(rows) == len(road.histories[0].read_text().splitlines()) - 1
    measured = json.loads(edge("profile", bundle, "--steps", 100, "--json"))["rows"]
    whole = {e.key: len(road.bundle.model(e)) for e in road.bundle.manifest.executables}
    assert measured and all(row["bytes"] < whole[row["executable"]] for row in measured)
