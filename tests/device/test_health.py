"""One line for each thing that goes wrong, a count for every time."""

from __future__ import annotations

import logging

import pytest

from device.health import KNOWN_LIMIT, Health
from device.prediction import Reason
from tests.support.scripted import SteppedClock


@pytest.fixture
def health(caplog: pytest.LogCaptureFixture) -> Health:
    caplog.set_level(logging.INFO)
    return Health({"project": "p"}, SteppedClock(), logging.getLogger("health"))


def test_a_repeated_problem_is_said_once_and_counted_each_time(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(50):
        health.reject(Reason.PAYLOAD, "m1", f"the payload has {i} bytes")
        health.reject(Reason.DUPLICATE, "m1", f"ts {i} was already taken")
        health.problem("m1", "the payload lacks `x`")
    health.reject(Reason.PAYLOAD, "m2", "the payload has 3 bytes")
    assert [r.getMessage() for r in caplog.records] == [
        "m1: the payload has 0 bytes",
        "m1: the payload lacks `x`",
        "m2: the payload has 3 bytes",
    ]
    status = health.status("online", machines=2)
    assert status["rejected"] == {"duplicate": 50, "payload": 51}
    assert (status["problems"], status["machines"], status["project"]) == (50, 2, "p")
    assert status["last_error"] == "m2: the payload has 3 bytes"


def test_strangers_cannot_fill_the_log(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(KNOWN_LIMIT + 500)]
    for name in names:
        health.reject(Reason.PAYLOAD, name, "bad")
    assert len(caplog.records) == KNOWN_LIMIT + 1
    assert "further ones are only counted" in caplog.records[-1].getMessage()
    assert health.rejected[Reason.PAYLOAD] == len(names)
