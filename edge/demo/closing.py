"""The last words of the demo, for stdout."""

from __future__ import annotations

from pathlib import Path

from edge.demo.road import Shown
from edge.demo.verdict import EARLY, LATE
from edge.table import render as table


def render(shown: Shown, folder: Path) -> str:
    """What came of every machine, of all of them, of the latency, and where to look next."""
    unit, summary = shown.unit, shown.summary
    header = ["machine", f"failed after [{unit}]", f"alarm before [{unit}]", "", "withdrawn", f"off by, rms [{unit}]"]
    rows = [
        [v.machine, v.life - 1, None if v.lead is None else round(v.lead), v.judgement, v.withdrawn, round(v.error, 1)]
        for v in shown.verdicts
    ]
    lead = (
        "no alarm stood at a failure"
        if summary.lead_median is None
        else f"lead time {summary.lead_median:.0f} {unit} in the median, "
        f"{summary.lead_shortest:.0f} to {summary.lead_longest:.0f}"
    )
    lines = [
        "",
        table(header, rows),
        "",
        f"Warned before the failure: {summary.warned} of {summary.machines} machines; {lead}.",
        f"Late, with less than {LATE:g} times the alarm level left: {summary.late}.",
        f"Missed: {summary.missed}. False alarms: {summary.false} ({summary.early} early, with more than {EARLY:g} "
        f"times the alarm level left; {summary.withdrawn} withdrawn).",
        f"Predictions were off by {summary.error:.1f} {unit} (rms) of {shown.readings} readings, all answered.",
        "",
        table(
            ["one step", "backend", "median µs", "p99 µs", "× float", "bytes"],
            [
                [r["executable"], r["backend"], round(r["median_us"], 2), round(r["p99_us"], 2), r["ratio"], r["bytes"]]
                for r in shown.profile["rows"]
            ],
        ),
        shown.profile["advice"],
        "",
        f"{shown.seconds:.0f} s in all. {folder}/health.png shows it; {folder}/pumps.toml is where to begin with "
        "histories of your own.",
    ]
    return "\n".join(lines)
