"""`edge replay`: a history as live readings."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import click

from edge.verbs.broker import BrokerOptions, apply, broker_options

INTERRUPTED = 130


@click.command()
@click.argument("histories", metavar="HISTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@broker_options
@click.option(
    "--rate", type=click.FloatRange(min=0), default=100.0, show_default=True, help="Readings a second; 0: all."
)
@click.option(
    "--project", type=click.Path(path_type=Path), help="Project file or bundle that says what the columns are."
)
@click.option("--machine", "machines", multiple=True, metavar="NAME", help="Only this machine; may be repeated.")
@click.option("--qos", type=click.IntRange(0, 1), default=1, show_default=True)
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; default /etc/edge/device.toml, if there."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def replay(
    histories: tuple[Path, ...],
    rate: float,
    project: Path | None,
    machines: tuple[str, ...],
    qos: int,
    config: Path | None,
    as_json: bool,
    **link: Unpack[BrokerOptions],
) -> int:
    """Publish the rows of HISTORY (files) as live readings, in time order across machines.

    Without --project a history is a CSV with the columns machine and ts; all other columns of numbers are its values.
    """
    from device.clock import SystemClock
    from device.link import MqttLink
    from device.replay import load, publish, source_of
    from device.settings import load_settings, password
    from device.stop import on_signals
    from edge.talk import progress

    if not math.isfinite(rate):
        raise click.UsageError(f"--rate must be a number of readings a second, or 0, not {rate:g}")
    settings = apply(load_settings(config).broker, link)
    source = source_of(project, histories)
    records = load(histories, source, machines)
    clock = SystemClock()
    with on_signals() as stop:
        broker = MqttLink(settings, "", password(settings), (), None, clock, (stop.fd,), keep_session=False)
        try:
            with progress("publishing", len(records)) as advance:
                done = publish(records, source, broker, clock, stop, rate, qos, advance)
        finally:
            broker.close()
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        speed = f" ({done.readings / done.seconds:.0f} a second)" if done.seconds > 0 else ""
        click.echo(f"{done.readings} readings of {done.machines} machines in {done.seconds:.1f} s{speed}")
    return 0 if done.complete else INTERRUPTED
