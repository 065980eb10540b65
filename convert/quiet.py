"""Keep what converters print out of the user's sight, unless they fail."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from edge.aside import ERR, OUT, aside
from edge.errors import CheckFailed, EdgeError

SHOWN = 5
"""Last lines of a failed converter that the error repeats."""


@contextmanager
def quiet(what: str) -> Iterator[None]:
    """Run a converter with its output, its log and its warnings held back.

    Any error of the converter becomes CheckFailed: "`what` failed", with the last lines it printed; our own
    pass.
    """
    level = logging.root.manager.disable
    with aside(OUT, ERR) as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        except EdgeError:
            raise
        except Exception as error:
            if _interrupted(error):
                raise KeyboardInterrupt from error
            lines = said().strip().splitlines()[-SHOWN:]
            raise CheckFailed("\n  ".join([f"{what} failed: {error}", *lines])) from error
        finally:
            logging.disable(level)


def _interrupted(error: BaseException | None) -> bool:
    """Was this error made of a Ctrl-C that the converter took for one of its own?"""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
