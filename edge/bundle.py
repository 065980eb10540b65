"""The bundle: one stored zip that carries a model from workstation to device, every member with its checksum."""

from __future__ import annotations

import math
import sys
import zipfile
from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge import manifest as manifests
from edge.atomic import writing
from edge.errors import BundleError
from edge.intervals import keys, problem
from edge.manifest import TAKES, Executable, File, Golden, Manifest

MANIFEST = "manifest.json"
GOLDEN = "golden.bin"
MAX_BYTES = 1 << 30
"""A member that claims more than this is not read."""


def floats(content: bytes) -> array[float]:
    """Little-endian float32 bytes as an array of this machine."""
    values = array("f", content)
    if sys.byteorder == "big":
        values.byteswap()
    return values


class Bundle:
    """A bundle whose every checksum was right when it was opened. `path` names it, `manifest` describes it."""

    def __init__(self, path: Path, manifest: Manifest, members: Mapping[str, bytes]) -> None:
        self.path = path
        self.manifest = manifest
        self._members = dict(members)

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Read and check `path`. Raises BundleError for a missing, truncated, altered or newer file."""
        if not path.is_file():
            raise BundleError(f"there is no bundle `{path}`; make one with `edge convert RUN -o {path.name}`")
        try:
            with zipfile.ZipFile(path) as zipped:
                names = zipped.namelist()
                if MANIFEST not in names:
                    raise BundleError(f"`{path}` is no bundle: it holds no {MANIFEST}")
                if any(info.file_size > MAX_BYTES for info in zipped.infolist()):
                    raise BundleError(f"`{path}` holds a member above {MAX_BYTES >> 20} MiB; it is no bundle of ours")
                manifest = manifests.parse(zipped.read(MANIFEST), str(path))
                members = {file.path: _member(zipped, names, file, path) for file in manifest.files}
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise BundleError(f"`{path}` is truncated or no bundle ({error}); copy it again") from error
        except OSError as error:
            raise BundleError(f"`{path}` cannot be read: {error.strerror}") from error
        listed = {MANIFEST, *members}
        stranger = next((name for name in names if name not in listed), None)
        if stranger is not None or len(names) != len(set(names)):
            raise BundleError(
                f"`{path}` holds `{stranger or 'a member twice'}`, which its manifest does not list; it was altered"
            )
        checked = cls(path, manifest, members)
        checked._check()
        return checked

    def read(self, member: str) -> bytes:
        """The content of one member."""
        return self._members[member]

    def model(self, executable: Executable) -> bytes:
        """The bytes of one exported model."""
        return self._members[executable.path]

    def readings(self, stream: Golden) -> list[array[float]]:
        """The readings of a golden stream, each flat as a backend takes it."""
        widths = self.manifest.reading
        parts = [(self.tensor(stream, name), width) for name, width in widths.items()]
        found = []
        for t in range(stream.tensors["x"].shape[0]):
            row = array("f")
            for values, width in parts:
                row += values[t * width : (t + 1) * width]
            found.append(row)
        return found

    def tensor(self, stream: Golden, name: str) -> array[float]:
        """A golden tensor, flat."""
        piece = stream.tensors[name]
        size = 4
        for n in piece.shape:
            size *= n
        return floats(self._members[GOLDEN][piece.offset : piece.offset + size])

    def _check(self) -> None:
        """Does the manifest fit itself and the members? What follows may then trust it."""
        manifest = self.manifest
        names = tuple(channel.name for channel in manifest.channels)
        self._need(names == manifest.project.channels, f"its channels {list(names)} are not those of its project")
        self._need(bool(manifest.outputs), "it has no output")
        known = tuple(name for name in TAKES if name in manifest.takes)
        self._need(known == manifest.takes, f"its step takes {list(manifest.takes)}, of which {list(known)} is known")
        for output in manifest.outputs:
            self._need(0 < output.span < math.inf, f"the range of `{output.name}` is {output.low} to {output.high}")
        for row in manifest.healthy:
            self._need(len(row.values) == len(names), f"a healthy machine shows {len(row.values)} channels in it")
        self._check_intervals()
        for executable in manifest.executables:
            self._need(executable.path in self._members, f"it does not hold `{executable.path}`")
            inputs, outputs = len(executable.inputs), len(executable.outputs)
            states = len(manifest.states)
            fits = inputs == 1 + len(manifest.takes) + states and outputs == 1 + len(manifest.extras) + states
            self._need(fits, f"{executable.key} does not name what its step takes and says, and all {states} states")
        for stream in manifest.golden:
            self._check_golden(stream)

    def _check_intervals(self) -> None:
        names = [output.name for output in self.manifest.outputs]
        told = [interval.output for interval in self.manifest.intervals]
        for name, interval in zip(told, self.manifest.intervals, strict=True):
            fits = name in names and told.count(name) == 1 and not set(keys(name)) & set(names)
            self._need(fits, f"an interval of `{name}` has no place among its outputs {names}")
            wrong = problem(interval)
            self._need(not wrong, f"the table of intervals of `{name}`: {wrong}")

    def _check_golden(self, stream: Golden) -> None:
        held = len(self._members.get(GOLDEN, b""))
        given = self.manifest.reading
        for name, piece in stream.tensors.items():
            width = given.get(name, len(self.manifest.outputs))
            size = 4 * piece.shape[0] * width if len(piece.shape) == 2 and piece.shape[1] == width else 0
            inside = size > 0 and piece.offset >= 0 and piece.offset + size <= held
            whole = piece.shape[0] == stream.tensors.get("x", piece).shape[0]
            told = whole if name in given else piece.shape[0] <= stream.steps
            self._need(inside and told, f"golden stream `{stream.name}` is wrong about its tensor `{name}`")
        lacks = {*given, "torch"} - set(stream.tensors)
        self._need(not lacks, f"golden stream `{stream.name}` lacks {', '.join(sorted(lacks))}")

    def _need(self, holds: bool, problem: str) -> None:
        if not holds:
            raise BundleError(f"`{self.path}` does not fit together: {problem}; convert the model again")


def _member(zipped: zipfile.ZipFile, names: list[str], file: File, path: Path) -> bytes:
    if file.path not in names:
        raise BundleError(f"`{path}` lacks `{file.path}`; copy the bundle again")
    content = zipped.read(file.path)
    got = manifests.digest(content)
    if got != file.sha256:
        raise BundleError(
            f"`{path}`: `{file.path}` does not match the manifest (sha256 {got[:12]}, "
            f"expected {file.sha256[:12]}); copy the bundle again"
        )
    return content


def write_bundle(path: Path, manifest: Manifest, members: Mapping[str, bytes]) -> Bundle:
    """Write `members` to `path`, whole or not at all; `files` and `model` of `manifest` are filled in here.

    `model` names whatever decides a prediction: the project, the tables of channels, outputs, states and intervals, the
    files.
    """
    files = tuple(File(name, manifests.digest(content), len(content)) for name, content in sorted(members.items()))
    executables = {e.path for e in manifest.executables}
    decisive = [
        manifest.table,
        manifest.channels,
        manifest.takes,
        manifest.outputs,
        manifest.states,
        manifest.intervals,
    ]
    sums = [file.sha256.encode() for file in files if file.path in executables]
    model = manifests.digest(*(manifests.canonical(part) for part in decisive), *sums)[:12]
    manifest = replace(manifest, files=files, model=model)
    with writing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for name, content in ((MANIFEST, manifests.dump(manifest)), *sorted(members.items())):
            zipped.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return Bundle(path, manifest, members)
