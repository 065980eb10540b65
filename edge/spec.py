"""The project file: one typed TOML file that says everything about a model, from history to MQTT topic."""

from __future__ import annotations

import glob
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.checks import check_data, need
from edge.errors import ProjectError
from edge.typed import build, plain


@dataclass(frozen=True)
class DataSpec:
    """Where the histories are. Paths may be globs or lists of them, hold `${VAR:-default}`, and are relative to the
    project file. Files with different columns are joined by machine and time.

    `machine` may be `{file}` or `{folder}`: each file or folder is one machine. `failure` is the column that is true at
    the last reading of a life, or `{last}` where every record ends in a failure; without it every life is censored.
    `anomaly` is the column that is true while the machine is known to be faulty, for tasks that judge by it; `label`
    the one that names the state it is in, empty where nobody knows. `test` names histories that are looked at once,
    after training; without it a share of the machines is held back
    (`train.test_share`). `missing` lists texts (and numbers) that mean "no value" besides the empty one, NaN, NA and
    null. With `sensor`, a row holds one value: that column names the sensor, and `value` is the column of its value.
    `time_format` is of strptime, `time_unit` s, ms, us or ns; times without a zone are in `timezone`. `decimal`,
    `encoding`, `header_line` (the line that names the columns) and `data_line` (the first line of data) describe CSV
    files. `resample` makes one reading of each `timing.period_s`.
    """

    path: str | tuple[str, ...]
    reader: str = "csv"
    machine: str = "machine"
    time: str = "ts"
    failure: str | None = None
    anomaly: str | None = None
    label: str | None = None
    test: str | tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    sensor: str | None = None
    value: str = "value"
    time_format: str | None = None
    time_unit: str | None = None
    timezone: str = "UTC"
    decimal: str = "."
    encoding: str = "utf-8"
    header_line: int = 1
    data_line: int | None = None
    resample: str | None = None


@dataclass(frozen=True)
class Signal:
    """One channel. A value outside `min` … `max` (sensor's unit) is implausible and treated as missing. `resample`
    takes the place of `data.resample` for this channel.
    """

    unit: str = ""
    min: float = float("-inf")
    max: float = float("inf")
    resample: str | None = None


@dataclass(frozen=True)
class RegimeSpec:
    """Columns that describe the operating condition, and how many conditions to tell apart."""

    columns: tuple[str, ...] = ()
    count: int = 6


@dataclass(frozen=True)
class TaskSpec:
    """What is predicted; `options` are the task's own keys (`cap`, `unit`, …), which the task checks."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """The model family; `options` are the family's own keys (`hidden`, `channels`, …), which the family checks."""

    family: str = "gru"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainSpec:
    """How a model is fitted. `mid_life` of the sequences begin at a random reading.

    Shares are of machines; with `split = "time"` they are of each machine's readings, the last ones held out (of its
    lives, where the task learns from whole lives).
    """

    seed: int = 0
    epochs: int = 120
    patience: int = 40
    batch_size: int = 8
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    validation_share: float = 0.2
    test_share: float = 0.2
    split: str = "machine"
    mid_life: float = 0.5


@dataclass(frozen=True)
class PruneSpec:
    """Which share of a fitted model's units to cut, in how many steps; `epochs` of fitting behind each cut but the
    last, `last_epochs` behind that. An `amount` of 0 prunes nothing.
    """

    amount: float = 0.0
    steps: int = 4
    epochs: int = 20
    last_epochs: int = 80


@dataclass(frozen=True)
class TimingSpec:
    """The rhythm of readings. A gap longer than `max_gap_s` resets the machine's state if `on_gap` is `reset`."""

    period_s: float = 1.0
    max_gap_s: float = float("inf")
    on_gap: str = "hold"
    warm_up_readings: int = 1


@dataclass(frozen=True)
class AlarmSpec:
    """When a prediction becomes an alarm, in the task's unit; the task says which keys it knows.

    The alarm is raised after `hold_readings` warm predictions in a row beyond the raise level, and cleared after as
    many beyond the clear level.
    """

    raise_below: float | None = None
    clear_above: float | None = None
    raise_above: float | None = None
    clear_below: float | None = None
    hold_readings: int = 1


@dataclass(frozen=True)
class MqttSpec:
    """Topic templates; `{machine}` stands for exactly one topic level."""

    readings: str = "plant/{machine}/telemetry"
    predictions: str = "plant/{machine}/health"
    control: str = "plant/{machine}/control"
    qos: int = 1


@dataclass(frozen=True)
class ProjectSpec:
    """The `[project]` table."""

    name: str


@dataclass(frozen=True)
class Project:
    """A whole project file, checked. `signals` keep the file's order: it is the model's channel order."""

    project: ProjectSpec
    data: DataSpec
    signals: dict[str, Signal]
    task: TaskSpec
    model: ModelSpec = field(default_factory=ModelSpec)
    regime: RegimeSpec = field(default_factory=RegimeSpec)
    train: TrainSpec = field(default_factory=TrainSpec)
    prune: PruneSpec = field(default_factory=PruneSpec)
    timing: TimingSpec = field(default_factory=TimingSpec)
    alarm: AlarmSpec = field(default_factory=AlarmSpec)
    mqtt: MqttSpec = field(default_factory=MqttSpec)

    @property
    def name(self) -> str:
        """The project's name, which names files and statuses."""
        return self.project.name

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the step's input channels: the signals, then the regime columns that are no signal."""
        return (*self.signals, *(c for c in self.regime.columns if c not in self.signals))


_OPEN = {"task": "kind", "model": "family"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def parse_project(table: Mapping[str, Any]) -> Project:
    """A checked Project of a parsed project file. Raises ProjectError naming the key."""
    shaped: dict[str, Any] = {}
    for section, value in table.items():
        if section in _OPEN and isinstance(value, dict) and "options" not in value:
            head = _OPEN[section]
            shaped[section] = {k: v for k, v in value.items() if k == head}
            shaped[section]["options"] = {k: v for k, v in value.items() if k != head}
        else:
            shaped[section] = value
    project = build(Project, shaped, "")
    _check(project)
    return project


def flat(project: Project) -> dict[str, Any]:
    """`project` as the plain table it was read from, defaults filled in; `parse_project` of it gives it back."""
    table: dict[str, Any] = plain(project)
    for section, head in _OPEN.items():
        table[section] = {head: table[section][head], **table[section]["options"]}
    finite: dict[str, Any] = _without_infinities(table)
    return finite


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_infinities(v) for k, v in value.items() if v not in (float("inf"), float("-inf"))}
    return value


def load_project(path: Path, overrides: Iterable[str] = ()) -> Project:
    """The project file at `path`, with `key=value` overrides (`model.hidden=64`; values are TOML, bare words text).
    Another `model.family` or `task.kind` leaves the keys of the former behind, and the levels of its alarm.

    Paths in `[data]` come back with variables expanded and relative to the file's folder. Raises ProjectError.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProjectError(f"there is no project file `{path}`; write one, or start from examples/pump.toml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"`{path}` cannot be read as a project file: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"`{path}` is not valid TOML: {error}") from error
    for override in overrides:
        _override(table, override)
    data = table.get("data")
    if isinstance(data, dict):
        folder = Path(glob.escape(str(path.parent)))  # the folder is no pattern, whatever brackets it has
        for key in ("path", "test"):
            if isinstance(data.get(key), str):
                data[key] = str(folder / expand(data[key], f"data.{key}"))
            elif isinstance(data.get(key), list) and all(isinstance(one, str) for one in data[key]):
                data[key] = [str(folder / expand(one, f"data.{key}")) for one in data[key]]
    try:
        return parse_project(table)
    except ProjectError as error:
        raise type(error)(f"{path}: {error}") from error


def overridden(project: Project, overrides: Iterable[str]) -> Project:
    """`project` with `key=value` overrides, paths as they are given. Raises ProjectError."""
    table = flat(project)
    for override in overrides:
        _override(table, override)
    return parse_project(table)


def expand(text: str, key: str) -> str:
    """`text` with `${VAR}` and `${VAR:-default}` replaced from the environment; ProjectError where VAR is not set."""

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise ProjectError(f"`{key}` uses ${{{name}}}, which is not set; export {name}=… or write the path")
        return found

    return str(Path(_VARIABLE.sub(value, text)).expanduser())


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ProjectError(f"--set takes key=value, such as model.hidden=64, not `{override}`")
    try:
        value: Any = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    top = table
    *path, last = key.strip().split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ProjectError(f"--set {override}: `{part}` is not a table")
    if len(path) == 1 and _OPEN.get(path[0]) == last and table.get(last) != value:
        table.clear()  # the other keys belonged to the former family or task
        if last == "kind":  # and so did the levels of its alarm
            alarm = top.get("alarm")
            top["alarm"] = {k: v for k, v in (alarm if isinstance(alarm, dict) else {}).items() if k == "hold_readings"}
    table[last] = value


def _check(project: Project) -> None:
    need(bool(_NAME.fullmatch(project.name)), f"`project.name` must be letters, digits, - and _, not {project.name!r}")
    need(bool(project.signals), "`signals` names no channel; add one line for each sensor the model may see")
    for name, signal in project.signals.items():
        need(signal.min < signal.max, f"`signals.{name}`: min {signal.min:g} is not below max {signal.max:g}")
    check_data(project)
    train, timing, alarm, data = project.train, project.timing, project.alarm, project.data
    for column in (data.machine, data.time, data.failure, data.anomaly, data.label):
        need(
            column not in project.channels,
            f"`{column}` is named under [data] and as a channel; a label must not be seen",
        )
    for key in ("epochs", "batch_size", "patience", "learning_rate"):
        need(getattr(train, key) > 0, f"`train.{key}` must be above 0")
    need(train.weight_decay >= 0, "`train.weight_decay` must not be negative")
    for key in ("validation_share", "test_share", "mid_life"):
        top = 1.0 if key == "mid_life" else 0.9
        need(0 <= getattr(train, key) <= top, f"`train.{key}` must be from 0 to {top:g}")
    need(0 <= project.prune.amount < 1, "`prune.amount` must be from 0 to below 1")
    for key in ("steps", "epochs", "last_epochs"):
        need(getattr(project.prune, key) >= 1, f"`prune.{key}` must be at least 1")
    need(train.split in ("machine", "time"), f"`train.split` must be machine or time, not {train.split!r}")
    need(project.regime.count >= 1, "`regime.count` must be at least 1")
    need(0 <= train.seed < 1 << 32, "`train.seed` must be from 0 to 4294967295")
    need(0 < timing.period_s < float("inf"), "`timing.period_s` must be above 0 seconds, and finite")
    need(timing.max_gap_s >= timing.period_s, "`timing.max_gap_s` must not be below `timing.period_s`")
    twice = next((c for c in project.regime.columns if project.regime.columns.count(c) > 1), None)
    need(twice is None, f"`regime.columns` names `{twice}` twice")
    need(timing.on_gap in ("hold", "reset"), f"`timing.on_gap` must be hold or reset, not {timing.on_gap!r}")
    need(timing.warm_up_readings >= 1, "`timing.warm_up_readings` must be at least 1")
    need(alarm.hold_readings >= 1, "`alarm.hold_readings` must be at least 1")
    if alarm.raise_below is not None and alarm.clear_above is not None:
        need(alarm.clear_above >= alarm.raise_below, "`alarm.clear_above` must not be below `alarm.raise_below`")
    if alarm.raise_above is not None and alarm.clear_below is not None:
        need(alarm.clear_below <= alarm.raise_above, "`alarm.clear_below` must not be above `alarm.raise_above`")
    need(project.mqtt.qos in (0, 1), f"`mqtt.qos` must be 0 or 1, not {project.mqtt.qos}")
    for key in ("readings", "predictions", "control"):
        topic = getattr(project.mqtt, key)
        alone = topic.split("/").count("{machine}") == 1 and topic.count("{machine}") == 1
        need(alone, f"`mqtt.{key}` must hold {{machine}} exactly once, as a whole topic level, not {topic!r}")
        need(not set(topic) & set("+#"), f"`mqtt.{key}` must not hold the wildcards + and #")
    topics = (project.mqtt.readings, project.mqtt.predictions, project.mqtt.control)
    need(len(set(topics)) == len(topics), "`mqtt`: readings, predictions and control must be three different topics")
