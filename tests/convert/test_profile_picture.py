"""The profile's picture: drawn on the workstation, measured here or on a device."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.pumps import edge
from tests.support.roads import Road


def row(executable: str, backend: str, median: float, **more: Any) -> dict[str, Any]:
    times = {"p10_us": 0.9 * median, "median_us": median, "p90_us": 1.3 * median, "p99_us": 3 * median}
    facts = {"engine": "x", "recipe": executable.partition("/")[2], "steps": 500, "max_us": 90.0, "ratio": 1.0}
    rest = {"metric": 12.0, "change": 0.0, "bytes": 9000, "resident_mb": 40.0, "load_ms": 150.0}
    return {"executable": executable, "backend": backend, **times, **facts, **rest, **more}


REPORT: dict[str, Any] = {
    "machine": {"processor": "Raspberry Pi 4", "architecture": "aarch64", "system": "Linux", "python": "3.11"},
    "metric": "RMSE",
    "unit": "cycles",
    "rows": [row("tflite/float32", "litert", 30.0), row("onnx/dynamic-int8", "ort", 90.0, resident_mb=None)],
    "advice": "Deploy --backend litert --recipe float32.",
}


def size(path: Path) -> tuple[int, int]:
    return Image.open(io.BytesIO(path.read_bytes())).size


def test_a_measurement_is_drawn_and_printed(
    one_road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "profile.png"
    assert edge(monkeypatch, "profile", one_road.bundle.path, "--steps", 100, "--json", "--picture", picture) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)["rows"]
    assert f"drawn into {picture}" in told.err and size(picture) == (1760, round(160 * (1.9 + 0.5 * len(rows))))


def test_a_devices_measurement_is_printed_and_drawn_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, picture = tmp_path / "device.json", tmp_path / "profile.png"
    saved.write_text(json.dumps(REPORT))
    assert edge(monkeypatch, "profile", "--from", saved, "--picture", picture) == 0
    out = capsys.readouterr().out
    assert out.startswith("Raspberry Pi 4, aarch64") and "onnx/dynamic-int8" in out and REPORT["advice"] in out
    assert size(picture) == (1760, round(160 * 2.9))
    assert edge(monkeypatch, "profile", "--from", saved, "--json") == 0
    assert json.loads(capsys.readouterr().out) == REPORT


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not what `edge profile BUNDLE --json` prints"),
        ("[]", "must be a table"),
        (json.dumps({**REPORT, "rows": []}), "names no file"),
        (json.dumps({**REPORT, "machine": {}}), "names no file or no machine"),
        (json.dumps({**REPORT, "rows": [{**REPORT["rows"][0], "median_us": "fast"}]}), "`rows[0].median_us` must be"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_measurement_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    says: str,
) -> None:
    saved = tmp_path / "device.json"
    if content is not None:
        saved.write_text(content)
    assert edge(monkeypatch, "profile", "--from", saved, "--picture", tmp_path / "p.png") == 3
    told = capsys.readouterr()
    assert says in told.err and told.out == "" and not (tmp_path / "p.png").exists()


def test_a_bundle_or_a_saved_measurement_not_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge(monkeypatch, "profile") == 2
    assert edge(monkeypatch, "profile", "x.edge", "--from", "y.json") == 2
    assert capsys.readouterr().err.count("name a BUNDLE to measure, or a saved measurement") == 2


def test_without_matplotlib_the_remedy_comes_before_any_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert edge(monkeypatch, "profile", tmp_path / "none.edge", "--picture", tmp_path / "p.png") == 2
    assert (
        "`--picture` needs `matplotlib`, which is not installed: pip install 'edgestep[train]'"
        in capsys.readouterr().err
    )
