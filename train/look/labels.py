"""Which column, or which sensor of one value a row, tells the answer, and must not be shown to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.readers.base import FILE, FOLDER, LAST, Cell
from edge.readers.cells import TRUE
from train.look.columns import Column, words

if TYPE_CHECKING:
    from train.look.roles import Roles, Wishes

FAILURES = frozenset(["failed", "failure", "fail", "broken", "breakdown", "ausfall", "defekt", "störung", "stoerung"])
ANOMALIES = frozenset(["anomaly", "anomalous", "anomalies", "outlier", "faulty", "fault", "attack", "abnormal"])
LABELS = frozenset(["rul", "remaining", "ttf", "label", "target", "changepoint", "class", "y"])

STATES = frozenset(["label", "class", "state", "condition", "diagnosis", "fault", "zustand", "diagnose"])
CLASSES = 20
"""Different names that a column of states holds at most; one of more tells stories."""


def labels(found: Roles, columns: Mapping[str, Column], wishes: Wishes) -> None:
    """Give failures and anomalies their role by what columns are called; bar what else tells the answer."""
    time = found.data.time
    for name, c in columns.items():
        if name == time or name in found.barred:
            continue
        said = words(name)
        if wishes.failure != name and c.flag and said & (FAILURES | ANOMALIES) and all(map(_true, c.cells)):
            found.barred[name] = "called like a label, and true in every row: it marks nothing"
        elif wishes.failure == name or (
            wishes.failure is None and c.flag and said & FAILURES and not found.data.failure
        ):
            found.data = replace(found.data, failure=name)
            found.reasons.append(("failure", name, "as you said" if wishes.failure else "called so, true or false"))
        elif c.flag and said & ANOMALIES and not found.data.anomaly:
            found.data = replace(found.data, anomaly=name)
            found.reasons.append(("anomaly", name, "called so, true or false; judges, never teaches"))
        elif said & STATES and _named(c) and found.data.label is None:
            found.data = replace(found.data, label=name)
            found.reasons.append(("label", name, f"called so, and names {len(c.texts)} states"))
        elif said & (LABELS | FAILURES | ANOMALIES):
            found.barred[name] = "called like a label; a label must not be seen" + _unread(c, said)
    if wishes.failure == LAST:
        found.data = replace(found.data, failure=LAST)
        found.reasons.append(("failure", LAST, "as you said: every record ends in a failure"))


def _named(c: Column) -> bool:
    """Does it hold a few names, over and over?"""
    return not c.flag and not c.numeric and 2 <= len(c.texts) <= min(CLASSES, len(c.cells) // 3)


def _unread(c: Column, said: frozenset[str]) -> str:
    """What to do where a column is called like a failure or an anomaly, and its words are not known."""
    if c.flag or c.numeric or not said & (FAILURES | ANOMALIES):
        return ""
    return f". It holds `{next(iter(c.texts))}`: write true and false there, and it says when machines failed"


def _true(cell: Cell) -> bool:
    return str(cell).strip().lower() in TRUE


def ends(found: Roles, columns: Mapping[str, Column]) -> None:
    """A column of true and false that is true in nothing but last rows of machines marks their ends, whatever it is
    called: a model that saw it would read the answer.
    """
    data = found.data
    if data.machine in (FILE, FOLDER):
        return
    last = {str(cell): at for at, cell in enumerate(columns[data.machine].cells)}
    for name, c in columns.items():
        if name in {data.time, data.machine, data.failure, data.anomaly, data.label, *found.barred} or not c.flag:
            continue
        true = [at for at, cell in enumerate(c.cells) if _true(cell)]
        if not true or len(c.cells) <= 2 * len(last) or not set(true) <= set(last.values()):
            continue
        if found.data.failure is None:
            found.data = replace(found.data, failure=name)
            found.reasons.append(("failure", name, f"true in the last row of {len(true)} machines, and nowhere else"))
        else:
            found.barred[name] = f"true in last rows alone, as `{found.data.failure}` is; a label must not be seen"


def tagged(found: Roles, sensors: Column, values: Column) -> None:
    """Labels among the sensors' names."""
    for tag in sensors.texts:
        said = words(tag)
        numbers = {n for cell, n in zip(sensors.cells, values.numbers, strict=True) if str(cell).strip() == tag}
        if found.data.failure is None and said & FAILURES and numbers <= {0.0, 1.0}:
            found.data = replace(found.data, failure=tag)
            found.reasons.append(("failure", tag, "a sensor called so, true or false"))
        elif found.data.anomaly is None and said & ANOMALIES and numbers <= {0.0, 1.0}:
            found.data = replace(found.data, anomaly=tag)
            found.reasons.append(("anomaly", tag, "a sensor called so, true or false; judges, never teaches"))
        elif said & (LABELS | FAILURES | ANOMALIES):
            found.barred[tag] = "called like a label; a label must not be seen"
