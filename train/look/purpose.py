"""What the histories are enough for: the task, who judges, the size of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge.readers.base import Record
from train.look.made import Draft

RUL_FAILURES, FAILURE_FAILURES = 10, 3
"""Failures: from so many on the remaining life can be learnt, and whether a machine fails soon."""

EARLIEST = 0.15
"""Share of a record before its first marked fault that is enough to learn from."""

LEVELS = 3.0
"""Spread of machines' levels in units of the spread of their readings, beyond which machines are not alike."""

GROUPS = 3
"""Who teaches, who tells when to stop, who judges: as many machines (or lives of one) are needed."""


def _levels(made: Draft, machines: Mapping[str, Sequence[Record]], names: Sequence[str]) -> str:
    """A channel whose level tells machines apart, as `Thermocouple`; what is normal for one is not for another then."""
    early = [np.array([r.values for r in records[: max(len(records) // 3, 2)]]) for records in machines.values()]
    ratios = {}
    for seen in made.channels:
        at = names.index(seen.name)
        full = [part[:, at][~np.isnan(part[:, at])] for part in early]
        full = [part for part in full if len(part) > 1]
        spread = float(np.mean([part.std() for part in full])) if full else 0.0
        ratios[seen.name] = float(np.std([part.mean() for part in full])) / spread if spread > 0 else 0.0
    most = max(ratios, key=lambda name: ratios[name])
    return f"`{most}`" if ratios[most] > LEVELS else ""


def _before_faults(made: Draft, machines: Mapping[str, Sequence[Record]]) -> None:
    """Shares such that what teaches and what tells when to stop lie before the first fault of most machines."""
    first = [
        next(i for i, r in enumerate(records) if r.anomalous) / len(records)
        for records in machines.values()
        if any(r.anomalous for r in records)
    ]
    healthy = float(np.median(first)) if first else 1.0
    if EARLIEST <= healthy < 1.0:
        made.shares = (round(0.2 * healthy, 2), round(1 - 0.9 * healthy, 2))
        made.reasons.append(
            ("shares", f"{made.shares[1]:g} judge", "marked faults begin late: what is before them teaches")
        )


def purpose(made: Draft, machines: Mapping[str, Sequence[Record]], names: Sequence[str]) -> None:
    """Decide on lives, warm-up, task, split and size; `names` are the columns of the readings."""
    ended: dict[str, list[int]] = {}
    lives, shortest = 0, 1 << 60
    for name, records in machines.items():
        start, before = 0, False
        for i, record in enumerate(records):
            if record.failed and not before:
                ended.setdefault(name, []).append(i + 1 - start)
                lives += 1
            if record.failed:
                start = i + 1
            before = record.failed
        if start < len(records):
            lives += 1
            shortest = min(shortest, len(records) - start)
    lengths = [length for found in ended.values() for length in found]
    readings = sum(map(len, machines.values()))
    made.facts = {
        "readings": readings,
        "machines": len(machines),
        "lives": lives,
        "failures": len(lengths),
        "machines that failed": len(ended),
    }
    made.life = float(np.median(lengths)) if lengths else 0.0
    shortest = min([shortest, *lengths])
    made.warm_up = max(1, min(10, shortest // 5))
    failed = len(lengths)
    alone = len(ended) < GROUPS <= max(map(len, ended.values()), default=0)
    enough = failed if len(ended) >= GROUPS or alone else 0
    ends = f"{failed or 'no'} {'life' if failed < 2 else 'lives'} ended in a failure"
    if enough >= RUL_FAILURES:
        made.kind, why = "rul", ends
    elif made.data.label is not None:
        made.kind, why = "classify", f"`{made.data.label}` names the states to tell apart; {ends}"
    elif enough >= FAILURE_FAILURES:
        made.kind, why = "failure", f"{ends}: too few to learn how long they last"
    else:
        made.kind, why = "anomaly", f"{ends}: learn what is normal"
    made.reasons.append(("task", made.kind, why))
    readings_judge = made.kind in ("anomaly", "classify")
    if (alone and not readings_judge) or (len(machines) < GROUPS and readings_judge):
        made.split = "time"
        what = "readings" if readings_judge else "lives"
        made.reasons.append(("split", "time", f"too few machines to hold one back: the last {what} judge"))
    elif made.kind == "anomaly" and (apart := _levels(made, machines, names)):
        made.split = "time"
        why = f"machines sit at levels of their own ({apart}): each is judged by its own later readings"
        made.reasons.append(("split", "time", why))
    if made.split == "time" and made.kind == "anomaly":
        _before_faults(made, machines)
    made.hidden = 16 if readings < 5000 else 32 if readings < 300_000 else 64
    made.epochs = 120 if readings <= 100_000 else 60 if readings <= 500_000 else 30
    made.reasons.append(("model", f"gru, hidden = {made.hidden}", f"{readings} readings"))
