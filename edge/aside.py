"""Hold back what native libraries print, which no Python stream can."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OUT, ERR = 1, 2
"""File descriptors of stdout and stderr."""


@contextmanager
def aside(*descriptors: int) -> Iterator[Callable[[], str]]:
    """Redirect file descriptors into a temporary file; yields a function that says what was printed so far.

    For the opening of an engine or the run of a converter: whatever other threads print meanwhile is held back too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:

        def said() -> str:
            sys.stdout.flush()
            sys.stderr.flush()
            return os.pread(held.fileno(), os.fstat(held.fileno()).st_size, 0).decode(errors="replace")

        saved = [(descriptor, os.dup(descriptor)) for descriptor in descriptors]
        try:
            for descriptor in descriptors:
                os.dup2(held.fileno(), descriptor)
            yield said
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in saved:
                os.dup2(original, descriptor)
                os.close(original)
