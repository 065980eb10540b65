"""`edge profile`: microseconds a step, float against int8, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from device.profile import Report


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option(
    "--steps", type=click.IntRange(min=1), default=20_000, show_default=True, help="Steps measured of each file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw them into this PNG file, too.")
@click.option(
    "--from", "saved", type=click.Path(path_type=Path, dir_okay=False), help="Measure nothing, take this saved JSON."
)
def profile(bundle: Path | None, steps: int, as_json: bool, picture: Path | None, saved: Path | None) -> None:
    """Measure every file of BUNDLE in every installed backend, interleaved, and say which to deploy here.

    Times are of one step as the daemon calls it, with the state fed back. Memory and load time are those of a fresh
    process each; the error is the certificate's. A picture needs the extra `train`, which no device has: save the JSON
    there, and draw on the workstation with `edge profile --from device.json --picture profile.png`.
    """
    if (bundle is None) == (saved is None):
        raise click.UsageError("name a BUNDLE to measure, or a saved measurement with --from FILE.json")
    if picture is not None:
        from edge.extras import needed_for

        with needed_for("`--picture`"):
            import matplotlib  # noqa: F401 - asked for before anything is measured
    report = _measured(bundle, steps) if bundle is not None else _read(saved)
    if picture is not None:
        from edge import atomic
        from edge.talk import note
        from train.profile_picture import profile_picture

        atomic.write(picture, profile_picture(asdict(report)))
        note(f"drawn into {picture}")
    click.echo(json.dumps(asdict(report), indent=1) if as_json else render(report))


def _measured(bundle: Path, steps: int) -> Report:
    from device.profile import profile as measure
    from device.profile import rounds
    from edge.bundle import Bundle
    from edge.talk import progress

    opened = Bundle.open(bundle)
    with progress("measuring", rounds(opened, steps)) as advance:
        return measure(opened, steps, advance)


def _read(saved: Path | None) -> Report:
    """What `edge profile --json` once printed."""
    from device.profile import Report
    from edge.errors import DataError, ProjectError
    from edge.typed import build

    assert saved is not None
    try:
        report = build(Report, json.loads(saved.read_text(encoding="utf-8")), "")
    except OSError as error:
        raise DataError(f"`{saved}` cannot be read: {error.strerror}") from error
    except (ValueError, ProjectError) as error:
        raise DataError(
            f"`{saved}` is not what `edge profile BUNDLE --json` prints ({error}); save it again"
        ) from error
    if not report.rows or not {"processor", "architecture", "system", "python"} <= report.machine.keys():
        raise DataError(f"`{saved}` names no file or no machine; save what `edge profile BUNDLE --json` prints again")
    return report


def render(report: Report) -> str:
    """The figures as text: the machine, a row a file, and what to deploy."""
    from edge.table import measured_in
    from edge.table import render as table

    error = measured_in(report.metric, report.unit)
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
    head = f"{machine['processor']}, {machine['architecture']}, {machine['system']}, Python {machine['python']}"
    return "\n".join([head, "", table(header, cells), "", report.advice])
