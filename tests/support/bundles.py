"""Fixtures that hand out tiny bundles; a conftest takes them over by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.bundle import Bundle
from tests.support import tiny


@dataclass(frozen=True)
class Workshop:
    """The exported step and its files, from which a test packs the bundle it needs."""

    step: tiny.TinyStep
    files: list[tiny.Exported]

    def pack(self, path: Path, **changes: object) -> Bundle:
        """A bundle whose project differs in the given sections."""
        return tiny.pack(path, self.step, self.files, {**tiny.PROJECT, **changes})


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The tiny step, exported once a session."""
    pytest.importorskip("torch")
    pytest.importorskip("litert_torch")
    pytest.importorskip("onnxruntime")
    return Workshop(*tiny.export(tmp_path_factory.mktemp("export")))


@pytest.fixture(scope="session")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle as a device would open it."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.edge"
    workshop.pack(path)
    return Bundle.open(path)
