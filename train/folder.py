"""Folders that a verb writes: its own, or made anew; never one that holds anything else."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path

from edge.errors import DataError


def check_ours(folder: Path, names: Set[str], what: str) -> None:
    """Asked before anything is fitted: raises DataError where `folder` holds a name that is not among `names`, those
    that `what` (a run, a ranking) has, or where it is no folder and cannot be made.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"`{folder}` exists and is no {what} folder; nothing was touched, choose another -o")
    strange = sorted({path.name for path in folder.iterdir()} - names) if folder.is_dir() else []
    if strange:
        raise DataError(
            f"`{folder}` holds `{strange[0]}`, which no {what} does; nothing was touched, choose another -o"
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise DataError(f"`{folder}` cannot be made in `{above}`; choose another -o")
