"""Files that are put in place together, and taken back together if what they were for does not work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edge.atomic import writing
from edge.errors import DataError

SECRET = 0o600
PUBLIC = 0o644
SECRET_FOLDER = 0o700
PUBLIC_FOLDER = 0o755


class File(NamedTuple):
    """What a file is to hold, and who may read it; `content` None: it is to be gone."""

    path: Path
    content: bytes | None
    mode: int = PUBLIC


class Changes:
    """Remembers what was there before. Every file is whole at any moment: written aside, then renamed."""

    def __init__(self) -> None:
        self._before: list[File] = []
        self._made: list[Path] = []

    def apply(self, files: Iterable[File]) -> list[Path]:
        """Put `files` in place, owned by whoever runs this; the paths that had to be changed.

        Raises DataError where one cannot be written.
        """
        changed = []
        for file in files:
            before = read(file.path)
            if before == file:
                continue
            self._before.append(before)
            self.folder(file.path.parent, SECRET_FOLDER if file.mode == SECRET else PUBLIC_FOLDER)
            put(file)
            changed.append(file.path)
        return changed

    def undo(self) -> None:
        """Put everything back as it was. Raises DataError for what cannot be put back, once the rest is."""
        failed = None
        while self._before:
            file = self._before.pop()
            try:
                if read(file.path) != file:  # a full disk must not keep us from leaving alone what never changed
                    put(file)
            except (DataError, OSError) as error:
                failed = failed or DataError(f"`{file.path}` is not as it was before: {error}")
        while self._made:
            folder = self._made.pop()
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if failed is not None:
            raise failed

    def folder(self, folder: Path, mode: int) -> None:
        """Make sure of a folder and of who may look into it. Raises DataError."""
        missing = [p for p in (folder, *folder.parents) if not p.exists()]
        for one in reversed(missing):
            try:
                one.mkdir()
                one.chmod(mode if one == folder else PUBLIC_FOLDER)
            except OSError as error:
                raise DataError(f"`{one}` cannot be made: {error.strerror}") from error
            self._made.append(one)
        if not missing and mode == SECRET_FOLDER:
            folder.chmod(mode)


def read(path: Path) -> File:
    """The file as it is now."""
    try:
        return File(path, path.read_bytes(), path.stat().st_mode & 0o7777)
    except FileNotFoundError:
        return File(path, None)
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror}") from error


def put(file: File) -> None:
    """Make `file` be as it says. Raises DataError."""
    if file.content is None:
        file.path.unlink(missing_ok=True)
        return
    with writing(file.path) as handle:
        os.fchmod(handle.fileno(), file.mode)  # before the first byte of a secret is in it
        handle.write(file.content)


def remove(path: Path) -> bool:
    """Remove a file, a link or a whole folder; False where there was none. Raises DataError."""
    if not path.exists() and not path.is_symlink():
        return False
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise DataError(f"`{path}` cannot be removed: {error.strerror}") from error
    return True
