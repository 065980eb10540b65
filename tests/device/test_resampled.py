"""A raw history is the same readings to training, to score and to replay: one piece of code makes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from device.replay import encode, load, source_of
from edge.bundle import Bundle
from edge.cli import group
from edge.readers import READERS
from edge.readers.assemble import Plan, assemble
from tests.support.bundles import Workshop
from tests.support.tiny import CHANNELS, readings
from train.data.gather import gather

RESAMPLED = {
    "data": {"path": "history.csv", "failure": "failed", "resample": "mean"},
    "signals": {
        "vibration": {"min": 0.0, "max": 50.0, "resample": "max"},
        "temperature": {"min": -20.0, "max": 150.0},
        "pressure": {},
    },
}


@pytest.fixture
def raw(tmp_path: Path) -> list[Path]:
    """Two machines, seven readings a second with jitter and absurd values, in two files of different columns."""
    rng = np.random.default_rng(0)
    one, two = ["machine,ts,vibration,pressure,failed"], ["machine,ts,temperature"]
    for machine in range(2):
        stamps = np.cumsum(rng.uniform(0.05, 0.25, 400)) + 1000
        for i, (ts, row) in enumerate(zip(stamps, readings(400, seed=machine).tolist(), strict=True)):
            vibration = "9999" if i % 50 == 3 else f"{row[0]:.3f}"
            one.append(f"m{machine},{ts:.3f},{vibration},{row[2]:.3f},{int(i == 250)}")
            if i % 3 == 0:
                two.append(f"m{machine},{ts + 0.01:.3f},{row[1]:.3f}")
    paths = [tmp_path / "fast.csv", tmp_path / "slow.csv"]
    for path, lines in zip(paths, (one, two), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def test_training_replay_and_score_make_the_same_readings_of_a_raw_history(
    workshop: Workshop, raw: list[Path], tmp_path: Path
) -> None:
    packed = Bundle.open(workshop.pack(tmp_path / "r.edge", **RESAMPLED).path)
    project = packed.manifest.project
    source = source_of(packed.path, raw)
    sent = load(raw, source)
    records = assemble(READERS["csv"](), raw, Plan.of(project), labelled=False).machines
    assert sorted(map(repr, sent)) == sorted(repr(r) for rows in records.values() for r in rows)
    learnt = gather(replace(project, data=replace(project.data, path=tuple(map(str, raw)))))
    taught = {(h.machine, float(ts)) for h in learnt.histories for ts in h.ts}
    assert taught <= {(r.machine, r.ts) for r in sent} and len(taught) > 0.95 * len(sent)
    for h in learnt.histories:
        mine = {r.ts: r.values for r in records[h.machine]}
        for ts, x, mask in zip(h.ts, h.x, h.mask, strict=True):
            np.testing.assert_array_equal(x[mask], np.array(mine[float(ts)], np.float32)[mask])
    # Published once a period, the same readings come to the daemon as score makes of the raw files.
    regular = tmp_path / "regular.csv"
    lines = [",".join(("machine", "ts", *CHANNELS, "failed"))]
    for rows in records.values():
        lines += [",".join([r.machine, repr(r.ts), *map(repr, r.values), str(r.failed)]) for r in rows]
    regular.write_text("\n".join(lines) + "\n")
    scored = [CliRunner().invoke(group, ["score", str(packed.path), *map(str, p), "--json"]) for p in (raw, [regular])]
    assert scored[0].exit_code == 0 and len(scored[0].stdout.splitlines()) > 50
    assert scored[0].stdout == scored[1].stdout
    assert encode(sent[0], CHANNELS).startswith(b'{"ts":100')
