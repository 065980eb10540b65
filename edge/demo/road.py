"""The whole road, stage after stage, from a simulated fleet to warnings before the failure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console

from edge import atomic
from edge.demo.broker import Broker, broker, find_mosquitto
from edge.demo.children import EDGE, Children, children
from edge.demo.picture import draw
from edge.demo.screen import screen
from edge.demo.stages import Stages, failed
from edge.demo.verdict import Summary, Verdict, judge, summarise
from edge.demo.watch import Heard, Watch, watching
from edge.errors import CheckFailed, ProjectError
from edge.spec import Project, load_project
from edge.talk import note
from train.data.simulate import Fleet, project_text, simulate, write_histories

MARK = ".edge-demo"
"""A file that says: this folder is a demo's, the next demo may move it aside."""

START_S = 60.0
"""How long the daemon may take until it serves."""

QUIET_S = 15.0
"""How long to wait for a prediction that is due."""

FRAME_S = 0.1


@dataclass(frozen=True)
class Demo:
    """What to show: `machines` to learn from, `unseen` ones to replay in `seconds`, `folder` to leave everything in.

    `epochs` limits the training; `seed` draws the fleet.
    """

    folder: Path
    machines: int = 96
    unseen: int = 8
    seconds: float = 30.0
    seed: int = 0
    epochs: int | None = None


@dataclass(frozen=True)
class Shown:
    """What the demo found out: the verdicts, their summary, and the rows of `edge profile`."""

    verdicts: tuple[Verdict, ...]
    summary: Summary
    profile: dict[str, Any]
    unit: str
    broker: str
    readings: int
    seconds: float


def walk(demo: Demo, console: Console) -> Shown:
    """Walk the whole road; talk goes to `console`. Raises EdgeError where a stage fails; leaves no process."""
    began = time.monotonic()
    folder = demo.folder
    make_room(folder)
    with children() as family:
        stages = Stages(console, family, total=7)
        unseen, expected = _fleet(demo, stages)
        project_file, run, bundle = folder / "pumps.toml", folder / "run", folder / "pumps.edge"
        settings = [] if demo.epochs is None else ["--set", f"train.epochs={demo.epochs}"]
        title = f"Train on {demo.machines} machines, and compare with honest baselines"
        stages.run(title, "train", str(project_file), "-o", str(run), *settings)
        stages.run("Convert to one bundle, with its certificate", "convert", str(run), "-o", str(bundle))
        stages.run("Verify: replay its golden vectors here", "verify", str(bundle))
        profile = stages.ask("Profile: float against int8 on this machine", "profile", str(bundle), "--json")
        stages.say(profile["advice"])
        project = load_project(project_file)
        with _serving(stages, family, folder, bundle, project) as (here, watch):
            _replay(stages, family, console, demo, unseen, here, watch, project, expected)
            kind = here.kind
    return _judge(demo, watch, project, profile, kind, time.monotonic() - began)


def cap_of(project: Project) -> float:
    """Beyond so many readings a healthy machine says nothing about its end."""
    return float(project.task.options["cap"])


def make_room(folder: Path) -> None:
    """An empty folder of ours; an earlier demo's is kept under another name. Raises ProjectError for a stranger's."""
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"`{folder}` is a file; name another place with -o")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise ProjectError(f"`{folder}` exists and is no demo's; name another place with -o, or empty it")
        kept = next(path for i in count(1) if not (path := folder.with_name(f"{folder.name}-{i}")).exists())
        folder.rename(kept)
        note(f"the earlier demo is kept as {kept}")
    atomic.write(folder / MARK, "Made by `edge demo`; the next one moves this folder aside.\n")


def _fleet(demo: Demo, stages: Stages) -> tuple[list[Path], int]:
    """Histories and project file; the unseen machines' files, and how many readings they hold."""
    stages.head(f"Simulate a fleet: {demo.machines} pumps with their past, and {demo.unseen} nobody has seen")
    known = simulate(Fleet(machines=demo.machines, seed=demo.seed))
    fresh = simulate(Fleet(machines=demo.unseen, seed=demo.seed, censored=0, first=demo.machines + 1))
    write_histories(demo.folder / "history", known)
    paths = write_histories(demo.folder / "unseen", fresh)
    atomic.write(demo.folder / "pumps.toml", project_text())
    cut = sum(not life.failed for life in known)
    stages.say(f"{sum(map(len, known))} hourly readings; {len(known) - cut} ran to failure, {cut} records end before")
    stages.say(f"everything lies in {demo.folder}/: history/*.csv, unseen/*.csv, pumps.toml")
    return paths, sum(map(len, fresh))


@contextmanager
def _serving(
    stages: Stages, family: Children, folder: Path, bundle: Path, project: Project
) -> Iterator[tuple[Broker, Watch]]:
    """A broker, the daemon at it, and someone who listens; the daemon must end well when the block does."""
    logs = folder / "logs"
    logs.mkdir()
    with broker(family, logs, find_mosquitto()) as here, watching(project, here.url) as watch:
        store = folder / "state"
        command = ["run", str(bundle), "--broker", here.url, "--store", str(store), "--client-id", "edge-demo"]
        stages.head(f"Serve it: the daemon at a broker ({here.kind}, this machine only)", command)
        log = logs / "daemon.log"
        daemon = family.start([*EDGE, *command], log)
        until = time.monotonic() + START_S
        while not watch.online:
            watch.poll(FRAME_S)
            if daemon.poll() is not None or time.monotonic() > until:
                raise failed("edge run", family.stop(daemon), _lines(log))
        for line in _lines(log):
            stages.say(line)
        yield here, watch
        status = family.stop(daemon)
        if status != 0:
            raise failed("edge run", status, _lines(log))


def _replay(
    stages: Stages,
    family: Children,
    console: Console,
    demo: Demo,
    unseen: list[Path],
    here: Broker,
    watch: Watch,
    project: Project,
    expected: int,
) -> None:
    """The unseen machines' lives as live readings, and the daemon's answers on the screen."""
    rate = max(1, round(expected / demo.seconds))
    options = ["--broker", here.url, "--project", str(demo.folder / "pumps.edge"), "--rate", str(rate)]
    shown = ["replay", f"{demo.folder}/unseen/*.csv", *options]
    stages.head(f"Live: {demo.unseen} lives of hours in {demo.seconds:g} seconds, one reading an hour each", shown)
    log = demo.folder / "logs" / "replay.log"
    sender = family.start([*EDGE, "replay", *map(str, unseen), *options], log)
    view = screen(console, project, cap_of(project), expected)
    heard_at = time.monotonic()
    try:
        while len(watch.messages) < expected:
            news = watch.poll(FRAME_S)
            view.show(list(watch.machines.values()), news, len(watch.messages))
            heard_at = time.monotonic() if news else heard_at
            if sender.poll() not in (None, 0):
                raise failed("edge replay", family.stop(sender), _lines(log))
            if time.monotonic() - heard_at > QUIET_S:
                answered = f"{len(watch.messages)} of {expected} readings were answered"
                raise CheckFailed(f"{answered}; the daemon says: {watch.status}; see {demo.folder}/logs")
    finally:
        view.close()
    sender.wait()


def _judge(demo: Demo, watch: Watch, project: Project, profile: dict[str, Any], kind: str, seconds: float) -> Shown:
    machines: list[Heard] = sorted(watch.machines.values(), key=lambda heard: heard.machine)
    cap = cap_of(project)
    verdicts = tuple(judge(heard, project, cap) for heard in machines)
    served = next(r for r in profile["rows"] if all(r[key] == watch.status[key] for key in ("backend", "recipe")))
    how = (
        f"{len(watch.messages)} hourly readings by MQTT, each answered in one step of {served['median_us']:.1f} µs "
        f"({served['executable']}). Dashed: the truth, shown up to {cap:g} h. Dot: the alarm."
    )
    draw(demo.folder / "health.png", machines, verdicts, project, cap, how)
    atomic.write(demo.folder / "predictions.jsonl", b"".join(message + b"\n" for message in watch.messages))
    shown = Shown(
        verdicts, summarise(verdicts), profile, str(project.task.options["unit"]), kind, len(watch.messages),
        round(seconds, 1),
    )  # fmt: skip
    atomic.write(demo.folder / "summary.json", json.dumps(asdict(shown), indent=1) + "\n")
    return shown


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()
