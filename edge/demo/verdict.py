"""How good the warnings were, once the truth is on the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge.demo.watch import Heard
from edge.spec import Project

EARLY, LATE = 2.0, 0.5
"""An alarm is early when more than so many times its level was left, late when less."""

IN_TIME, EARLY_ALARM, LATE_ALARM, MISSED = "in time", "early", "late", "missed"


@dataclass(frozen=True)
class Verdict:
    """One machine that failed. `life` readings until then; `lead` readings between the alarm that stood at the failure
    and the failure (None: no alarm stood); `withdrawn` alarms that were cleared again; `error` the root mean square
    error of its warm predictions against the capped truth."""

    machine: str
    life: int
    lead: float | None
    withdrawn: int
    error: float
    judgement: str


@dataclass(frozen=True)
class Summary:
    """The fleet's figures, in readings (here: hours). `false` alarms are the early and the withdrawn ones."""

    machines: int
    warned: int
    missed: int
    late: int
    early: int
    withdrawn: int
    false: int
    lead_median: float | None
    lead_shortest: float | None
    lead_longest: float | None
    error: float


def judge(heard: Heard, project: Project, cap: float) -> Verdict:
    """`heard` against the truth: the last reading was the failure."""
    period, level = project.timing.period_s, project.alarm.raise_below or 0.0
    left = truth(heard, period)
    pairs = [(rul, min(t, cap)) for rul, t, warm in zip(heard.rul, left, heard.warm, strict=True) if warm]
    error = math.sqrt(sum((got - want) ** 2 for got, want in pairs) / len(pairs)) if pairs else math.nan
    raised = heard.raised
    stood = bool(heard.alarm) and heard.alarm[-1]
    lead = left[raised[-1]] if stood else None
    return Verdict(heard.machine, len(left), lead, len(raised) - stood, error, _judgement(lead, level))


def _judgement(lead: float | None, level: float) -> str:
    if lead is None:
        return MISSED
    return EARLY_ALARM if lead > EARLY * level else LATE_ALARM if lead < LATE * level else IN_TIME


def truth(heard: Heard, period_s: float) -> list[float]:
    """Readings truly left at each prediction, not capped."""
    return [(heard.ts[-1] - ts) / period_s for ts in heard.ts]


def summarise(verdicts: Sequence[Verdict]) -> Summary:
    """All machines together; the error weighs each reading alike."""
    leads = [v.lead for v in verdicts if v.lead is not None]
    readings = sum(v.life for v in verdicts)
    early = sum(v.judgement == EARLY_ALARM for v in verdicts)
    withdrawn = sum(v.withdrawn for v in verdicts)
    return Summary(
        machines=len(verdicts),
        warned=len(leads),
        missed=sum(v.judgement == MISSED for v in verdicts),
        late=sum(v.judgement == LATE_ALARM for v in verdicts),
        early=early,
        withdrawn=withdrawn,
        false=early + withdrawn,
        lead_median=median(leads) if leads else None,
        lead_shortest=min(leads) if leads else None,
        lead_longest=max(leads) if leads else None,
        error=math.sqrt(sum(v.error**2 * v.life for v in verdicts) / readings) if readings else math.nan,
    )
