"""Claims about pictures: what explains them does not lie on what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing

from edge.spec import parse_project
from train.build import build_task
from train.data.history import History
from train.evaluate import judge
from train.tasks.base import Array


def machine(name: str) -> History:
    ts = np.arange(150, dtype=float)
    marks = (ts > 80) & (ts < 120)
    return History(name, 0, ts, np.zeros((150, 1), np.float32), True, 0.0, marks)


@pytest.mark.parametrize("kind", ["rul", "anomaly"])
def test_the_names_of_models_stand_below_the_panel_and_inside_the_picture(kind: str) -> None:
    table: dict[str, Any] = {"project": {"name": "t"}, "signals": {"a": {}}, "task": {"kind": kind}}
    task = build_task(parse_project({**table, "data": {"path": "x", "anomaly": "bad"}}))
    histories = [replace(machine(f"m{i}"), life=i) for i in range(3)]

    def say(asked: Sequence[History]) -> list[Array]:
        return [np.full((len(h), len(task.outputs)), 0.5, np.float32) for h in asked]

    judged = {name: judge(task, histories, say) for name in ("gru", *task.baselines)}
    drawing = Drawing(figsize=(11, 4.4), dpi=80, layout="constrained")
    FigureCanvasAgg(drawing)
    task.draw(drawing, histories, say(histories), judged)
    drawing.canvas.draw()
    axes = drawing.axes[-1]
    legend = axes.get_legend()
    assert legend is not None and len(legend.get_texts()) == len(judged)
    place = legend.get_window_extent()
    assert place.y1 <= axes.get_window_extent().y0
    assert place.x0 >= 0 and place.y0 >= 0 and place.x1 <= drawing.bbox.x1
