"""Keep what converters print out of the user's sight, unless they fail."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import CheckFailed


@contextmanager
def quiet(what: str) -> Iterator[None]:
    """Run a converter with its output, its log and its warnings held back.

    The converters print from C++ too, so the file descriptors are redirected, not only Python's streams. Any error of
    the converter becomes CheckFailed: "`what` failed", with the last lines it printed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = os.dup(1), os.dup(2)
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            os.dup2(held.fileno(), 1)
            os.dup2(held.fileno(), 2)
            yield
        except Exception as error:
            held.seek(0)
            last = held.read().decode(errors="replace").strip().splitlines()[-5:]
            raise CheckFailed("\n  ".join([f"{what} failed: {error}", *last])) from error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in enumerate(saved, start=1):
                os.dup2(original, descriptor)
                os.close(original)
            logging.disable(level)
