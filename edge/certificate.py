"""The certificate as a table for people."""

from __future__ import annotations

from edge import table
from edge.manifest import Certificate, Row


def failures(certificate: Certificate) -> list[Row]:
    """The rows that are outside their tolerance."""
    return [row for row in certificate.rows if not row.ok]


def render(certificate: Certificate) -> str:
    """A row a file: largest error against torch's parallel forward, drift, the task's error and its change, bytes."""
    unit = certificate.unit
    worst, drift = (table.measured_in(what, unit) for what in ("max error", "drift"))
    header = ["file", worst, "of range", drift, certificate.metric, "change", "bytes", ""]
    rows: list[list[object]] = [["torch", None, None, None, f"{certificate.reference:.3f}", None, None, "reference"]]
    rows += [_cells(row) for row in certificate.rows]
    compared = f"{certificate.steps} steps of {certificate.machines} held-out machines"
    return f"{table.render(header, rows)}\nCompared on {compared}; drift after {certificate.drift_steps} free steps."


def _cells(row: Row) -> list[object]:
    name = f"{row.target}/{row.recipe}"
    if row.declined:
        return [name, None, None, None, None, None, None, f"declined: {row.declined}"]
    share = None if row.max_error_share is None else f"{row.max_error_share:.1e}"
    error = None if row.metric is None else f"{row.metric:.3f}"
    change = None if row.change is None else f"{row.change:+.4f}"
    return [name, row.max_error, share, row.drift, error, change, row.bytes, "ok" if row.ok else f"FAILED: {row.why}"]
