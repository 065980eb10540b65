"""Pieces of work for processes that know nothing of models."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from edge.atomic import writing
from train.ranking.workers import Tell


def labour(known: Any, piece: Any, tell: Tell) -> None:
    """Tell what is known of the piece, after what it says: die, hang, hear Ctrl-C, or write half a file."""
    if piece == "die":
        os._exit(3)
    if piece == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
    tell((known, piece, os.getpid(), os.environ["OMP_NUM_THREADS"]))
    if isinstance(piece, Path):
        with writing(piece) as file:
            file.write(b"half")
            file.flush()
            tell("written")
            time.sleep(600)
    if piece == "hang":
        time.sleep(600)
