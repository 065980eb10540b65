"""Readings of several machines, and what must be said about them."""

from __future__ import annotations

from collections import defaultdict

import orjson

from device.choose import open_backend
from device.payload import encode
from device.prediction import Prediction
from device.runtime import Runtime
from edge.bundle import Bundle
from tests.support.broker import Listener
from tests.support.tiny import CHANNELS, readings


def stream(machines: int, steps: int, start: int = 0) -> list[tuple[str, float, list[float]]]:
    """Readings of several machines, interleaved."""
    each = {f"m{i:02}": readings(start + steps, seed=i).tolist() for i in range(machines)}
    return [(name, 1000.0 + t, rows[t]) for t in range(start, start + steps) for name, rows in each.items()]


def messages(readings: list[tuple[str, float, list[float]]]) -> list[tuple[str, bytes]]:
    return [
        (f"plant/{name}/telemetry", orjson.dumps({"ts": ts, "values": dict(zip(CHANNELS, row, strict=True))}))
        for name, ts, row in readings
    ]


def offline(
    bundle: Bundle, readings: list[tuple[str, float, list[float]]], backend: str = "litert"
) -> dict[str, list[bytes]]:
    """What the runtime alone says, by machine."""
    runtime = Runtime(bundle, open_backend(bundle, backend))
    said: dict[str, list[bytes]] = defaultdict(list)
    for name, ts, row in readings:
        answer = runtime.feed(name, ts, row)
        assert isinstance(answer, Prediction)
        said[name].append(encode(answer))
    return dict(said)


def heard(listener: Listener) -> dict[str, list[bytes]]:
    """What arrived, by machine, in order of arrival."""
    said: dict[str, list[bytes]] = defaultdict(list)
    for topic, payload, _ in listener.messages:
        if topic.endswith("/health"):
            said[topic.split("/")[1]].append(payload)
    return dict(said)


def without_repeats(said: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """Delivered at least once is as good as once: the same bytes again are no news. The first time fixes the order."""
    return {name: list(dict.fromkeys(payloads)) for name, payloads in said.items()}


def count(said: dict[str, list[bytes]]) -> int:
    return sum(map(len, said.values()))
