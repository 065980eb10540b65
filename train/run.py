"""The run folder: everything a fitted model needs to be looked at again, exported, or compared."""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge.errors import DataError, ProjectError
from edge.intervals import Interval
from edge.spec import Project, flat, parse_project
from edge.typed import build, plain
from train.build import build_family, build_task
from train.data.history import History
from train.data.scale import Scaler
from train.folder import check_ours
from train.predictor import Predictor

PROJECT, MODEL, REPORT = "project.json", "model.pt", "report.json"
HELDOUT, CALIBRATION = "heldout.npz", "calibration.npz"
"""Members every run folder has; the report's text and picture lie beside them for people."""


INTERVALS = "intervals.json"
"""The tables of intervals, where a run has some."""

REPORT_TEXT, REPORT_PAGE, PICTURE = "report.txt", "report.html", "predictions.png"
"""What lies beside them for people."""

OURS = frozenset({PROJECT, MODEL, HELDOUT, CALIBRATION, REPORT, REPORT_TEXT, REPORT_PAGE, PICTURE, INTERVALS})


@dataclass(frozen=True)
class Run:
    """A fitted model with its project, in eval mode, the held-out histories (never fitted on), and its report.

    `calibration`: some histories of the training side, whose readings tell an int8 file the ranges of its numbers.
    `intervals`: the tables of the outputs that have one.
    """

    project: Project
    predictor: Predictor
    heldout: list[History]
    calibration: list[History]
    report: dict[str, Any]
    intervals: tuple[Interval, ...] = ()


def save_run(folder: Path, run: Run, beside: Mapping[str, bytes] | None = None) -> None:
    """Write `run`, and further files `beside` it, to `folder`: whole or not at all; an earlier run there is replaced.

    Raises DataError where `folder` is something else than a run, or cannot be written.
    """
    check_free(folder)
    weights = io.BytesIO()
    torch.save(run.predictor.state_dict(), weights)
    members = {
        PROJECT: json.dumps(flat(run.project), indent=1).encode() + b"\n",
        MODEL: weights.getvalue(),
        HELDOUT: _packed(run.heldout),
        CALIBRATION: _packed(run.calibration),
        REPORT: json.dumps(run.report, indent=1, allow_nan=False).encode() + b"\n",
        **({INTERVALS: json.dumps(plain(run.intervals), indent=1).encode() + b"\n"} if run.intervals else {}),
        **(beside or {}),
    }
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
            fresh, old = Path(aside, "new"), Path(aside, "old")
            fresh.mkdir()
            for name, content in members.items():
                (fresh / name).write_bytes(content)
            if folder.exists():
                folder.replace(old)
            try:
                fresh.replace(folder)
            except OSError:
                if old.exists():
                    old.replace(folder)
                raise
    except OSError as error:
        raise DataError(
            f"`{folder}` cannot be written: {error.strerror or error}; free space or choose another -o"
        ) from error


def check_free(folder: Path) -> None:
    """Raises DataError where `folder` holds anything a run does not, or cannot be made; asked before fitting, too."""
    check_ours(folder, OURS, "run")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PROJECT).exists():
        raise DataError(f"`{folder}` is no run folder; nothing was touched, choose another -o")


def load_run(folder: Path) -> Run:
    """The run in `folder`, its predictor in eval mode. Raises DataError for a missing or damaged member, ProjectError
    for a project this version does not understand.
    """
    if not folder.is_dir():
        raise DataError(f"there is no run folder `{folder}`; make one with `edge train PROJECT.toml -o {folder}`")
    members = {name: _read(folder, name) for name in (PROJECT, MODEL, HELDOUT, CALIBRATION, REPORT)}
    try:
        table, report = json.loads(members[PROJECT]), json.loads(members[REPORT])
        project = parse_project(table)
    except ValueError as error:
        raise DataError(f"`{folder}`: {PROJECT} or {REPORT} is damaged ({error}); train again") from error
    except ProjectError as error:
        raise ProjectError(f"`{folder / PROJECT}`: {error}") from error
    try:
        state = torch.load(io.BytesIO(members[MODEL]), weights_only=True)
        predictor = rebuilt(project, state)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        KeyError,
        EOFError,
        ValueError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"`{folder / MODEL}` is damaged or does not fit its project ({reason}); train again") from error
    heldout, calibration = (_histories(folder, name, members[name]) for name in (HELDOUT, CALIBRATION))
    return Run(project, predictor, heldout, calibration, report, _intervals(folder))


def _intervals(folder: Path) -> tuple[Interval, ...]:
    if not (folder / INTERVALS).exists():
        return ()
    try:
        table = json.loads(_read(folder, INTERVALS))
        return tuple(build(Interval, one, f"[{place}]") for place, one in enumerate(table))
    except (ValueError, TypeError, ProjectError) as error:
        raise DataError(f"`{folder / INTERVALS}` is damaged ({error}); train again") from error


def _histories(folder: Path, name: str, content: bytes) -> list[History]:
    try:
        return _unpacked(content)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"`{folder / name}` is damaged ({error}); train again") from error


def rebuilt(project: Project, state: dict[str, Any]) -> Predictor:
    """The predictor of these weights, in eval mode. Raises RuntimeError or KeyError where they are another one's."""
    prefix = "scaler."
    scaler = Scaler.blank(project, {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    task = build_task(project)
    family = build_family(project, len(project.channels), task.width)
    family.fold()
    predictor = Predictor(project, scaler, family, task)
    predictor.load_state_dict({f"{prefix}pace": torch.ones(1), **state})  # runs of old know no pace, nor need it
    return predictor.eval()


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"`{folder}` is no run folder, it lacks {name}; make one with `edge train PROJECT.toml -o {folder}`"
        ) from error
    except OSError as error:
        raise DataError(f"`{folder / name}` cannot be read: {error.strerror}") from error


def _packed(histories: Sequence[History]) -> bytes:
    """Histories as one npz: readings one behind the other, and a row of facts each; `left` and `end` are NaN where not
    known.
    """
    file = io.BytesIO()
    np.savez_compressed(
        file,
        x=np.concatenate([h.x for h in histories]),
        mask=np.concatenate([h.mask for h in histories]),
        ts=np.concatenate([h.ts for h in histories]),
        length=np.array([len(h) for h in histories], np.int64),
        machine=np.array([h.machine for h in histories], np.str_),
        life=np.array([h.life for h in histories], np.int64),
        failed=np.array([h.failed for h in histories], np.bool_),
        left=np.array([np.nan if h.left is None else h.left for h in histories], np.float64),
        labelled=np.array([h.label is not None for h in histories], np.bool_),
        label=np.concatenate([np.full(len(h), "") if h.label is None else h.label for h in histories]),
        end=np.array([np.nan if h.end is None else h.end for h in histories], np.float64),
        marked=np.array([h.anomalous is not None for h in histories], np.bool_),
        anomalous=np.concatenate(
            [np.zeros(len(h), np.bool_) if h.anomalous is None else h.anomalous for h in histories]
        ),
    )
    return file.getvalue()


def _unpacked(content: bytes) -> list[History]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        names = ("x", "mask", "ts", "length", "machine", "life", "failed", "left", "marked", "anomalous")
        table = {name: file[name] for name in names}
        table["labelled"] = file["labelled"] if "labelled" in file else np.zeros(len(table["length"]), np.bool_)
        label = file["label"] if table["labelled"].any() else np.empty(0, np.str_)
        table["end"] = file["end"] if "end" in file else np.full(len(table["left"]), np.nan)  # not in runs of old
    ends = np.cumsum(table["length"])
    known = (table[name] for name in ("machine", "life", "failed", "left", "marked", "end", "labelled"))
    facts = zip(ends - table["length"], ends, *known, strict=True)
    return [
        History(
            str(machine),
            int(life),
            table["ts"][start:end],
            table["x"][start:end],
            bool(failed),
            None if np.isnan(left) else float(left),
            table["anomalous"][start:end] if marked else None,
            table["mask"][start:end],
            None if np.isnan(failure) else float(failure),
            label=label[start:end] if labelled else None,
        )
        for start, end, machine, life, failed, left, marked, failure, labelled in facts
    ]
