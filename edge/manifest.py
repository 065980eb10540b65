"""The manifest: what a bundle says about itself, as typed tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from edge.errors import BundleError, ProjectError
from edge.intervals import Interval
from edge.spec import Project, flat, parse_project
from edge.typed import build, plain

SCHEMA = 2

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda table: {**table, "schema": 2, "takes": [], "extras": [], "intervals": []},
}
"""Schema version -> how to make the next version's table of it."""


TAKES = ("dt", "mask")
"""What a step may take behind the channels, in this order: seconds since the machine's reading before (0 at the first),
and for each channel 1 where it was present, 0 where its last value is held.
"""


@dataclass(frozen=True)
class Extra:
    """One output of the step beside `y`, for people to look at: float32, static shape with batch 1 first."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of floats."""
        return prod(self.shape)


@dataclass(frozen=True)
class Channel:
    """One input of the step, in order. `fill` (sensor's unit) stands in until the first good value of a machine."""

    name: str
    unit: str
    fill: float


@dataclass(frozen=True)
class Output:
    """One column of `y`: name, unit, and the range (`low` … `high`) that tolerances are fractions of."""

    name: str
    unit: str
    low: float
    high: float

    @property
    def span(self) -> float:
        """Width of the range, in the output's unit."""
        return self.high - self.low


@dataclass(frozen=True)
class State:
    """One tensor of the state: float32, static shape with batch 1 first. `init` has all its values, or one for all."""

    name: str
    shape: tuple[int, ...]
    init: tuple[float, ...] = (0.0,)

    @property
    def size(self) -> int:
        """Number of floats."""
        return prod(self.shape)

    def initial(self) -> list[float]:
        """The flat values a machine starts with."""
        return list(self.init) * self.size if len(self.init) == 1 else list(self.init)


@dataclass(frozen=True)
class Executable:
    """One exported model. `inputs`, `outputs` are the file's own names in the graph's order: x, what the step takes
    behind it, states; y, extras, states.
    """

    path: str
    target: str
    recipe: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def key(self) -> str:
        """`target/recipe`, the name of this executable everywhere."""
        return f"{self.target}/{self.recipe}"


@dataclass(frozen=True)
class File:
    """One member of the bundle."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Slice:
    """A float32 tensor inside golden.bin: byte offset and shape."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Golden:
    """One recorded stream. `x` [T, C], with `dt` [T, 1] and `mask` [T, C] where the step takes them, is fed over and
    over, without a reset, until `steps` readings were taken.

    The other tensors are outputs of the last readings [N, O]: `torch` is the parallel forward's, `target/recipe` that
    file's.
    """

    name: str
    steps: int
    tensors: dict[str, Slice]


@dataclass(frozen=True)
class Row:
    """One line of the certificate. Errors are the first output's, in its unit; `*_share` are fractions of the range of
    the output that is worst.

    `metric` is the task's headline error of this file, `change` how much worse it is than torch's. `declined` says
    why a file is not in the bundle; its figures are then absent.
    """

    target: str
    recipe: str
    ok: bool
    bytes: int = 0
    max_error: float | None = None
    max_error_share: float | None = None
    drift: float | None = None
    drift_share: float | None = None
    metric: float | None = None
    change: float | None = None
    why: str = ""
    declined: str = ""


@dataclass(frozen=True)
class Certificate:
    """The proof: how much was compared, and a row for every file. `unit` is that of the first output, in which errors
    are, `metric_unit` that of the task's error `metric`.
    """

    metric: str
    unit: str
    reference: float
    steps: int
    machines: int
    drift_steps: int
    rows: tuple[Row, ...]
    metric_unit: str = ""


@dataclass(frozen=True)
class Healthy:
    """What a healthy machine shows at one operating condition: the mean of every channel [C], in the sensors' units.
    Those of the regime columns say which condition it is.
    """

    values: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """All about a bundle but the weights. `memory` is None where unbounded; `model` names weights and project;
    `intervals` are the tables of the outputs that have one. `healthy` decides no prediction: it is what they are
    explained against, empty where nobody knows.
    """

    schema: int
    model: str
    writer: str
    table: dict[str, Any]
    memory: int | None
    channels: tuple[Channel, ...]
    takes: tuple[str, ...]
    outputs: tuple[Output, ...]
    extras: tuple[Extra, ...]
    states: tuple[State, ...]
    executables: tuple[Executable, ...]
    golden: tuple[Golden, ...]
    certificate: Certificate
    files: tuple[File, ...]
    healthy: tuple[Healthy, ...] = ()
    intervals: tuple[Interval, ...] = ()
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", parse_project(self.table))

    @property
    def reading(self) -> dict[str, int]:
        """What one reading consists of, in order: `x`, and what the step takes behind it -> how many floats."""
        widths = {"dt": 1, "mask": len(self.channels)}
        return {"x": len(self.channels), **{name: widths[name] for name in self.takes}}

    def mean_reading(self) -> list[float]:
        """A reading like any other, flat: every channel at its mean and present, nothing since the one before."""
        usual = {"x": [channel.fill for channel in self.channels], "dt": [0.0], "mask": [1.0] * len(self.channels)}
        return [value for name in self.reading for value in usual[name]]

    def executable(self, target: str, recipe: str) -> Executable | None:
        """The exported model of that target and recipe, or None."""
        return next((e for e in self.executables if (e.target, e.recipe) == (target, recipe)), None)


def dump(manifest: Manifest) -> bytes:
    """The manifest as deterministic JSON, with the sum of everything in it under `seal`."""
    table = plain(manifest)
    return json.dumps({**table, "seal": _seal(table)}, indent=1, allow_nan=False).encode() + b"\n"


def _seal(table: dict[str, Any]) -> str:
    return digest(canonical(table))


def digest(*parts: bytes) -> str:
    """sha256 of the parts, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def canonical(value: Any) -> bytes:
    """One byte string for one value, however its keys are ordered."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()


def parse(content: bytes, path: str) -> Manifest:
    """The manifest in `content`; `path` names the bundle in messages. Raises BundleError."""
    try:
        table = json.loads(content)
        schema = table["schema"]
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"`{path}`: the manifest is not readable ({error}); copy the bundle again") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise BundleError(
            f"`{path}` was written by a newer edge (schema {schema}, this one reads up to {SCHEMA}); "
            "update with pip install -U edgestep"
        )
    if table.pop("seal", None) != _seal(table):
        raise BundleError(f"`{path}`: the manifest was altered after it was written; copy the bundle again")
    while schema < SCHEMA:
        if schema not in MIGRATIONS:
            raise BundleError(f"`{path}` has schema {schema}, which this edge cannot migrate; convert the model again")
        table = MIGRATIONS[schema](table)
        schema = table["schema"]
    try:
        return build(Manifest, table, "")
    except (ProjectError, TypeError) as error:
        raise BundleError(f"`{path}`: the manifest does not fit this edge: {error}; convert the model again") from error


def table_of(project: Project) -> dict[str, Any]:
    """The project as it travels: without the folders of the workstation that trained it."""
    table = flat(project)
    for key in ("path", "test"):
        if isinstance(table["data"].get(key), str):
            table["data"][key] = table["data"][key].rpartition("/")[2]
        elif key in table["data"]:
            table["data"][key] = [path.rpartition("/")[2] for path in table["data"][key]]
    return table
