"""Who asks gets the answer of the loop; a loop that does not turn gives none."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from device.serve import socket_of
from device.status_socket import StatusSocket, ask, folders, own_folder
from edge.errors import DataError, LinkError


def test_whoever_asks_is_answered_when_the_loop_comes_by(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "status.sock"
    listening = StatusSocket(path)
    got: list[dict[str, Any]] = []
    askers = [threading.Thread(target=lambda: got.append(ask(path))) for _ in range(3)]
    for asker in askers:
        asker.start()
    while len(got) < 3:
        listening.serve(lambda: b'{"healthy": true}')
    for asker in askers:
        asker.join()
    assert got == [{"healthy": True}] * 3
    listening.close()
    assert not path.exists()


def test_a_loop_that_hangs_gives_no_answer(tmp_path: Path) -> None:
    listening = StatusSocket(tmp_path / "s")
    with pytest.raises(TimeoutError):
        ask(tmp_path / "s", 0.1)
    listening.close()


def test_an_asker_who_went_away_or_does_not_read_disturbs_nobody(tmp_path: Path) -> None:
    listening = StatusSocket(tmp_path / "s")
    calls = []

    def answer() -> bytes:
        calls.append(1)
        return b"x" * 100_000_000

    listening.serve(answer)
    assert not calls
    with socket.socket(socket.AF_UNIX) as gone:
        gone.connect(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(tmp_path / "s"))
        listening.serve(answer)
    assert calls == [1]
    listening.close()


def test_the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(LinkError, match="nothing answers"):
        ask(path)
    listening = StatusSocket(path)
    with pytest.raises(DataError, match="another `edge run` answers at"):
        StatusSocket(path)
    listening.close()


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="`edge status` will get no answer"):
        StatusSocket(tmp_path / "file" / "s")
    with pytest.raises(DataError, match="`edge status` will get no answer"):
        StatusSocket(tmp_path / ("x" * 200))


def test_an_answer_that_is_none_is_no_status(tmp_path: Path) -> None:
    listening = StatusSocket(tmp_path / "s")
    said: list[str] = []

    def asking() -> None:
        try:
            ask(tmp_path / "s")
        except LinkError as error:
            said.append(str(error))

    asker = threading.Thread(target=asking)
    asker.start()
    while not said:
        listening.serve(lambda: b"hello")
    asker.join()
    listening.close()
    assert "gives no status" in said[0]


def test_the_place_is_the_services_own_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert own_folder("pump") is None
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert own_folder("pump") == tmp_path / "edge" / "pump"
    (tmp_path / "edge" / "pump").mkdir(parents=True)
    assert tmp_path / "edge" / "pump" in folders()
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/edge/pump")
    assert own_folder("pump") == Path("/run/edge/pump")
    assert folders()[0] == Path("/run/edge/pump")


def test_a_daemon_that_status_cannot_find_says_how_to_change_that(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    with caplog.at_level("INFO"):
        assert socket_of("pump", logging.getLogger("desk")) is None
    assert "RUNTIME_DIRECTORY=/run/edge/pump" in caplog.text
