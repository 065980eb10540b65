"""`edge replay`: a history as live readings."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

INTERRUPTED = 130


@click.command()
@click.argument("histories", metavar="HISTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--broker", metavar="URL", help="mqtt://user@host:1883; default: the settings file, else 127.0.0.1.")
@click.option("--password-file", type=click.Path(path_type=Path), help="First line is the password.")
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
    broker: str | None,
    password_file: Path | None,
    rate: float,
    project: Path | None,
    machines: tuple[str, ...],
    qos: int,
    config: Path | None,
    as_json: bool,
) -> int:
    """Publish the rows of HISTORY (files) as live readings, in time order across machines.

    Without --project a history is a CSV with the columns machine and ts; all other columns of numbers are its values.
    """
    from device.clock import SystemClock
    from device.link import MqttLink
    from device.replay import load, publish, source_of
    from device.settings import load_settings, password, with_url
    from device.stop import on_signals
    from edge.talk import progress

    settings = load_settings(config).broker
    settings = with_url(settings, broker) if broker else settings
    if password_file is not None:
        settings = replace(settings, password_file=str(password_file))
    source = source_of(project, histories)
    records = load(histories, source, machines)
    clock = SystemClock()
    with on_signals() as stop:
        link = MqttLink(settings, "", password(settings), (), None, clock, (stop.fd,), keep_session=False)
        try:
            with progress("publishing", len(records)) as advance:
                done = publish(records, source, link, clock, stop, rate, qos, advance)
        finally:
            link.close()
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        speed = f" ({done.readings / done.seconds:.0f} a second)" if done.seconds > 0 else ""
        click.echo(f"{done.readings} readings of {done.machines} machines in {done.seconds:.1f} s{speed}")
    return 0 if done.complete else INTERRUPTED
