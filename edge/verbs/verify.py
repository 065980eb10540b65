"""`edge verify`: does this bundle still compute here what it computed where it was certified?"""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import click

from edge.bundle import Bundle
from edge.errors import CheckFailed
from edge.table import measured_in, render


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--referee", help="Compare with this other converter's file instead: tensorflow.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def verify(bundle: Path, referee: str | None, as_json: bool) -> None:
    """Replay the golden vectors and the drift of every file in BUNDLE with every backend this machine has.

    Needs nothing but the bundle and an inference engine. Exit status 1 where a file disagrees, or none could be
    checked.

    With --referee (on a workstation), another converter makes its own file from the step graph in BUNDLE; both run over
    the golden streams, each with its state fed back. Exit status 1 where they differ by more than the recipe allows.
    """
    if referee is not None:
        _referee(bundle, referee, as_json)
        return
    from device.choose import runnable
    from device.golden import replay

    opened = Bundle.open(bundle)
    replays = [replay(backend(opened, executable)) for backend, executable in runnable(opened)]
    if as_json:
        click.echo(json.dumps([asdict(r) for r in replays], indent=1))
    else:
        rows = [
            [r.executable, r.backend, r.steps, r.worst, r.drift, "ok" if r.ok else f"FAILED: {r.why}"] for r in replays
        ]
        unit = opened.manifest.outputs[0].unit
        click.echo(
            render(["file", "backend", "steps", measured_in("worst", unit), measured_in("drift", unit), ""], rows)
        )
    checked = {r.executable for r in replays}
    unchecked = [e.key for e in opened.manifest.executables if e.key not in checked]
    for key in unchecked:
        click.echo(f"{key} was not checked: no backend for it is installed; see `edge doctor`", err=True)
    if not replays:
        raise CheckFailed(f"`{bundle}`: no file could be checked; pip install 'edgestep[litert]' or 'edgestep[onnx]'")
    failed = [r for r in replays if not r.ok]
    if failed:
        raise CheckFailed(
            f"`{bundle}`: {failed[0].executable} does not compute on {failed[0].backend} what was certified"
        )


def _referee(path: Path, name: str, as_json: bool) -> None:
    """What the referee says, as a table or JSON."""
    from convert.referees import REFEREES
    from edge.extras import require
    from edge.talk import progress

    if name in REFEREES:
        require(name, f"`edge verify --referee {name}`")
    opened, judge = Bundle.open(path), REFEREES[name]()
    from convert.referees.base import compare, rounds

    with progress("asking the referee", rounds(opened, judge)) as advance:
        verdicts = compare(opened, judge, advance)
    if as_json:
        click.echo(
            json.dumps(
                [{**asdict(v), "worst": v.worst if isfinite(v.worst) else None, "ok": v.ok} for v in verdicts], indent=1
            )
        )
    else:
        rows = [
            [v.executable, v.tensor, v.steps, v.worst, v.range, v.allowed, "ok" if v.ok else "FAILED"] for v in verdicts
        ]
        click.echo(render(["file", "tensor", "steps", f"differs from {name} by", "range", "allowed", ""], rows))
    failed = next((v for v in verdicts if not v.ok), None)
    if failed is not None:
        raise CheckFailed(
            f"`{path}`: `{failed.tensor}` of {failed.executable} differs by {failed.worst:.3g} from what {name} makes "
            f"of the same step graph, allowed {failed.allowed:.3g}"
        )
