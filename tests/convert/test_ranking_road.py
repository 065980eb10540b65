"""Claims about `edge rank` as a whole: the table, its files, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.pumps import edge, write_pumps
from train.models import FAMILIES
from train.ranking.report import render_ranking

EDGE = [sys.executable, "-P", "-c", "from edge.cli import main; main()"]
SHORT = ("--parameters", "800", "--seeds", "1", "--folds", "2", "--jobs", "2", "--set", "train.epochs=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rank")
    write_pumps(made, "gru", epochs=2)
    return made


def row(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in report["rows"] if row["name"] == name)


@pytest.mark.timeout(600)
def test_families_and_baselines_stand_in_one_table_that_the_folder_keeps(
    folder: Path,
) -> None:
    asked = ["rank", str(folder / "pump.toml"), "--families", "gru,gru_d", *SHORT, "-o", str(folder / "out"), "--json"]
    # A process of its own: what converters print is held back where a process writes, not where Python does.
    made = subprocess.run([*EDGE, *asked], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    said = made.stdout
    out = {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.is_file()}
    assert out.keys() == {"ranking.json", "ranking.txt", "ranking.png", "ranking.html"}
    assert said == out["ranking.json"].decode(), "no converter's talk among it"
    assert out["ranking.png"].startswith(b"\x89PNG")
    report = json.loads(said)
    assert render_ranking(report) + "\n" == out["ranking.txt"].decode()
    assert "over seeds" not in render_ranking(report)
    again = [{**row, "by_seed": {q: [1.5, 2.5] for q in row["by_seed"]}} for row in report["rows"]]
    assert "1.5 … 2.5" in render_ranking({**report, "seeds": 2, "rows": again})
    assert {r["name"] for r in report["rows"]} == {
        "gru",
        "gru_d",
        "ridge",
        "life ridge",
        "constant",
        "HMM",
        "mean life",
    }
    for name in ("gru", "gru_d"):
        one = row(report, name)
        assert not one["why"] and one["parameters"] <= 800 and one["cpu_seconds_a_fit"] > 0
        assert {file["file"].partition("/")[2] for file in one["files"]} == {"float32", "dynamic-int8"}
        small = [f for f in one["files"] if f["file"].endswith("/dynamic-int8") and f["ok"]]
        cheapest = min(small, key=lambda file: file["median_us"])
        assert (one["file"], one["bytes"], one["median_us"]) == tuple(
            cheapest[key] for key in ("file", "bytes", "median_us")
        )
        assert one["bytes"] > one["parameters"] and one["median_us"] > 0
        line = next(text for text in out["ranking.txt"].decode().splitlines() if f" {name} " in text)
        assert f" {one['bytes']} " in line and f" {one['median_us']:.2f} " in line, "the price stands in the table"
        assert f"{one['bytes']:,}" in out["ranking.html"].decode()
    assert {r["name"] for r in report["rows"] if r["pareto"]} <= {"gru", "gru_d"}
    assert any(r["pareto"] for r in report["rows"])
    firsts = [r["errors"][report["questions"][0]]["value"] for r in report["rows"]]
    assert firsts == sorted(firsts)
    for question in report["questions"]:
        assert any(r["behind"][question] == [0.0, 0.0, 0.0] for r in report["rows"])
        assert all(r["behind"][question][0] >= 0 for r in report["rows"])
        assert question in report["verdicts"] and question in out["ranking.html"].decode()


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--families", "gru,lstmm"), 2, "unknown model family `lstmm`; did you mean `lstm`"),
        (("--families", " , "), 2, "--families names none; there are"),
        (("--set", "model.family=tcn"), 2, "name the families with --families"),
        (("--set", "model.hiden=8"), 2, "no family of this ranking knows `model.hiden`"),
        (("--folds", "9"), 3, "9 folds need 18 machines"),
        (("-o", "."), 3, "which no ranking does; nothing was touched"),
        (("-o", "pump.toml"), 3, "exists and is no ranking folder"),
        (("-o", "pump.toml/out"), 3, "cannot be made in"),
    ],
)
def test_what_cannot_be_ranked_is_said_before_anything_is_fitted(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert edge(monkeypatch, "rank", "pump.toml", *SHORT, *options) == status
    assert says in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_a_name_nobody_knows_is_told_before_files_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    away = f"data.path={tmp_path / 'nowhere.csv'}"
    asked = ("rank", folder / "pump.toml", "--families", "grru", "--set", away, "-o", tmp_path / "out")
    assert edge(monkeypatch, *asked) == 2
    assert "unknown model family `grru`" in capsys.readouterr().err


def test_all_families_are_ranked_where_none_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert edge(monkeypatch, "rank", "pump.toml", *SHORT, "--parameters", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {r["name"] for r in report["rows"] if r["family"]} == set(FAMILIES)
    assert all("as small as 3 parameters" in r["why"] for r in report["rows"] if r["family"])
    assert Path("pump-rank", "ranking.txt").read_text().count("is not ranked: ") == len(FAMILIES)
