"""Messages as bytes, in JSON: readings and control events in, predictions and statuses out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from device.prediction import Prediction
from edge.clean import MISSING
from edge.errors import DataError
from edge.times import LATEST, seconds

MAX_BYTES = 64 << 10
"""A payload above this is refused before it is parsed: a reading of a thousand channels takes a fraction."""

SHOWN = 40
"""How much of a stranger's text a message repeats."""

LISTED = 3
"""How many channels a message names before it only counts them."""

EXAMPLE = '{"ts": 1732182000.1, "values": {"CHANNEL": 1.5}}'

REPAIRED = "repaired"
"""The control event that resets a machine."""

_NUMBERS = frozenset({int, float})
"""By exact type: a bool is an int, but no number of a sensor."""


class Reading(NamedTuple):
    """`ts` in seconds (None: the time of arrival counts), `values` [C], NaN where missing, and what was wrong."""

    ts: float | None
    values: list[float]
    problems: tuple[str, ...] = ()


def decode(payload: bytes, channels: Sequence[str]) -> Reading:
    """A reading from `{"ts": …, "values": {channel: number}}`; `values` may be a list in channel order, or stand alone.

    A channel that is missing, null or no number is MISSING and named among the problems; an unknown channel is ignored
    and named. Raises DataError for anything that is no reading, or has no usable value.
    """
    table = _parse(payload)
    ts: float | None = None
    if isinstance(table, dict):
        if "values" not in table:
            raise DataError(f"the payload has no `values`; send {EXAMPLE}")
        values = table["values"]
        if table.get("ts") is not None:
            ts = _time(table["ts"])
    else:
        values = table
    if isinstance(values, dict):
        return _by_name(ts, values, channels)
    if isinstance(values, list):
        return _in_order(ts, values, channels)
    raise DataError(f"the payload holds {_show(values)} where values belong; send {EXAMPLE}")


def event(payload: bytes) -> str:
    """The event of a control message, `{"event": "repaired"}`. Raises DataError for any other."""
    table = _parse(payload)
    found = table.get("event") if isinstance(table, dict) else None
    if found != REPAIRED:
        raise DataError(f'a control message holds {_show(found)} as its event; known: {{"event": "{REPAIRED}"}}')
    return REPAIRED


def encode(prediction: Prediction) -> bytes:
    """The prediction's message."""
    return encode_table(prediction.table())


def encode_table(table: Mapping[str, object]) -> bytes:
    """A table as one line of JSON."""
    return orjson.dumps(dict(table))


def encode_status(status: Mapping[str, object]) -> bytes:
    """A status message."""
    return encode_table(status)


def _parse(payload: bytes) -> Any:
    if len(payload) > MAX_BYTES:
        raise DataError(f"the payload has {len(payload)} bytes, more than {MAX_BYTES}; send one reading a message")
    if not payload:
        raise DataError(f"the payload is empty; send {EXAMPLE}")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if b"NaN" in payload or b"Infinity" in payload:
            raise DataError(
                "the payload holds NaN or Infinity, which is not JSON; send null where a value is missing"
            ) from error
        raise DataError(f"the payload is not JSON ({_cut(str(error))}); send {EXAMPLE}") from error


def _time(value: object) -> float:
    ts = value if type(value) is float else seconds(value)
    if ts is None:
        raise DataError(f"`ts` is {_show(value)}, which is no time; send seconds, or ISO 8601 text")
    if abs(ts) > LATEST:
        raise DataError(f"`ts` is {ts:.6g} seconds, beyond the year 2100; send seconds, not milliseconds")
    return ts


def _by_name(ts: float | None, values: dict[str, Any], channels: Sequence[str]) -> Reading:
    found: list[Any] = [values.get(channel) for channel in channels]
    if _NUMBERS.issuperset(map(type, found)) and len(values) == len(channels):
        return Reading(ts, found)
    return _usable(Reading(ts, _numbers(found), _problems(values, channels)))


def _problems(values: dict[str, Any], channels: Sequence[str]) -> tuple[str, ...]:
    absent = [f"`{c}`" for c in channels if c not in values]
    wrong = [f"`{c}` is {_show(values[c])}" for c in channels if c in values and type(values[c]) not in _NUMBERS]
    known = set(channels)
    extra = [f"`{_cut(name)}`" for name in values if name not in known]
    said = (
        (absent, "the payload lacks {}; the last value is held"),
        (wrong, "{}, which is no number; the last value is held"),
        (extra, "the payload has {}, which the model does not know; ignored"),
    )
    return tuple(form.format(_list(names)) for names, form in said if names)


def _in_order(ts: float | None, values: list[Any], channels: Sequence[str]) -> Reading:
    if len(values) != len(channels):
        raise DataError(f"the payload lists {len(values)} values for {len(channels)} channels ({_list(channels)})")
    wrong = [f"`{c}` is {_show(v)}" for c, v in zip(channels, values, strict=True) if type(v) not in _NUMBERS]
    problems = (f"{_list(wrong)}, which is no number; the last value is held",) if wrong else ()
    return _usable(Reading(ts, _numbers(values), problems))


def _numbers(values: Sequence[Any]) -> list[float]:
    return [value if type(value) in _NUMBERS else MISSING for value in values]


def _usable(reading: Reading) -> Reading:
    if all(value != value for value in reading.values):
        raise DataError(f"no channel has a usable value ({'; '.join(reading.problems)})")
    return reading


def _list(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _show(value: object) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return _cut(repr(value))


def _cut(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
