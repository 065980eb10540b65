"""The bundle: every damage is found before anything is served."""

import io
import json
import math
import zipfile
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import manifest as manifests
from edge.bundle import Bundle, write_bundle
from edge.errors import BundleError, DataError
from edge.manifest import Certificate, Channel, Executable, Golden, Manifest, Output, Slice, State

TABLE = {
    "project": {"name": "pump"},
    "data": {"path": "h.csv"},
    "signals": {"a": {"unit": "mm/s"}},
    "task": {"kind": "rul", "cap": 125},
}
X = array("f", [1.5, -2.25, 3.0])
MEMBERS = {"onnx/float32.onnx": b"weights", "golden.bin": X.tobytes()}


def manifest() -> Manifest:
    return Manifest(
        schema=manifests.SCHEMA,
        model="",
        writer="edge test",
        table=TABLE,
        memory=None,
        channels=(Channel("a", "mm/s", 1.0),),
        takes=(),
        outputs=(Output("rul", "cycles", 0.0, 125.0),),
        extras=(),
        states=(State("h0", (1, 4)),),
        executables=(Executable("onnx/float32.onnx", "onnx", "float32", ("x", "h0"), ("y", "h0_next")),),
        golden=(Golden("m1", 3, {"x": Slice(0, (3, 1)), "torch": Slice(0, (3, 1))}),),
        certificate=Certificate("RMSE", "cycles", 12.0, 3, 1, 0, ()),
        files=(),
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "pump.edge", manifest(), MEMBERS).path


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)


def test_what_was_written_is_read(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert opened.model(opened.manifest.executables[0]) == b"weights"
    assert opened.tensor(opened.manifest.golden[0], "x") == X
    assert opened.manifest.project.name == "pump"
    assert opened.manifest.states[0].initial() == [0.0] * 4


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    one, two = (write_bundle(tmp_path / name, manifest(), MEMBERS).path for name in ("1.edge", "2.edge"))
    assert one.read_bytes() == two.read_bytes()


def test_other_weights_or_another_project_is_another_model(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "1.edge", manifest(), MEMBERS).manifest.model
    weights = write_bundle(tmp_path / "2.edge", manifest(), {**MEMBERS, "onnx/float32.onnx": b"other"}).manifest.model
    changed = replace(manifest(), table={**TABLE, "timing": {"warm_up_readings": 9}})
    assert len({first, weights, write_bundle(tmp_path / "3.edge", changed, MEMBERS).manifest.model}) == 3


def test_an_altered_member_is_named(bundle: Path) -> None:
    rewrite(bundle, lambda m: m.update({"onnx/float32.onnx": b"weightz"}))
    with pytest.raises(BundleError, match=r"onnx/float32\.onnx.*does not match the manifest \(sha256"):
        Bundle.open(bundle)


def test_a_missing_member_is_named(bundle: Path) -> None:
    rewrite(bundle, lambda m: m.pop("golden.bin"))
    with pytest.raises(BundleError, match=r"lacks `golden\.bin`"):
        Bundle.open(bundle)


def test_a_member_nobody_listed_is_refused(bundle: Path) -> None:
    rewrite(bundle, lambda m: m.update({"evil.so": b"x"}))
    with pytest.raises(BundleError, match=r"evil\.so.*does not list"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["table"]["project"].update(name="other"),
        lambda t: t["channels"][0].update(fill=2.0),
        lambda t: t["certificate"].update(reference=1.0),
        lambda t: t["golden"][0]["tensors"]["x"].update(offset=10**9),
        lambda t: t["files"].clear(),
    ],
)
def test_an_altered_manifest_is_refused(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    def alter(members: dict[str, bytes]) -> None:
        table = json.loads(members["manifest.json"])
        change(table)
        members["manifest.json"] = json.dumps(table).encode()

    rewrite(bundle, alter)
    with pytest.raises(BundleError, match=r"manifest was altered"):
        Bundle.open(bundle)


X_SLICE = {"x": Slice(0, (3, 1)), "torch": Slice(0, (3, 1))}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": (Channel("b", "", 0.0),)}, "channels"),
        ({"outputs": ()}, "no output"),
        ({"outputs": (Output("rul", "cycles", 5.0, 5.0),)}, "range of `rul`"),
        ({"states": (State("h0", (1, 4)), State("h1", (1, 4)))}, "all 2 states"),
        ({"golden": (Golden("m1", 3, {**X_SLICE, "torch": Slice(10**9, (3, 1))}),)}, "tensor `torch`"),
        ({"golden": (Golden("m1", 3, {**X_SLICE, "torch": Slice(0, (0, 1))}),)}, "tensor `torch`"),
        ({"golden": (Golden("m1", 2, X_SLICE),)}, "tensor `torch`"),
        ({"golden": (Golden("m1", 3, {"torch": Slice(0, (3, 1))}),)}, "lacks x"),
        ({"executables": (Executable("gone.onnx", "onnx", "float32", ("x", "h0"), ("y", "h0_next")),)}, "not hold"),
    ],
)
def test_a_manifest_that_does_not_fit_together_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = write_bundle(tmp_path / "p.edge", replace(manifest(), **change), MEMBERS).path
    with pytest.raises(BundleError, match=rf"does not fit together: .*{says}"):
        Bundle.open(path)


def test_a_newer_bundle_says_how_to_update(bundle: Path) -> None:
    def newer(members: dict[str, bytes]) -> None:
        table = json.loads(members["manifest.json"])
        members["manifest.json"] = json.dumps({**table, "schema": 99, "novelty": 1}).encode()

    rewrite(bundle, newer)
    with pytest.raises(BundleError, match=r"newer edge \(schema 99.*pip install -U edgestep"):
        Bundle.open(bundle)


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"{}", b'{"schema": "1"}', b'{"schema": 1}', b"\xff"])
def test_a_broken_manifest_is_a_clear_error(bundle: Path, manifest: bytes) -> None:
    rewrite(bundle, lambda m: m.update({"manifest.json": manifest}))
    with pytest.raises(BundleError, match=r"pump\.edge"):
        Bundle.open(bundle)


def test_files_that_are_no_bundle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        Bundle.open(tmp_path / "gone.edge")
    (tmp_path / "text.edge").write_text("hello")
    with pytest.raises(BundleError, match="truncated or no bundle"):
        Bundle.open(tmp_path / "text.edge")
    with zipfile.ZipFile(tmp_path / "other.edge", "w") as zipped:
        zipped.writestr("a", "b")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        Bundle.open(tmp_path / "other.edge")


@given(st.data())
def test_no_truncation_or_flipped_byte_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    path = write_bundle(folder / "pump.edge", manifest(), MEMBERS).path
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        with pytest.raises(BundleError):
            Bundle.open(path)
        return
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        opened = Bundle.open(path)
    except BundleError:
        return
    # A byte of the zip's own book-keeping may change without a consequence; the content may not.
    assert {f.path: opened.read(f.path) for f in opened.manifest.files} == MEMBERS
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as zipped:
        assert zipped.testzip() is None


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_bundle(tmp_path / "file" / "p.edge", manifest(), MEMBERS)


def test_an_interrupted_write_leaves_the_old_bundle(bundle: Path) -> None:
    before = bundle.read_bytes()
    broken = replace(manifest(), memory=math.nan)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="JSON"):
        write_bundle(bundle, broken, MEMBERS)
    assert bundle.read_bytes() == before
    assert [p.name for p in bundle.parent.iterdir()] == ["pump.edge"]


def test_a_bundle_of_the_first_schema_is_read(bundle: Path) -> None:
    def older(members: dict[str, bytes]) -> None:
        table = json.loads(members["manifest.json"])
        for key in ("seal", "takes", "extras", "intervals", "healthy"):
            del table[key]
        table["schema"] = 1
        members["manifest.json"] = json.dumps({**table, "seal": manifests._seal(table)}).encode()

    new = Bundle.open(bundle).manifest
    rewrite(bundle, older)
    assert Bundle.open(bundle).manifest == new and new.intervals == ()
