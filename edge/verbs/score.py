"""`edge score`: the daemon's predictions for a history, without a broker."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.atomic import writing
from edge.bundle import Bundle
from edge.errors import DataError
from edge.manifest import Manifest
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from edge.readers.base import Reader, Record, find
from edge.talk import note

if TYPE_CHECKING:
    from device.prediction import Prediction

Write = Callable[[bytes], object]
Line = Callable[[Mapping[str, object]], object]


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("history", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of to stdout."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, byte for byte what the daemon publishes; else CSV.")
@click.option("--reader", help="Format of HISTORY, if not the one the model was trained on.")
@click.option(
    "--backend", default="auto", show_default=True, help="A backend of `edge doctor`, or auto: the first installed."
)
@click.option("--recipe", default="float32", show_default=True, help="How the model's numbers are kept.")
@click.option(
    "--rollout",
    metavar="N",
    type=click.IntRange(min=1),
    help="Write the N readings to come instead, as forecast.",
)
def score(
    bundle: Path,
    history: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    reader: str | None,
    backend: str,
    recipe: str,
    rollout: int | None,
) -> None:
    """Predict every reading of HISTORY (files or globs) with BUNDLE, machine by machine in time order.

    Readings go through the same runtime as the daemon's: state per machine, gaps, warm-up, alarm. Behind a failure the
    machine starts anew, as after a repair. What the daemon would reject is left out and counted on stderr; exit status
    3 where nothing could be predicted.

    With --rollout the forecasts go on from where each machine's history ends: what is forecast one reading ahead is fed
    back as the next reading, N times. It needs a model that forecasts all its channels one reading ahead.
    """
    from device import rollout as ahead
    from device.choose import open_backend
    from device.prediction import Prediction
    from device.runtime import Runtime

    opened = Bundle.open(bundle)
    if rollout:
        ahead.check(opened.manifest)
    records = _records(opened.manifest, history, reader)
    runtime = Runtime(opened, open_backend(opened, backend, recipe))
    rejected: Counter[str] = Counter()
    first: dict[str, str] = {}
    served, alarms = 0, set()
    latest: dict[str, Prediction] = {}
    with writing(output) if output else nullcontext(sys.stdout.buffer) as file:
        line = _json_line(file.write) if as_json else _csv_line(file.write)
        for record in records:
            answer = runtime.feed(record.machine, record.ts, record.values)
            if isinstance(answer, Prediction):
                served += 1
                latest[answer.machine] = answer
                if not rollout:
                    line(answer.table())
                if answer.alarm:
                    alarms.add(answer.machine)
            else:
                rejected[answer.reason] += 1
                where = f"{record.source}, line {record.line}, machine {record.machine}"
                first.setdefault(answer.reason, f"{where}: {answer.line}")
            if record.failed:
                runtime.reset(record.machine)
                latest.pop(record.machine, None)
        for said in latest.values() if rollout else ():
            for step, (ts, values) in enumerate(ahead.roll_out(runtime, said, rollout or 0), start=1):
                line({"ts": ts, "machine": said.machine, "step": step, **values})
        file.flush()
        note(f"{served} predictions for {len(runtime.machines)} machines, {len(alarms)} of them had an alarm")
        if runtime.values_held:
            note(f"{runtime.values_held} values were missing or implausible; the last good one was held")
        for reason, count in rejected.items():
            note(f"{count} readings rejected ({reason}), first {first[reason]}")
        if not served:  # raised in here, so that no empty file takes the place of an older one
            raise DataError(
                "no reading could be predicted; see above, and `edge info` for the channels this model takes"
            )
        if rollout:
            _warn(latest.values())


def _warn(begun: Collection[Prediction]) -> None:
    """Say which roll-outs began too early. Raises DataError where none did begin."""
    if not begun:
        raise DataError("every history ends with a failure, behind which a machine starts anew: nothing to go on from")
    unwarm = [said.machine for said in begun if not said.warm]
    if unwarm:
        note(f"{len(unwarm)} machines, first {unwarm[0]}, had fewer than timing.warm_up_readings; do not trust them")


def _records(manifest: Manifest, history: tuple[str, ...], reader: str | None) -> list[Record]:
    """The rows of all files, machine by machine."""
    chosen: Reader = READERS[reader or manifest.project.data.reader]()
    found = assemble(chosen, find(history, "HISTORY"), Plan.of(manifest.project), labelled=False)
    for line in found.notes:
        note(f"note: {line}")
    return [record for records in found.machines.values() for record in records]


def _json_line(write: Write) -> Line:
    from device.payload import encode_table

    return lambda table: write(encode_table(table) + b"\n")


def _csv_line(write: Write) -> Line:
    """Columns are the table's keys; booleans as JSON writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    headed = False

    def line(table: Mapping[str, object]) -> None:
        nonlocal headed
        if not headed:
            writer.writerow(table)
            headed = True
        writer.writerow([json.dumps(v) if isinstance(v, bool) else v for v in table.values()])
        write(text.getvalue().encode())
        text.seek(0)
        text.truncate()

    return line
