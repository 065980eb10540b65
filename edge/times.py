"""Time stamps: seconds since 1970 (or since anything, in a history that counts cycles), or ISO 8601 text."""

from __future__ import annotations

import math
from datetime import UTC, datetime

LATEST = 4_102_444_800.0
"""2100-01-01. A later time is milliseconds, or a broken clock."""


def seconds(value: object) -> float | None:
    """`value` as seconds, or None where it is no time. A text without a zone is taken as UTC."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            try:
                moment = datetime.fromisoformat(value.strip())
            except ValueError:
                return None
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    else:
        return None
    return number if math.isfinite(number) else None
