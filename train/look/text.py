"""A draft as a project file for people: what was decided, and beside it why, and what was left out."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from edge.spec import DataSpec
from train.look.made import Draft, Seen

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def project_text(draft: Draft, name: str, paths: Sequence[str]) -> str:
    """The TOML of `draft`; `paths` as they are to be written."""
    parts = [
        f"# A first project file, written by looking at {_counted(draft)}.\n"
        "# It trains as it is. Read it once: you know the machine, the program saw only columns.",
        f"[project]\nname = {_text(name)}",
        _data(draft, paths),
        _signals(draft),
        _task(draft),
        f'[model]\nfamily = "gru"\nhidden = {draft.hidden}',
        _train(draft),
        _timing(draft),
        _alarm(draft),
        '[mqtt]\nreadings    = "plant/{machine}/telemetry"\npredictions = "plant/{machine}/health"\n'
        'control     = "plant/{machine}/control"',
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _counted(draft: Draft) -> str:
    counts = {k: v for k, v in draft.facts.items() if k != "machines that failed"}
    return ", ".join(f"{count} {what if count != 1 else ONE[what]}" for what, count in counts.items())


ONE = {"readings": "reading", "machines": "machine", "lives": "life", "failures": "failure"}
"""What is counted, one of it."""


def _data(draft: Draft, paths: Sequence[str]) -> str:
    data, usual = draft.data, DataSpec(path="")
    lines = ["[data]", f"reader = {_text(data.reader)}"]
    lines.append(f"path = {_text(paths[0]) if len(paths) == 1 else json.dumps(list(paths), ensure_ascii=False)}")
    why = {what: reason for what, _, reason in draft.reasons}
    if data.reader != "cmapss":
        lines += [_line("machine", data.machine, why.get("machine")), _line("time", data.time, why.get("time"))]
    for key in ("time_format", "time_unit", "failure", "anomaly", "label", "sensor", "value", "decimal", "encoding"):
        said = getattr(data, key)
        if said != getattr(usual, key) and not (key == "time_unit" and said is None):
            lines.append(_line(key, said, why.get(key)))
    if not draft.zoned:
        lines.append(f"{'' if data.timezone != 'UTC' else '# '}timezone = {_text(_zone(data))}  # the times do not say")
    elif data.timezone != "UTC":
        lines.append(_line("timezone", data.timezone))
    if data.failure is None and data.reader != "cmapss":
        lines.append('# failure = "failed"  # a column that is true at the last reading before a failure, or')
        lines.append('# failure = "{last}"  # every record ends in a failure')
    for key in ("header_line", "data_line"):
        said = getattr(data, key)
        if said != getattr(usual, key):
            lines.append(f"{key} = {said}")
    if data.missing:
        lines.append(f"missing = {json.dumps(list(data.missing), ensure_ascii=False)}")
    if data.resample:
        lines.append(
            _line("resample", data.resample, "one reading each timing.period_s; a channel may have its own way")
        )
    return "\n".join(lines)


def _zone(data: DataSpec) -> str:
    return data.timezone if data.timezone != "UTC" else "Europe/Berlin"


def _signals(draft: Draft) -> str:
    lines = ["[signals]  # the model's channels; with min and max, values outside count as missing"]
    lines += [f"{_key(seen.name)} = {_table(seen)}  # {_range(seen)}" for seen in draft.channels]
    if draft.left_out:
        lines.append("# left out:")
        lines += [f"# {_key(name)} = {{}}  # {_one_line(why)}" for name, why in draft.left_out.items()]
    return "\n".join(lines)


def _table(seen: Seen) -> str:
    return f"{{ unit = {_text(seen.unit)} }}" if seen.unit else "{}"


def _range(seen: Seen) -> str:
    margin = seen.high - seen.low
    low, high = seen.low - margin, seen.high + margin
    if seen.low >= 0 > low:
        low = 0.0
    fine = max(0, 2 - math.floor(math.log10(margin))) if margin > 0 else 3
    seen_low, seen_high, low_text, high_text = (f"{x:.{min(fine, 12)}f}" for x in (seen.low, seen.high, low, high))
    return f"seen {seen_low} to {seen_high}; perhaps min = {low_text}, max = {high_text}"


def cap_of(life: float) -> int:
    """A cap that lets the last 60 % of a life be told apart, in round numbers: 125 for C-MAPSS, as is usual there."""
    cap = 0.6 * life
    step = 25 if cap >= 100 else 5 if cap >= 20 else 1
    return max(2, round(cap / step) * step)


def _task(draft: Draft) -> str:
    lines = ["[task]", _line("kind", draft.kind, dict((w, r) for w, _, r in draft.reasons)["task"])]
    if draft.kind == "rul":
        lines.append(f"cap = {cap_of(draft.life)}  # readings: beyond so many a machine says nothing about its end")
        lines.append('unit = "readings"')
    if draft.kind == "failure":
        lines.append(f"horizon = {max(2, round(0.15 * draft.life))}  # readings: will it fail within so many?")
        lines.append('unit = "readings"')
    if draft.kind == "anomaly":
        lines.append('# kind = "forecast"  # says what the channels will be instead, task.horizons readings ahead')
    return "\n".join(lines)


def _train(draft: Draft) -> str:
    lines = ["[train]", f"epochs = {draft.epochs}"]
    if draft.split == "time":
        why = next(reason for what, _, reason in draft.reasons if what == "split")
        lines.append(f'split = "time"  # {_one_line(why)};')
        lines.append("# that says how the model does on these machines later, nothing about other machines")
    if draft.shares is not None:
        lines.append(f"validation_share = {draft.shares[0]:g}")
        lines.append(f"test_share = {draft.shares[1]:g}  # most machines are healthy before that")
    return "\n".join(lines)


def _timing(draft: Draft) -> str:
    what = "one step of the count" if draft.counted else "what a device must be sent: one reading each period"
    return "\n".join(
        [
            "[timing]",
            f"period_s = {draft.period_s:g}  # {what}",
            f"max_gap_s = {draft.max_gap_s:g}",
            'on_gap = "hold"  # or "reset": behind a longer gap the model begins anew',
            f"warm_up_readings = {draft.warm_up}",
        ]
    )


def _alarm(draft: Draft) -> str:
    if draft.kind != "rul":
        return ""
    cap = cap_of(draft.life)
    levels = max(1, round(cap * 0.25)), max(2, round(cap * 0.35))
    return f"[alarm]\nraise_below = {levels[0]}\nclear_above = {levels[1]}\nhold_readings = 3"


def _line(key: str, value: object, why: str | None = None) -> str:
    said = f"{key} = {_text(value) if isinstance(value, str) else value}"
    return f"{said}  # {_one_line(why)}" if why else said


def _text(text: object) -> str:
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def name_of(out: Path) -> str:
    """A project's name from its file's."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", out.stem).strip("-")
    return name if re.match(r"[A-Za-z]", name) else f"p-{name}".rstrip("-")


def relative(patterns: Sequence[str], out: Path) -> list[str]:
    """Paths and globs as seen from the project file's folder."""
    folder = out.absolute().parent
    return [os.path.relpath(Path(pattern).absolute(), folder) for pattern in patterns]


def as_pattern(paths: Sequence[Path]) -> list[str]:
    """Files that a shell listed, as the glob it was where they are all of their kind in one folder."""
    folders, ends = {path.parent for path in paths}, {path.suffix for path in paths}
    if len(paths) > 1 and len(folders) == len(ends) == 1:
        folder, end = paths[0].parent, paths[0].suffix
        if end and {path.absolute() for path in folder.glob(f"*{end}")} == {path.absolute() for path in paths}:
            return [str(folder / f"*{end}")]
    return [str(path) for path in paths]
