"""`edge profile`: microseconds a step, float against int8, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--steps", type=click.IntRange(min=1), default=20_000, show_default=True, help="Steps measured of each file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def profile(bundle: Path, steps: int, as_json: bool) -> None:
    """Measure every file of BUNDLE in every installed backend, interleaved, and say which to deploy here.

    Times are of one step as the daemon calls it, with the state fed back. Memory and load time are those of a fresh
    process each; the error is the certificate's.
    """
    from device.profile import profile as measure
    from device.profile import rounds
    from edge.bundle import Bundle
    from edge.table import render
    from edge.talk import progress

    opened = Bundle.open(bundle)
    with progress("measuring", rounds(opened, steps)) as advance:
        report = measure(opened, steps, advance)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=1))
        return
    error = f"{report.metric} [{report.unit}]"
    header = ["file", "backend", "median µs", "p90", "p99", "max", "× float", error, "bytes", "MiB", "load ms"]
    cells = [
        [
            m.executable,
            m.backend,
            *(f"{t:.2f}" for t in (m.median_us, m.p90_us, m.p99_us, m.max_us)),
            None if m.ratio is None else f"{m.ratio:.2f}",
            None if m.metric is None else f"{m.metric:.3f}",
            m.bytes,
            None if m.resident_mb is None else f"{m.resident_mb:.0f}",
            f"{m.load_ms:.0f}",
        ]
        for m in report.rows
    ]
    machine = report.machine
    click.echo(f"{machine['processor']}, {machine['architecture']}, {machine['system']}, Python {machine['python']}\n")
    click.echo(render(header, cells))
    click.echo(f"\n{report.advice}")
