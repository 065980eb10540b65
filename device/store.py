"""States and unsent predictions on disk, in one SQLite file, written in groups.

A commit survives the end of the process, however it ends. `synchronous=NORMAL` spares the SD card a sync for each
group; the price is that a power cut may take the last commits with it, though never part of one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from edge.errors import DataError

SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    machine TEXT NOT NULL, model TEXT NOT NULL, written REAL NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (machine, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    model TEXT NOT NULL, machine TEXT NOT NULL, seq INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (model, machine, seq));
"""

VERSION = 1

DAY_S = 86_400.0


class Sent(NamedTuple):
    """A published prediction whose receipt the broker has not confirmed; `model`, `machine` and `seq` name it."""

    model: str
    machine: str
    seq: int
    topic: str
    payload: bytes


class StoreFull(DataError):
    """The disk does not take what was to be committed."""


class Store:
    """One file for one project on one device. Nothing is written but by `commit`."""

    def __init__(self, connection: sqlite3.Connection, model: str, warning: str, path: Path, lasting: bool) -> None:
        self._db = connection
        self._model = model
        self._path = path
        self._file = _identity(path) if lasting else None
        self.warning = warning
        """What went wrong while opening, for the log and the status; empty where nothing did."""

    @classmethod
    def open(cls, path: Path, model: str, now: float, keep_days: float) -> Store:
        """Open or make `path` for states of `model`; those of other models are dropped after `keep_days`.

        A file that is no longer readable is moved aside, kept, and named in `warning`. Where the disk is full, states
        are kept in memory, and `warning` says so: predictions are worth more than their insurance. Raises DataError
        where the folder cannot be written or another process holds the file.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"`{path.parent}` cannot be made: {error.strerror}; choose another with --store") from error
        warning, lasting = "", True
        try:
            connection = _connect(path)
        except sqlite3.DatabaseError as error:
            if _disk_is_full(error):
                warning = f"`{path}` cannot be written ({error}); states last only as long as this process"
                connection, lasting = _connect(None), False
            elif isinstance(error, sqlite3.OperationalError):
                raise _unusable(path, error) from error
            else:
                aside = _move_aside(path)
                warning = f"`{path}` was damaged ({error}) and is kept as `{aside}`; every machine starts anew"
                connection = _connect(path)
        try:
            with connection:
                oldest = now - keep_days * DAY_S
                connection.execute("DELETE FROM states WHERE model != ? AND written < ?", (model, oldest))
        except sqlite3.OperationalError as error:
            warning = warning or f"`{path}` cannot be tidied: {error}"
        return cls(connection, model, warning, path, lasting)

    @property
    def lasting(self) -> bool:
        """Whether commits land in the file at the store's path: not in memory, nor once somebody removed the file."""
        return self._file is not None and self._file == _identity(self._path)

    def renew(self) -> None:
        """Begin a new file where this one is not `lasting`; what it held must be committed again. Raises StoreFull."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(self._path)
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreFull(
                f"`{self._path}` cannot be written ({error}); states last only as long as this process"
            ) from error
        self._db.close()
        self._db, self._file = connection, _identity(self._path)

    def load(self, machine: str) -> bytes | None:
        """The machine's last committed snapshot, None where there is none or it cannot be read."""
        query = "SELECT state FROM states WHERE machine = ? AND model = ?"
        try:
            row = self._db.execute(query, (machine, self._model)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if row is None else bytes(row[0])

    def outbox(self) -> list[Sent]:
        """Predictions of any model whose receipt was not confirmed when the last process ended, in their order."""
        try:
            rows = self._db.execute("SELECT model, machine, seq, topic, payload FROM outbox ORDER BY rowid").fetchall()
        except sqlite3.DatabaseError:
            return []
        return [Sent(model, machine, seq, topic, bytes(payload)) for model, machine, seq, topic, payload in rows]

    def commit(
        self, now: float, states: Mapping[str, bytes], unconfirmed: Iterable[Sent], confirmed: Iterable[Sent]
    ) -> None:
        """Write snapshots by machine, add to the outbox and take from it, all or nothing. Raises StoreFull."""
        saved = [(machine, self._model, now, state) for machine, state in states.items()]
        added = [(sent.model, sent.machine, sent.seq, sent.topic, sent.payload) for sent in unconfirmed]
        done = [(sent.model, sent.machine, sent.seq) for sent in confirmed]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)", saved)
                if added:
                    self._db.executemany("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?)", added)
                if done:
                    self._db.executemany("DELETE FROM outbox WHERE model = ? AND machine = ? AND seq = ?", done)
        except sqlite3.DatabaseError as error:
            raise StoreFull(f"states cannot be saved ({error}); free space on the device, predictions go on") from error

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._db.close()


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=1.0)
    try:
        # Exclusive: a second process on the same file is refused at once, and no shared memory file is needed.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with closing(connection.execute("PRAGMA quick_check")) as answer:
            found = answer.fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found.partition("\n")[0])
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its format is {version}, not {VERSION}")
        if version == 0:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _move_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    return aside


def _disk_is_full(error: sqlite3.DatabaseError) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    return name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR")


def _unusable(path: Path, error: sqlite3.OperationalError) -> DataError:
    if "locked" in str(error):
        return DataError(f"`{path}` is in use by another `edge run`; stop it, or give this one its own --store")
    return DataError(f"`{path}` cannot be opened: {error}; choose another place with --store")
