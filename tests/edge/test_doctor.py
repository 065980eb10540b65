"""Claims about `edge doctor` and the search for shadowed packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.doctor import MISSING, OK, WRONG, examine, libraries
from edge.requires import Requirement, fits, parse, requirements
from edge.shadow import PACKAGES, ROOT, shadowed

DOCTOR = [sys.executable, "-P", "-c", "from edge.cli import main; main()", "doctor"]


def doctor(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`edge doctor` in `folder`, with the environment of this process and these variables."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command, env = [*DOCTOR, *options], {**inherited, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_here_nothing_is_wrong(tmp_path: Path) -> None:
    said = doctor(tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "paho-mqtt" in said.stdout


def test_json_says_what_the_table_says(tmp_path: Path) -> None:
    told = json.loads(doctor(tmp_path, "--json").stdout)
    assert told["ok"] is True
    assert {"ground", "base", "extras", "backends", "tools", "shadows"} == {f["section"] for f in told["findings"]}


def test_everything_missing_names_its_remedy() -> None:
    for finding in examine():
        assert finding.state == OK or finding.remedy, finding


@pytest.mark.parametrize("package", ["train", "convert", "device"])
def test_a_file_in_this_folder_that_hides_a_package_is_named(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text("x = 1\n", encoding="utf-8")
    said = doctor(tmp_path)
    assert said.returncode == 1
    assert str(tmp_path / f"{package}.py") in said.stderr
    assert "rename" in said.stderr and "Traceback" not in said.stderr


def test_a_file_on_pythonpath_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x = 1\n", encoding="utf-8")
    said = doctor(Path.home(), PYTHONPATH=str(tmp_path))
    assert said.returncode == 1
    assert str(tmp_path / "train.py") in said.stderr


def test_a_folder_of_histories_called_train_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert doctor(tmp_path).returncode == 0


def test_nothing_is_shadowed_here() -> None:
    assert shadowed() == []


def test_a_shadow_is_found_without_importing_it(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    [shadow] = shadowed([str(tmp_path), str(ROOT)])
    assert shadow.package == "train"
    assert shadow.found == str(tmp_path / "train" / "__init__.py")


def test_a_package_that_is_nowhere_is_missing(tmp_path: Path) -> None:
    assert [s.package for s in shadowed([str(tmp_path)])] == list(PACKAGES)
    assert all("missing" in str(s) for s in shadowed([str(tmp_path)]))


def test_our_metadata_is_understood() -> None:
    asked = requirements()
    assert set(asked[""]) == {"click", "orjson", "paho-mqtt"}
    assert asked["train"]["torch"].versions


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("click<9,>=8.1", Requirement("click", ("<9", ">=8.1"), "")),
        ("torch<2.14,>=2.13; extra == 'train'", Requirement("torch", ("<2.14", ">=2.13"), "train")),
        ('ruff>=0.9; extra == "dev"', Requirement("ruff", (">=0.9",), "dev")),
        ("edgestep[litert,onnx]; extra == 'all'", Requirement("edgestep", (), "all")),
        ("paho-mqtt (>=2)", Requirement("paho-mqtt", (">=2",), "")),
        ("click", Requirement("click", (), "")),
    ],
)
def test_requirement_lines_are_understood(line: str, want: Requirement) -> None:
    assert parse(line) == want


@pytest.mark.parametrize(
    ("version", "ranges", "want"),
    [
        ("2.13.0+cpu", ("<2.14", ">=2.13"), True),
        ("2.14", ("<2.14",), False),
        ("2.12.9", (">=2.13",), False),
        ("10.1", (">=9",), True),
        ("2", (">=2.0.0", "==2.0"), True),
        ("2.4", ("~=2.3",), True),
        ("0.19.0rc1", (">=0.19",), True),
    ],
)
def test_versions_are_compared_by_number(version: str, ranges: tuple[str, ...], want: bool) -> None:
    assert fits(version, ranges) is want


def need(name: str, *versions: str, extra: str = "") -> dict[str, Requirement]:
    """A table of one requirement."""
    return {name: Requirement(name, versions, extra)}


def test_a_missing_base_library_is_wrong() -> None:
    [finding] = libraries({"": need("no-such-library", ">=1")})
    assert finding.state == WRONG
    assert finding.remedy == "pip install 'no-such-library>=1'"


def test_a_missing_extra_is_no_fault() -> None:
    [finding] = libraries({"train": need("no-such-library", extra="train")})
    assert finding.state == MISSING
    assert finding.remedy == "pip install 'edgestep[train]'"


def test_a_library_that_does_not_fit_is_wrong_only_where_its_extra_is_installed() -> None:
    old = need("click", "<1", extra="train")
    [whole] = libraries({"train": old})
    [partial] = libraries({"train": old | need("no-such-library", extra="train")})
    assert (whole.state, partial.state) == (WRONG, MISSING)
    assert "wants <1" in whole.detail
