"""Claims about the repository itself: who may import whom, what is light, where files lie."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge.cli import VERBS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edge", "train", "convert", "device")
LONGEST = 350
"""Lines; a file beyond holds two ideas."""

HEAVY = frozenset(
    {"torch", "tensorflow", "numpy", "onnx", "onnxruntime", "onnxscript", "ai_edge_litert", "tflite_runtime"}
    | {"litert_torch", "ai_edge_quantizer", "sklearn", "matplotlib", "rich", "amqtt", "pyarrow"}
    | {"statsmodels", "hmmlearn", "pandas"}
)
DEVICE_MAY = frozenset({"click", "paho", "orjson", *PACKAGES})
"""Beyond the standard library, what the runtime may have imported when nothing is open yet."""


def loaded(code: str) -> set[str]:
    """Top-level modules in `sys.modules` after `code` in a fresh interpreter."""
    tell = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    said = subprocess.run([sys.executable, "-P", "-c", code + tell], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    names: list[str] = json.loads(said.stdout.splitlines()[-1])
    return set(names)


def sources(*folders: str) -> list[Path]:
    """Python files under these folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.is_file():
        pytest.skip("import-linter is not installed: pip install 'edgestep[dev]'")
    said = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_module_of_edge_has_its_layer() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers, forbidden = table["tool"]["importlinter"]["contracts"]
    named = {name.strip() for layer in layers["layers"] for name in layer.split(":")}
    here = {f"edge.{path.stem}" for path in (ROOT / "edge").iterdir() if path.suffix == ".py" or path.is_dir()}
    here -= {"edge.__init__", "edge.__pycache__"}
    assert here == {name for name in named if name.startswith("edge.")}
    assert here - {"edge.verbs", "edge.demo"} == set(forbidden["source_modules"]) - {"device"}


def test_help_imports_nothing_heavy() -> None:
    call = "import sys; sys.argv = ['edge', '--help']\nfrom edge.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded(call) & (HEAVY | {"train", "convert", "device"})


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_imports_nothing_heavy(verb: str) -> None:
    call = f"import sys; sys.argv = ['edge', '{verb}', '--help']\nfrom edge.cli import main\n"
    assert not loaded(call + "try: main()\nexcept SystemExit as end: assert not end.code, end.code") & HEAVY


def test_the_runtime_imports_only_what_every_pi_has() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sources("device")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    got = loaded("\n".join(f"import {module}" for module in modules))
    assert not {name for name in got - DEVICE_MAY - sys.stdlib_module_names if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_longer_than_one_idea(package: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long


def test_no_file_hides_a_library() -> None:
    libraries = HEAVY | {"click", "paho", "orjson", "pytest", "hypothesis"}
    assert not [path for path in sources(*PACKAGES, "tests") if path.stem in libraries]


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_public_name_has_a_docstring() -> None:
    import ast

    bare = []
    for path in sources(*PACKAGES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found: list[ast.Module | ast.ClassDef | ast.FunctionDef] = [tree]
        for node in found:
            for child in node.body:
                public = isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_")
                if public and not isinstance(node, ast.FunctionDef):
                    assert isinstance(child, ast.ClassDef | ast.FunctionDef)
                    found.append(child)
        for node in found:
            name = "module" if isinstance(node, ast.Module) else node.name
            if ast.get_docstring(node) is None:
                bare.append(f"{path.relative_to(ROOT)}: {name}")
    assert not bare
