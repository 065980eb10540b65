"""What a benchmark found, as text."""

from __future__ import annotations

from typing import Any

from edge.table import measured_in, render
from train.sequence.lag import reach, shown


def render_sequence(report: dict[str, Any]) -> str:
    """The figure beside the paper's and beside who knows nothing, and the gradient by lag."""
    published = report["published"]
    header = ["", measured_in(f"test {report['metric']}", report["unit"]), "weights", "where"]
    rows = [
        [report["family"], figure(report["figure"]), report["parameters"], f"here, seed {report['seed']}"],
        *([["paper", figure(published["value"]), published["parameters"], published["where"]]] if published else []),
        ["knows nothing", figure(report["naive"]), None, "whatever the input"],
    ]
    told = (
        f"{report['ended']} behind {report['epochs']:.3g} epochs ({report['steps']} steps), "
        f"{report['cpu_seconds']:.0f} s of CPU time; best on the validation set at step {report['validation']['step']}"
    )
    return "\n".join([render(header, rows), "", told, "", gradients(report), "", report["command"]])


def gradients(report: dict[str, Any]) -> str:
    """The norm of d y_T / d x_{T-k} at a few lags k, as a share of the largest, before and after fitting."""
    by = report["gradient_by_lag"]
    lags = shown(len(by["before"]))
    header = ["d y_T / d x_{T-k}, k =", *map(str, lags), "1 % reach"]
    rows = []
    for name, norms in by.items():
        top = max(norms) or 1.0
        rows.append([f"{name} fitting", *(f"{norms[lag] / top:.1e}" for lag in lags), reach(norms)])
    return render(header, rows)


def figure(value: float) -> str:
    """Three digits, small ones with an exponent."""
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
