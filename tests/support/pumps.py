"""Ten small pumps that run to failure, and a project that learns them in a moment."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge import cli

PROJECT_FILE = """
[project]
name = "pump"
[data]
path = "history.csv"
machine = "pump"
failure = "failed"
[signals]
wear = {}
noise = {}
[task]
kind = "rul"
cap = 20
[model]
family = "FAMILY"
dropout = 0.2
WIDTH
[train]
epochs = EPOCHS
patience = 100
batch_size = 4
[prune]
steps = 2
epochs = 2
last_epochs = 20
"""
WIDTHS = {"gru": "hidden = 8\nlayers = 2", "tcn": "channels = 8\nlevels = 2"}


def write_pumps(folder: Path, family: str, epochs: int) -> Path:
    """`history.csv` and `pump.toml` in `folder`; the latter's path."""
    rng = np.random.default_rng(0)
    rows = ["pump,ts,failed,wear,noise"]
    for pump in range(10):
        steps = int(rng.integers(25, 40))
        rows += [f"p{pump},{t},{int(t == steps - 1)},{t - steps + rng.normal():.3f},{t % 3}" for t in range(steps)]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")
    path = folder / "pump.toml"
    text = PROJECT_FILE.replace("FAMILY", family).replace("WIDTH", WIDTHS.get(family, ""))
    path.write_text(text.replace("EPOCHS", str(epochs)))
    return path


def edge(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of the command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code
