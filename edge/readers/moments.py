"""One reading a moment: rows of one machine and one time, from one file or several, become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.readers.base import Record
from edge.readers.resample import Limits


@dataclass
class Merged:
    """Readings in time order; how many rows said nothing new, and how many said something else than an earlier one."""

    records: list[Record]
    same: int = 0
    different: int = 0


def merge(records: Sequence[Record], limits: Limits) -> Merged:
    """The rows of one machine, sorted by time, one a moment. The first value of a channel inside its `limits` counts,
    and so does a failure or an anomaly that any row of the moment reports, and the first label.
    """
    found = Merged([])
    for record in sorted(records, key=lambda record: record.ts):
        if not found.records or record.ts > found.records[-1].ts:
            found.records.append(record)
            continue
        first = found.records[-1]
        values, said, news, other = list(first.values), False, False, False
        for i, (new, (low, high)) in enumerate(zip(record.values, limits, strict=True)):
            if not low <= new <= high:
                continue
            said = True
            if not low <= values[i] <= high:
                values[i], news = new, True
            elif values[i] != new:
                other = True
        found.different += other
        found.same += said and not other and not news
        failed, anomalous = first.failed or record.failed, first.anomalous or record.anomalous
        label = first.label or record.label
        if news or (failed, anomalous, label) != (first.failed, first.anomalous, first.label):
            found.records[-1] = replace(first, values=values, failed=failed, anomalous=anomalous, label=label)
    return found
