"""What takes long is kept: folders named by the content of their recipe, written aside, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from arm.errors import Failed
from arm.shell import log

CHECKOUT = Path(__file__).resolve().parents[1]


def cache() -> Path:
    """Where things are kept: `$EDGE_ARM_CACHE`, else `.cache/arm` in the checkout."""
    return Path(os.environ.get("EDGE_ARM_CACHE") or CHECKOUT / ".cache" / "arm").resolve()


def work(job: str) -> Path:
    """An empty folder for one job."""
    folder = cache() / "work" / job
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else changes the cache meanwhile. Raises Failed where somebody does."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"another `make arm` works in `{cache()}`; wait for it, or set EDGE_ARM_CACHE") from None
        yield


def kept(name: str, recipe: object, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made anew only where `recipe` (anything with an honest repr) has changed."""
    key = hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
    home = cache() / "kept"
    path = home / f"{name}-{key}"
    if path.exists():
        log(f"{path.name} is kept from before")
        return path
    for old in home.glob(f"{name}-????????????*"):
        shutil.rmtree(old)
    aside = path.with_name(f"{path.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    make(aside)
    aside.rename(path)
    return path


def content(*paths: Path) -> str:
    """One hash of the content of files and folders; caches of Python do not count."""
    total = hashlib.sha256()
    for path in paths:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                total.update(str(file.relative_to(path.parent)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()
