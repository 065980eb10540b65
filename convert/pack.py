"""From a training run to one certified bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convert.certify import Reference, certify
from convert.healthy import healthy
from convert.step import StepModule
from convert.streams import DRIFT_STEPS, Array, Stream, forward, golden
from convert.targets import TARGETS
from convert.targets.base import Declined
from device.choose import backend_for
from edge import __version__
from edge.bundle import GOLDEN, Bundle, write_bundle
from edge.certificate import failures, render
from edge.errors import CheckFailed, DataError, ProjectError
from edge.manifest import SCHEMA, Certificate, Channel, Executable, Golden, Manifest, Output, Row, Slice, table_of
from edge.recipes import RECIPES
from edge.registry import suggest
from edge.spec import Signal
from edge.talk import progress
from train.models.base import Family
from train.run import Run

NARROWEST = 1e-3
"""A model whose outputs all but stand still is held to tolerances of this range, in the output's unit."""


def convert(run: Run, path: Path, targets: Sequence[str] = (), recipes: Sequence[str] = ()) -> Bundle:
    """Export `run` to every target and recipe (or those named), certify each file, and write the bundle to `path`.

    Raises CheckFailed, with the certificate, where a file is outside its tolerance, and where there is none at all:
    nothing is written then. A file that a target declines to make appears in the certificate with the reason. Raises
    ProjectError for an unknown name.
    """
    manifest, members = prove(run, path, targets, recipes)
    if not manifest.executables:
        reasons = "; ".join(f"{row.target}/{row.recipe}: {row.declined}" for row in manifest.certificate.rows)
        raise CheckFailed(f"`{path}` was not written, no file could be made: {reasons}; ask for others, too")
    if failures(manifest.certificate):
        found = manifest.certificate
        raise CheckFailed(
            f"`{path}` was not written, a file is outside its tolerance:\n{render(found)}{_way_out(found)}"
        )
    return write_bundle(path, manifest, members)


def prove(
    run: Run, path: Path, targets: Sequence[str] = (), recipes: Sequence[str] = ()
) -> tuple[Manifest, dict[str, bytes]]:
    """What `convert` would write to `path`, with the certificate as it is: a file may be outside its tolerance."""
    unknown = next((r for r in recipes if r not in RECIPES), None)
    if unknown is not None:
        raise ProjectError(f"unknown recipe `{unknown}`{suggest(unknown, list(RECIPES))}")
    wanted = [(t, r) for t in (targets or list(TARGETS)) for r in (recipes or list(RECIPES))]
    step = StepModule(run.predictor)
    seen = [run.predictor.rows(history) for history in run.calibration]
    with progress("converting", 2 * len(wanted)) as advance:
        executables: list[Executable] = []
        members: dict[str, bytes] = {}
        rows: list[Row] = []
        made = {name: TARGETS[name](step, seen) for name in dict.fromkeys(t for t, _ in wanted)}
        for name, recipe in wanted:
            try:
                _check_declined(run.predictor.family, name, recipe)
                emitted = made[name].emit(recipe)
            except Declined as why:
                rows.append(Row(name, recipe, ok=True, declined=str(why)))
            else:
                place = f"{name}/{recipe}.{made[name].suffix}"
                members[place] = emitted.content
                executables.append(Executable(place, name, recipe, emitted.inputs, emitted.outputs))
            advance(1, f"{name}/{recipe}")
        reference = _reference(run)
        lives = [(f"{h.machine}.{h.life}", x) for h, x in zip(reference.histories, reference.x, strict=True)]
        streams = golden(run.predictor, lives)
        draft = _draft(run, step, executables, reference)
        unproven = Bundle(path, draft, members)
        recorded: dict[str, dict[str, Array]] = {stream.name: {} for stream in streams}
        for executable in executables:
            backend = backend_for(unproven, executable)
            size = len(members[executable.path])
            row, outputs = certify(backend, executable, size, reference, streams, draft.outputs)
            rows.append(row)
            for name, values in outputs.items():
                recorded[name][executable.key] = values
            advance(1, f"proving {executable.key}")
    rows.sort(key=lambda row: (row.target, list(RECIPES).index(row.recipe)))
    certificate = replace(draft.certificate, rows=tuple(rows))
    members[GOLDEN], table = _golden(step, streams, recorded)
    return replace(draft, golden=table, certificate=certificate), members


def _check_declined(family: Family, target: str, recipe: str) -> None:
    """Raises Declined where the family says that there is no such file."""
    why = family.declines.get(f"{target}/{recipe}", family.declines.get(recipe))
    if why is not None:
        raise Declined(why)


def _way_out(certificate: Certificate) -> str:
    """How to convert without the recipes that fail, where any other is left."""
    bad = {row.recipe for row in failures(certificate)}
    good = [recipe for recipe in RECIPES if recipe not in bad and any(r.recipe == recipe for r in certificate.rows)]
    options = " ".join(f"--recipe {recipe}" for recipe in good)
    return f"\nLeave {' and '.join(r for r in RECIPES if r in bad)} out with {options}" if good else ""


def _reference(run: Run) -> Reference:
    if not run.heldout:
        raise DataError("this run holds no held-out life to prove its files on; train with train.test_share above 0")
    x = [run.predictor.rows(history) for history in run.heldout]
    return Reference(run.predictor.task, run.heldout, x, [forward(run.predictor, one) for one in x])


def _draft(run: Run, step: StepModule, executables: Sequence[Executable], reference: Reference) -> Manifest:
    """The manifest with everything but what must be measured."""
    project, predictor = run.project, run.predictor
    unknown = Signal()
    channels = tuple(
        Channel(name, project.signals.get(name, unknown).unit, float(fill))
        for name, fill in zip(project.channels, predictor.scaler.fill, strict=True)
    )
    every = np.concatenate(reference.y)
    lows, highs = every.min(axis=0), every.max(axis=0)
    outputs = tuple(
        Output(name, unit, float(low), float(max(high, low + NARROWEST)))
        for (name, unit), low, high in zip(predictor.task.outputs, lows, highs, strict=True)
    )
    certificate = Certificate(
        metric=predictor.task.headline,
        unit=outputs[0].unit,
        reference=reference.error,
        steps=len(every),
        machines=len({h.machine for h in reference.histories}),
        drift_steps=DRIFT_STEPS,
        rows=(),
        metric_unit=predictor.task.measures[0].unit,
    )
    return Manifest(
        schema=SCHEMA,
        model="",
        writer=f"edge {__version__}",
        table=table_of(project),
        memory=predictor.memory,
        channels=channels,
        takes=predictor.takes,
        outputs=outputs,
        extras=predictor.extras,
        states=step.states(),
        executables=tuple(executables),
        golden=(),
        certificate=certificate,
        files=(),
        healthy=healthy(run),
        intervals=run.intervals,
    )


def _golden(
    step: StepModule, streams: Sequence[Stream], recorded: dict[str, dict[str, Array]]
) -> tuple[bytes, tuple[Golden, ...]]:
    """golden.bin (little-endian float32, one tensor after the other) and the table that says what is where."""
    content = bytearray()
    table = []
    for stream in streams:
        tensors = {}
        given = dict(zip(step.given, step.parts(stream.x), strict=True))
        for name, values in {**given, "torch": stream.torch, **recorded[stream.name]}.items():
            tensors[name] = Slice(len(content), tuple(values.shape))
            content += np.ascontiguousarray(values, dtype="<f4").tobytes()
        table.append(Golden(stream.name, stream.steps, tensors))
    return bytes(content), tuple(table)
