"""Pieces of work for processes that know nothing of models."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from train.ranking.workers import Tell


def labour(known: Any, piece: Any, tell: Tell) -> None:
    """Tell what is known of the piece, after what it says: die, hang, or hear Ctrl-C."""
    if piece == "die":
        os._exit(3)
    if piece == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
    tell((known, piece, os.getpid(), os.environ["OMP_NUM_THREADS"]))
    if piece == "hang":
        time.sleep(600)
