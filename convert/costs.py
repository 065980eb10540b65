"""What a fitted model costs on a device: bytes of its exported files, and microseconds a step, all models in turns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert.pack import prove
from convert.targets import TARGETS
from device.profile import BLOCK, Lap, race
from edge.bundle import Bundle
from edge.errors import CheckFailed
from edge.manifest import Row
from edge.recipes import RECIPES
from edge.talk import note, progress
from train.ranking.report import Cost
from train.run import Run

SMALL = "dynamic-int8"
"""The recipe whose bytes and microseconds are compared."""

STEPS = 5_000
"""Steps measured of each file."""


def costs(runs: Mapping[str, Run]) -> dict[str, Cost]:
    """What each of `runs` costs. Their files are made, proved as `edge convert` proves them, measured, and thrown away.

    A file outside its tolerance has no price; the cost's notes say why, and what a target declined.
    """
    bundles: dict[tuple[str, str], Bundle] = {}
    notes: dict[str, list[str]] = {name: [] for name in runs}
    recipes = [recipe for recipe in RECIPES if recipe != "static-int8"]
    for name, run in runs.items():
        note(f"exporting {name}")
        for target in TARGETS:
            try:
                manifest, members = prove(run, Path(f"{name}.edge"), [target], recipes)
            except CheckFailed as error:
                notes[name].append(f"{target}: {error}")
            else:
                bundles[name, target] = Bundle(Path(f"{name}.edge"), manifest, members)
                notes[name] += [said for row in manifest.certificate.rows if (said := _amiss(row))]
    with progress("measuring", -(-STEPS // BLOCK)) as advance:
        laps = dict(zip(bundles, race(list(bundles.values()), STEPS, advance), strict=True))
    return {name: _cost(name, bundles, laps, notes[name]) for name in runs}


def _cost(
    name: str, bundles: Mapping[tuple[str, str], Bundle], laps: Mapping[tuple[str, str], list[Lap]], notes: list[str]
) -> Cost:
    files: list[dict[str, Any]] = []
    for (of, target), bundle in bundles.items():
        rows = {f"{row.target}/{row.recipe}": row for row in bundle.manifest.certificate.rows}
        for lap in laps[of, target] if of == name else []:
            row = rows[lap.executable]
            about = {"file": lap.executable, "backend": lap.backend, "bytes": row.bytes, "median_us": lap.median_us}
            files.append({**about, "change": row.change, "ok": row.ok})
    small = [file for file in files if file["ok"] and file["file"].endswith(f"/{SMALL}")]
    if not small:
        return Cost(files=tuple(files), notes=tuple(notes))
    best = min(small, key=lambda file: file["median_us"])
    return Cost(best["file"], best["backend"], best["bytes"], best["median_us"], tuple(files), tuple(notes))


def _amiss(row: Row) -> str:
    """What is the matter with a file, if anything."""
    if row.declined:
        return f"{row.target}/{row.recipe}: declined: {row.declined}"
    return "" if row.ok else f"{row.target}/{row.recipe}: {row.why}"
