"""Roll-out: from a primed state on, each reading is the one that was forecast; nobody else's state moves."""

from __future__ import annotations

from collections.abc import Iterator

from device.prediction import Prediction, Rejected
from device.runtime import Runtime
from edge.ahead import output_of
from edge.errors import DataError
from edge.manifest import Manifest

Step = tuple[float, dict[str, float]]
"""When (seconds), and the value of each channel there."""


def check(manifest: Manifest) -> None:
    """Raises DataError, naming what is missing, where a model cannot be fed with its own forecasts."""
    task, outputs = manifest.project.task, {output.name for output in manifest.outputs}
    missing = [channel.name for channel in manifest.channels if output_of(channel.name, 1) not in outputs]
    if not missing:
        return
    names = ", ".join(f"`{name}`" for name in missing)
    if task.kind != "forecast":
        raise DataError(
            f"this model cannot be rolled out: its task is `{task.kind}`, which does not say what {names} will be; "
            'train one with task.kind = "forecast" and 1 among task.horizons'
        )
    raise DataError(
        f"this model cannot be rolled out: it does not forecast {names} one reading ahead; train it with 1 among "
        "task.horizons, and with every signal and regime column in task.channels"
    )


def roll_out(runtime: Runtime, last: Prediction, steps: int) -> Iterator[Step]:
    """The next `steps` readings of a machine that `runtime` serves, `timing.period_s` apart, `last` being its latest
    prediction.

    What was forecast one reading ahead is fed back into a copy of the machine; the machine itself stays as it is.
    Raises DataError where the model cannot do so, or where a forecast is none that a sensor could send.
    """
    manifest = runtime.backend.bundle.manifest
    check(manifest)
    channels = [channel.name for channel in manifest.channels]
    aside = Runtime(runtime.backend.bundle, runtime.backend)
    aside.restore(last.machine, runtime.snapshot(last.machine))
    said = last
    for step in range(1, steps + 1):
        ts = round(last.ts + step * manifest.project.timing.period_s, 6)
        values = [said.outputs[output_of(name, 1)] for name in channels]
        yield ts, dict(zip(channels, values, strict=True))
        if step == steps:
            return
        answer = aside.feed(last.machine, ts, values)
        if isinstance(answer, Rejected):
            raise DataError(f"machine `{last.machine}`: the roll-out ends at step {step}: {answer.line}")
        said = answer
