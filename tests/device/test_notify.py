"""What the service manager hears."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd's, and its name in NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = f"{tmp_path}/notify"
        if request.param == "abstract":
            listening.bind("\0" + path)
            path = "@" + path
        else:
            listening.bind(path)
        listening.setblocking(False)
        yield listening, path


def heard(listening: socket.socket) -> list[str]:
    said = []
    try:
        while True:
            said += listening.recv(4096).decode().splitlines()
    except BlockingIOError:
        return said


def test_what_is_said_arrives(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    notify = Notify.from_environment({"NOTIFY_SOCKET": name})
    assert notify.say("READY=1", "STATUS=here")
    assert heard(listening) == ["READY=1", "STATUS=here"]
    notify.close()


def test_a_watchdog_is_fed_four_times_in_its_patience_and_by_nothing_but_progress(
    manager: tuple[socket.socket, str],
) -> None:
    listening, name = manager
    notify = Notify.from_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"})
    assert notify.beat_s == 5
    for now in range(100, 121):
        notify.progress(float(now))
    assert heard(listening) == ["WATCHDOG=1"] * 5
    notify.close()


def test_a_feeding_that_nobody_took_is_tried_again(tmp_path: Path) -> None:
    notify = Notify(f"{tmp_path}/late", 20)
    notify.progress(100)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"{tmp_path}/late")
        listening.setblocking(False)
        notify.progress(100.1)
        assert heard(listening) == ["WATCHDOG=1"]
    notify.close()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "rubbish"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}],
    ids=["nobody", "rubbish", "meant for another"],
)
def test_where_nobody_listens_nothing_is_said(environment: dict[str, str]) -> None:
    notify = Notify.from_environment(environment)
    assert not notify.say("READY=1")
    assert notify.beat_s == float("inf")
    notify.progress(1)
    notify.close()
