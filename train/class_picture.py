"""The picture of a classifier: what is taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from train.picture import INK, MODEL, titled

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure


def confusion(drawing: SubFigure, counts: NDArray[np.float64], classes: Sequence[str]) -> None:
    """Counts [K, K] of what was right (rows) and what was said (columns), as shares of what was right."""
    from matplotlib.colors import LinearSegmentedColormap

    axes = drawing.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1.0)
    axes.imshow(
        shares, vmin=0, vmax=1, cmap=LinearSegmentedColormap.from_list("shares", ["white", MODEL]), aspect="auto"
    )
    for (right, said), share in np.ndenumerate(shares):
        axes.annotate(f"{100 * share:.0f} %", (said, right), ha="center", va="center",
                      color="white" if share > 0.5 else INK)  # fmt: skip
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=30, ha="right")
    axes.set_yticks(places, classes)
    axes.set(xlabel="said", ylabel="right")
    titled(axes, "What is taken for what")
