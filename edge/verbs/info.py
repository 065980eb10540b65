"""`edge info`: what a bundle is."""

from __future__ import annotations

from pathlib import Path

import click

from edge.bundle import Bundle
from edge.certificate import render
from edge.intervals import Interval
from edge.manifest import Manifest, dump
from edge.table import render as table

TOLD = 4
"""Intervals told one by one; a forecast may have dozens."""
BESIDE = {"dt": "the time since the reading before", "mask": "which values are fresh"}
"""What a step may take beside a reading, for people."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def info(bundle: Path, as_json: bool) -> None:
    """Check every sum of BUNDLE and say what it is: channels, outputs, state, files, certificate."""
    manifest = Bundle.open(bundle).manifest
    click.echo(dump(manifest).decode().rstrip() if as_json else describe(manifest))


def describe(manifest: Manifest) -> str:
    """The bundle on one page of text."""
    project = manifest.project
    state = 4 * sum(row.size for row in manifest.states)
    memory = "unbounded" if manifest.memory is None else f"{manifest.memory} readings"
    channels = [[c.name, c.unit, c.fill, *_limits(manifest, c.name)] for c in manifest.channels]
    alarm = project.alarm
    levels = {
        "raise below": alarm.raise_below,
        "clear above": alarm.clear_above,
        "raise above": alarm.raise_above,
        "clear below": alarm.clear_below,
    }
    said = ", ".join(f"{name} {level:g}" for name, level in levels.items() if level is not None) or "none"
    return "\n".join(
        [
            f"{project.name}: {project.task.kind} by {project.model.family}, model {manifest.model}, {manifest.writer}",
            "",
            table(["channel", "unit", "mean", "min", "max"], channels),
            "",
            table(["output", "unit", "from", "to"], [[o.name, o.unit, o.low, o.high] for o in manifest.outputs]),
            "",
            *([f"takes    {', '.join(BESIDE[name] for name in manifest.takes)}"] if manifest.takes else []),
            f"memory   {memory}; state {state} bytes a machine in {len(manifest.states)} tensors",
            f"timing   a reading each {project.timing.period_s:g} s, warm after {project.timing.warm_up_readings}, "
            f"{project.timing.on_gap} after a gap of {project.timing.max_gap_s:g} s",
            f"alarm    {said}; held for {alarm.hold_readings} readings",
            *(_around(interval) for interval in manifest.intervals[:TOLD]),
            *([f"         {more} more intervals: see --json"] if (more := len(manifest.intervals) - TOLD) > 0 else []),
            f"mqtt     {project.mqtt.readings} -> {project.mqtt.predictions}",
            "",
            render(manifest.certificate),
        ]
    )


def _around(interval: Interval) -> str:
    stage = interval.stages[-1]
    reach = ", ".join(
        f"at {p:.3g} -{b:.3g} +{a:.3g}" for p, b, a in zip(stage.at, stage.below, stage.above, strict=True)
    )
    seen = f" once {stage.since} readings were seen" if stage.since else ""
    told = f"{100 * interval.share:g} % of {interval.output}, from {interval.machines} machines"
    return f"interval {told};{seen} {reach}"


def _limits(manifest: Manifest, channel: str) -> list[float | None]:
    signal = manifest.project.signals.get(channel)
    limits = (signal.min, signal.max) if signal else (float("-inf"), float("inf"))
    return [limit if abs(limit) != float("inf") else None for limit in limits]
