"""A machine's memory as bytes: versioned, little-endian, canonical float32, so that every backend can take it up."""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from edge.bundle import floats
from edge.errors import DataError

VERSION = 1

_HEAD = struct.Struct("<B12sdQQBI")
_CHECK = struct.Struct("<I")


class Snapshot(NamedTuple):
    """What is saved of one machine. `tensors` are the held values [C] and then the state's tensors, each flat."""

    model: str
    ts: float | None
    seq: int
    readings: int
    raised: bool
    streak: int
    tensors: list[array[float]]


def pack(snapshot: Snapshot) -> bytes:
    """`snapshot` as bytes, with a checksum at the end."""
    ts = math.nan if snapshot.ts is None else snapshot.ts
    model = snapshot.model.encode()
    head = _HEAD.pack(VERSION, model, ts, snapshot.seq, snapshot.readings, snapshot.raised, snapshot.streak)
    body = head + b"".join(_little(tensor) for tensor in snapshot.tensors)
    return body + _CHECK.pack(zlib.crc32(body))


def unpack(content: bytes, model: str, sizes: Sequence[int]) -> Snapshot:
    """The inverse of `pack`, for tensors of `sizes`. Raises DataError for damaged bytes or another model's."""
    body, check = content[: -_CHECK.size], content[-_CHECK.size :]
    if len(body) != _HEAD.size + 4 * sum(sizes) or check != _CHECK.pack(zlib.crc32(body)):
        raise DataError("a saved state is damaged, or of another shape; the machine starts anew")
    version, owner, ts, seq, readings, raised, streak = _HEAD.unpack_from(body)
    if version != VERSION or owner.rstrip(b"\0") != model.encode():
        raise DataError(
            f"a saved state is of version {version}, model {owner!r}, not of {model}; the machine starts anew"
        )
    tensors, at = [], _HEAD.size
    for size in sizes:
        tensors.append(floats(body[at : at + 4 * size]))
        at += 4 * size
    return Snapshot(model, None if math.isnan(ts) else ts, seq, readings, bool(raised), streak, tensors)


def _little(values: array[float]) -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    swapped = values[:]
    swapped.byteswap()
    return swapped.tobytes()
