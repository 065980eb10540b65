"""How forecasts are called, the same in training and on the device."""

from __future__ import annotations


def output_of(channel: str, horizon: int) -> str:
    """The output that says what `channel` will be `horizon` readings from now."""
    return f"{channel}_in_{horizon}"
