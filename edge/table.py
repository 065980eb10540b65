"""Plain text tables that line up in a terminal, a log and a document."""

from __future__ import annotations

from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """A table with a rule under the header; numbers (and dashes) to the right, text to the left."""
    cells = [[str(h) for h in header], *([_text(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(_is_number(row[i]) for row in rows) and bool(rows) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        return (indent + "  ".join(padded)).rstrip()

    rule = indent + "  ".join("-" * w for w in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _is_number(cell: object) -> bool:
    if cell is None or isinstance(cell, int | float):
        return True
    return str(cell)[:1] in "0123456789+-±≤.x×∞"


def measured_in(what: str, unit: str) -> str:
    """The head of a column of figures: with their unit in brackets, where they have one."""
    return f"{what} [{unit}]" if unit else what
