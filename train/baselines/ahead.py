"""What a baseline must know of a task that forecasts its own readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edge.errors import ProjectError

if TYPE_CHECKING:
    from train.tasks.base import Task


@runtime_checkable
class Ahead(Protocol):
    """A task whose outputs are its channels at later readings, in the sensors' units.

    `horizons` are how many readings ahead, `predicted` the places of the channels. Output h · len(predicted) + c is
    channel `predicted[c]`, `horizons[h]` readings ahead.
    """

    horizons: tuple[int, ...]
    predicted: tuple[int, ...]


def ahead(task: Task, baseline: str) -> Ahead:
    """`task` as one that forecasts. Raises ProjectError where it is none, naming the `baseline` that asked."""
    if not isinstance(task, Ahead):
        raise ProjectError(f"{baseline} forecasts readings, which is not what this task predicts")
    return task
