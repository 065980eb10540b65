"""Files that are either whole or not there: written aside, synced, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edge.errors import NotWritten


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends without an error, and vanishes otherwise.

    Raises NotWritten where the folder cannot be written or the disk is full.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise NotWritten(
            f"`{path}` cannot be written: {error.strerror or error}; free space or choose another place"
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def write(path: Path, content: bytes | str) -> None:
    """`content` becomes `path`, whole or not at all."""
    with writing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
