"""The store keeps what was committed, and survives a damaged file, a full disk and a second process."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from device.store import DAY_S, Sent, Store
from edge.errors import DataError

NOW = 1.7e9


def opened(path: Path, model: str = "a", now: float = NOW) -> Store:
    return Store.open(path, model, now, keep_days=30)


def prediction(seq: int, model: str = "a") -> Sent:
    return Sent(model, "m", seq, "topic", b"payload")


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    store = opened(tmp_path / "deep" / "s.sqlite")
    store.commit(NOW, {"m": b"1", "n": b"2"}, [prediction(1), prediction(2)], [])
    store.commit(NOW, {"m": b"3"}, [prediction(3)], [prediction(1)])
    store.close()
    again = opened(tmp_path / "deep" / "s.sqlite")
    assert (again.load("m"), again.load("n"), again.load("o")) == (b"3", b"2", None)
    assert again.outbox() == [prediction(2), prediction(3)]
    again.close()


def test_states_belong_to_a_model_and_old_ones_are_dropped_in_time(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    for model, now in (("old", NOW - 40 * DAY_S), ("recent", NOW - 10 * DAY_S)):
        store = opened(path, model, now)
        store.commit(now, {"m": model.encode()}, [prediction(1, model)], [])
        store.close()
    store = opened(path, "new")
    assert store.load("m") is None
    assert [sent.model for sent in store.outbox()] == ["old", "recent"]
    store.close()
    for model, want in (("old", None), ("recent", b"recent")):
        store = opened(path, model)
        assert store.load("m") == want
        store.close()


@pytest.mark.parametrize("rubbish", [b"no database at all " * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_kept_aside_and_named(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "s.sqlite"
    for number in (1, 2):
        path.write_bytes(rubbish)
        store = opened(path)
        aside = tmp_path / f"s.sqlite.damaged-{number}"
        assert str(aside) in store.warning
        assert aside.read_bytes() == rubbish
        store.commit(NOW, {"m": b"1"}, [], [])
        assert store.load("m") == b"1"
        store.close()


def test_without_room_for_a_file_states_are_kept_in_memory_and_it_says_so(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        store = opened(tmp_path / "s.sqlite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "states last only as long as this process" in store.warning
    store.commit(NOW, {"m": b"1"}, [], [])
    assert store.load("m") == b"1"
    store.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path / "s.sqlite")
    with pytest.raises(DataError, match="is in use by another `edge run`"):
        opened(tmp_path / "s.sqlite")
    first.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another with --store"):
        opened(tmp_path / "file" / "s.sqlite")
