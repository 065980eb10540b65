"""Who teaches, who tells when to stop, who judges: a split by machine, never by row."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge.errors import DataError
from edge.spec import Project
from train.data.history import History, machines


@dataclass(frozen=True)
class Split:
    """Three groups of histories that share no machine."""

    train: list[History]
    validation: list[History]
    test: list[History]


def split(
    histories: Sequence[History], project: Project, test: Sequence[History] | None = None, *, lasting: bool = True
) -> Split:
    """Deal the machines out by `train.validation_share` and `train.test_share`, reproducibly by `train.seed`.

    Machines that failed and machines that never did are dealt separately, so that every group holds its share of
    failures; with `lasting` each group must hold one. With `test` given, nothing is taken away for it. With
    `train.split = "time"` every machine is cut in time instead. Raises DataError where the machines are too few.
    """
    spec = project.train
    if not spec.validation_share:
        raise DataError("`train.validation_share` is 0: no machine would tell when to stop; 0.2 is a good share")
    if test is None and not spec.test_share:
        raise DataError("`train.test_share` is 0 and `data.test` names no file: nothing would be held back to judge by")
    shares = {"validation": spec.validation_share, "test": 0.0 if test is not None else spec.test_share}
    if spec.split == "time":
        early, middle, late = (_lives_in_time if lasting else _in_time)(histories, *shares.values())
        late = late if test is None else list(test)
        if lasting and not all(any(h.left is not None for h in part) for part in (early, middle, late)):
            raise DataError(
                "cut in time, not every group holds a life that ran to failure; add lives, or histories of further "
                'machines with train.split = "machine"'
            )
        return Split(early, middle, late)
    parts = _deal(histories, list(shares.values()), spec.seed)
    failed = _ended(histories)
    groups = 1 + sum(share > 0 for share in shares.values())
    if not lasting:
        fleet = len(machines(histories))
        if fleet < groups:
            raise DataError(
                f"{groups} groups need {groups} machines, here {'is' if fleet == 1 else 'are'} {fleet}; "
                'add machines, or cut each machine in time with train.split = "time"'
            )
        failed = set(machines(histories))
    lower = ", or lower train.validation_share and train.test_share" if len(failed) >= groups else ""
    for part, (name, share) in zip(parts, {**shares, "training": 1.0}.items(), strict=True):
        if share and not failed & part:
            raise DataError(
                f"{len(failed)} of {len(machines(histories))} machines ran to failure, too few for the {name} group to "
                f"hold one; add histories that end in a failure (column `data.failure`){lower}"
            )
    validation, held, train = ([h for h in histories if h.machine in part] for part in parts)
    return Split(train, validation, held if test is None else list(test))


def folds(
    histories: Sequence[History], count: int, seed: int, *, lasting: bool = True
) -> Iterator[tuple[list[History], list[History]]]:
    """`count` times (others, this fold); every machine is in exactly one fold. Raises DataError for too few, which with
    `lasting` are machines that ran to failure.
    """
    failed = _ended(histories)
    fleet = len(machines(histories))
    if not lasting and fleet < count + 2:
        raise DataError(f"{count} folds need {count + 2} machines or more, here are {fleet}; ask for fewer")
    if lasting and len(failed) < 2 * count:
        raise DataError(
            f"{count} folds need {2 * count} machines that ran to failure, here are {len(failed)}; ask for fewer"
        )
    order = _order(histories, seed)
    place = {name: i % count for i, name in enumerate(order)}
    for fold in range(count):
        yield (
            [h for h in histories if place[h.machine] != fold],
            [h for h in histories if place[h.machine] == fold],
        )


def most_folds(histories: Sequence[History], *, lasting: bool = True) -> int:
    """How many folds these machines are enough for."""
    return len(_ended(histories)) // 2 if lasting else len(machines(histories)) - 2


def _ended(histories: Sequence[History]) -> set[str]:
    """Machines of which it is known when they failed, or that were anomalous for a while."""
    return {h.machine for h in histories if h.left is not None or (h.anomalous is not None and h.anomalous.any())}


def check_later(training: Sequence[History], test: Sequence[History]) -> None:
    """Raises DataError where a machine is in both at the same time: later readings of one machine may judge it."""
    ends = {h.machine: h.ts[-1] for h in sorted(training, key=lambda h: float(h.ts[-1]))}
    for h in test:
        if h.machine in ends and h.ts[0] <= ends[h.machine]:
            raise DataError(
                f"machine `{h.machine}` has readings in data.test that are not later than its last one in data.path; "
                "what was learnt from proves nothing, so take it out of one of the two, or rename it"
            )


def _in_time(
    histories: Sequence[History], validation: float, test: float
) -> tuple[list[History], list[History], list[History]]:
    """The first readings of each machine, those behind them, and the last ones; a piece of one reading is none."""
    parts: tuple[list[History], list[History], list[History]] = ([], [], [])
    for name in machines(histories):
        mine = sorted((h for h in histories if h.machine == name), key=lambda h: float(h.ts[0]))
        total = sum(len(h) for h in mine)
        ends = (round(total * (1 - validation - test)), round(total * (1 - test)), total)
        at = 0
        for h in mine:
            begins = (0, *ends[:-1])
            for part, begin, end in zip(parts, begins, ends, strict=True):
                first, last = max(begin - at, 0), min(end - at, len(h))
                if last - first > 1:
                    part.append(h.window(first, last))
            at += len(h)
    return parts


def _lives_in_time(
    histories: Sequence[History], validation: float, test: float
) -> tuple[list[History], list[History], list[History]]:
    """The first lives of each machine, those behind them, and the last ones, whole: half a life would tell a model when
    the other half ends. Machines with fewer than three lives only teach.
    """
    parts: tuple[list[History], list[History], list[History]] = ([], [], [])
    for name in machines(histories):
        lives: list[list[History]] = [[]]
        for h in sorted((h for h in histories if h.machine == name), key=lambda h: float(h.ts[0])):
            lives[-1].append(h)
            if h.failed:
                lives.append([])
        lives = [life for life in lives if life]
        # The last life may be censored; who judges needs one with an end.
        last = max(1, round(test * len(lives))) + (not lives[-1][-1].failed) if test else 0
        middle = max(1, round(validation * len(lives)))
        ends = (len(lives) - middle - last, len(lives) - last, len(lives))
        if ends[0] < 1:
            ends = (len(lives),) * 3
        for part, begin, end in zip(parts, (0, *ends[:-1]), ends, strict=True):
            part.extend(h for life in lives[begin:end] for h in life)
    return parts


def _order(histories: Sequence[History], seed: int) -> list[str]:
    """All machines, shuffled; those that failed first, so that dealing in turn spreads both kinds evenly."""
    rng = np.random.default_rng(seed)
    failed = _ended(histories)
    groups = [[m for m in machines(histories) if (m in failed) == kind] for kind in (True, False)]
    return [group[i] for group in groups for i in rng.permutation(len(group))]


def _deal(histories: Sequence[History], shares: Sequence[float], seed: int) -> list[set[str]]:
    """Machines for each share in turn, and last for all that remain; a share above 0 gets one machine at least."""
    order = _order(histories, seed)
    failed = _ended(histories)
    groups = [[m for m in order if (m in failed) == kind] for kind in (True, False)]
    parts: list[set[str]] = [set() for _ in shares]
    rest: set[str] = set()
    for group in groups:
        at = 0
        for part, share in zip(parts, shares, strict=True):
            # A share above 0 gets one of the machines that failed, or one at all where none did.
            least = 1 if share and (group is groups[0] or not groups[0]) else 0
            n = max(round(share * len(group)), least)
            part.update(group[at : at + n])
            at += n
        rest.update(group[at:])
    return [*parts, rest]


@dataclass(frozen=True)
class Cut:
    """One question put to a model: having seen readings `start` … `stop - 1` of history `index`, what is left?"""

    index: int
    start: int
    stop: int


def cuts(histories: Sequence[History], seed: int, starts: int, each: int, least: int, mid_life: bool) -> list[Cut]:
    """Random cut-offs: for each history `starts` first readings and `each` last readings behind every one of them.

    The first reading is 0 or, with `mid_life`, random; `least` readings are seen at least, where the history has them.
    The draw depends on seed, machine and life alone, so every model is asked the same questions.
    """
    drawn = []
    for index, history in enumerate(histories):
        rng = np.random.default_rng([seed, zlib.crc32(history.machine.encode()), history.life])
        low = min(least, len(history))
        for _ in range(starts):
            start = int(rng.integers(0, len(history) - low + 1)) if mid_life else 0
            drawn += [Cut(index, start, int(stop)) for stop in rng.integers(start + low, len(history) + 1, each)]
    return drawn
