"""Classify: which of several states the machine is in, such as healthy or one of its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError, ProjectError
from edge.spec import Project
from edge.talk import note
from train.class_picture import confusion
from train.classifiers import logistic, majority
from train.data.history import History
from train.picture import records
from train.tasks.alarms import Flags, false_alarms, standing
from train.tasks.base import Array, Labels, Question, Task, TaskOptions
from train.tasks.measure import Costs, Measure, macro_f1, mean, ratio
from train.tasks.tail import Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from train.data.batches import Batch
    from train.evaluate import Judged

SURE = 1e-4
"""Log losses are taken as if nobody was surer than this: one surprise must not cost everything."""

EVEN = 0.5
"""The alarm's level where the project gives none: a fault is more probable than not."""

FEW, ALIKE = 5, 0.75
"""A class of so few is asked about where its name is so much like another's, as a share of their letters."""

MARKED = ("healthy", "faulty")
"""The classes where only `data.anomaly` tells them apart."""

WHOLE = {"whole records": Question(1, 1, False), "switched on in the middle": Question(5, 1, True)}
"""What cross-validation asks where a record has one class."""


@dataclass(frozen=True)
class ClassifyOptions(TaskOptions):
    """`classes`: names in `data.label`, what is normal first; by default those of the histories, the most frequent one
    first. `per`: `reading`, where each has a class, or `history`, where a record has one, which its last label says.
    `balanced`: every class of a batch teaches as much as any other, however rare. `unit` names a reading.
    """

    classes: tuple[str, ...] = ()
    per: str = "reading"
    balanced: bool = False
    unit: str = "readings"


class Shares(Tail):
    """Logits become probabilities, behind that of any fault: no state."""

    def forward(self, x: Tensor, raw: Tensor) -> Tensor:
        """As Tail: raw [..., K] -> [..., 1 + K]."""
        shares = torch.softmax(raw, -1)
        return torch.cat([1.0 - shares[..., :1], shares], -1)

    def step(self, x_t: Tensor, raw_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """As Tail."""
        return (self(x_t, raw_t),)


class Classify(Task):
    """The probability of each class at every reading, and first `fault`: that it is any but the first, normal one.

    Classes come from `data.label`, or are `healthy` and `faulty` by the marks of `data.anomaly`; readings without a
    label neither teach nor judge. The headline is the log loss, because an error rate jumps when a single answer that
    was even turns over. With `per = "history"` what counts is the last reading of whatever the model is shown, so
    cross-validation asks at the end of each record. Where the project gives no level the alarm is raised above a
    `fault` of 0.5.
    """

    Options = ClassifyOptions
    alarm_keys = ("raise_above", "clear_below")
    baselines = {"logistic": logistic, "majority": majority}  # noqa: RUF012
    lasting = False
    options: ClassifyOptions

    def __init__(self, options: ClassifyOptions, project: Project) -> None:
        super().__init__(options, project)
        if options.per not in ("reading", "history"):
            raise ProjectError(f"`task.per` must be reading or history, not {options.per!r}")
        if options.classes and (len(options.classes) < 2 or len(set(options.classes)) < len(options.classes)):
            raise ProjectError(
                f"`task.classes` must name two classes or more, each once, not {', '.join(options.classes)}"
            )
        self.alarm_within(0, 1, "0 to 1")
        if self.alarm.raise_above is None:
            if self.alarm.clear_below is not None:
                raise ProjectError("`alarm.clear_below` needs `alarm.raise_above` beside it")
            self.alarm = replace(self.alarm, raise_above=EVEN)
        self.column = project.data.label
        self.classes = options.classes or MARKED
        self.outputs = (("fault", ""), *((f"p_{name}", "") for name in self.classes))
        self.notes = (f"`{self.classes[0]}` is what is normal: `fault` is the probability of all other classes",)
        warm_up = project.timing.warm_up_readings
        at: Literal["every", "record"] = "every"
        if options.per == "history":  # a cut-off inside a record has no truth of its own
            at, self.questions = "record", WHOLE

        def by(values: Costs) -> Flags:
            return standing(values, self.alarm, warm_up)

        measures = [
            Measure("loss", "log loss", "bits", _each(_surprise), mean, at, whole=1.0),
            Measure("error", "share of wrong classes", "", _each(_wrong), mean, at),
            Measure("f1", "F1, mean over the classes (more is better)", "", _counts, macro_f1, at),
            *(
                Measure(f"recall_{name}", f"share of `{name}` found (more is better)", "", _recall(i), ratio, at)
                for i, name in enumerate(self.classes)
            ),
        ]
        if options.per == "reading":
            measures.append(false_alarms(by, project.timing.period_s))
        self.measures = tuple(measures)

    @property
    def width(self) -> int:
        """A logit a class."""
        return len(self.classes)

    def study(self, project: Project, histories: Sequence[History], heldout: Sequence[History] = ()) -> Project:
        """The classes of the histories, where the project names none; which of them is normal is not asked of those
        held out. Raises DataError for fewer than two.
        """
        if self.column is None or self.options.classes:
            return project
        per = self.options.per
        counts, every = _counted(histories, per), _counted([*histories, *heldout], per)
        if len(every) < 2:
            what = f"only `{next(iter(every))}`" if every else "nothing"
            raise DataError(f"column `{self.column}` (data.label) holds {what}; two classes or more can be told apart")
        normal = min(counts or every, key=lambda name: (-counts[name], name))
        classes = [normal, *sorted(name for name in every if name != normal)]
        for line in _doubts(every, per):
            note(line)
        task = replace(project.task, options={**project.task.options, "classes": classes})
        return replace(project, task=task)

    def healthy(self, history: History) -> Flags:
        """Those known to be in the normal class, where the state of any is known."""
        labels = self.labels(history)
        known = labels.weight[:, 0] > 0
        return known & (labels.value[:, 0] == 0) if known.any() else super().healthy(history)

    def labels(self, history: History) -> Labels:
        """The place of each reading's class, weight 0 where it is not known. Raises DataError for a class that is none
        of `classes`.
        """
        place = self._places(history)
        if self.options.per == "history":
            known = place[place >= 0]
            place = np.full(len(place), known[-1] if len(known) else -1)
        weight = (place >= 0).astype(np.float32)
        value = np.maximum(place, 0).astype(np.float32)
        return Labels(value[:, None], weight[:, None], np.zeros(len(history), np.bool_))

    def loss(self, raw: Tensor, batch: Batch) -> Tensor:
        """Mean log loss."""
        weight, label = self._asked(batch.weight[..., 0]), batch.value[..., 0].long()
        if self.options.balanced:
            counts = torch.zeros(self.width).index_add(0, label.flatten(), weight.flatten())
            weight = weight / counts.clamp(min=1.0)[label]
        return (_nats(raw, label) * weight).sum() / weight.sum().clamp(min=1e-6)

    def exam(self, answers: Iterable[tuple[Tensor, Batch, Tensor]]) -> float:
        """The log loss in bits, at every reading asked for."""
        total = count = 0.0
        for raw, batch, asked in answers:
            weight = self._asked(batch.weight[..., 0]) * asked
            total += float((_nats(raw, batch.value[..., 0].long()) * weight).double().sum())
            count += float(weight.sum())
        return total / max(count, 1.0) / float(np.log(2))

    def tail(self) -> Tail:
        """Softmax."""
        return Shares()

    def truth(self, history: History) -> Array | None:
        """1 for the class that is right, 0 for the others, NaN where nobody knows; of a history that has one class, at
        its last reading alone.
        """
        labels = self.labels(history)
        known = labels.weight[:, 0] > 0
        if self.options.per == "history":
            known[:-1] = False
        if not known.any():
            return None
        right = self.outputs_of(np.eye(self.width)[labels.value[:, 0].astype(int)])
        return np.where(known[:, None], right, np.float32(np.nan))

    def judged(self, history: History) -> list[int]:
        """Every reading whose class is known."""
        truth = self.truth(history)
        return [] if truth is None else [int(i) for i in np.flatnonzero(~np.isnan(truth[:, 0]))]

    def outputs_of(self, shares: NDArray[np.float64]) -> Array:
        """Probabilities of the classes [N, K] as outputs [N, 1 + K]."""
        return np.concatenate([1.0 - shares[:, :1], shares], 1).astype(np.float32)

    def said(self, histories: Sequence[History]) -> str:
        """How many answers are known, and how many there are of each class."""
        known = [t[~np.isnan(t[:, 0]), 1:].sum(0) for h in histories if (t := self.truth(h)) is not None]
        counts = np.sum(known, axis=0).astype(int).tolist()
        what = "readings" if self.options.per == "reading" else "histories, each at its last reading"
        listed = ", ".join(f"{count} {name}" for name, count in zip(self.classes, counts, strict=True))
        return f"{sum(counts)} {what} whose class is known: {listed}"

    def draw(
        self, drawing: Drawing, histories: Sequence[History], predictions: Sequence[Array], judged: dict[str, Judged]
    ) -> None:
        """The probability of a fault in a few records over time, and which class is taken for which."""
        truths = [(h, p, t) for h, p in zip(histories, predictions, strict=True) if (t := self.truth(h)) is not None]
        shown = sorted(truths, key=lambda one: -int((one[2][:, 0] > 0).any()))
        both: Any = drawing.subfigures(1, 2, width_ratios=(1.25, 1))
        left, right = both
        records(left, [(h.machine, p[:, 0], t[:, 0] > 0) for h, p, t in shown], self.alarm, "probability of a fault")
        counts = np.zeros((self.width, self.width))
        for _, predicted, truth in truths:
            known = ~np.isnan(truth[:, 0])
            np.add.at(counts, (truth[known, 1:].argmax(1), predicted[known, 1:].argmax(1)), 1)
        confusion(right, counts, self.classes)

    def _places(self, history: History) -> NDArray[np.int64]:
        """[T] place of the class in `classes`, -1 where it is not known."""
        unknown = np.full(len(history), -1)
        if self.column is None:
            return unknown if history.anomalous is None else history.anomalous.astype(np.int64)
        if history.label is None:
            return unknown
        label = history.label
        if self.options.per == "history":  # its last label counts; those before it may be classes of their own
            label = np.where(np.arange(len(label)) == np.flatnonzero(label != "").max(initial=-1), label, "")
        names, inverse = np.unique(label, return_inverse=True)
        strange = [str(name) for name in names if name and str(name) not in self.classes]
        if strange:
            raise DataError(
                f"machine `{history.machine}` is labelled `{strange[0]}`, none of the classes "
                f"{', '.join(self.classes)}; add it to task.classes, or write nothing where the state is not known"
            )
        return np.array([self.classes.index(str(name)) if name else -1 for name in names])[inverse]

    def _asked(self, weight: Tensor) -> Tensor:
        """[B, T]: all that is known, or of each row the last of that."""
        if self.options.per == "reading":
            return weight
        known = (weight > 0).float()
        behind = known.flip(-1).cumsum(-1).flip(-1)
        return weight * (behind == 1)


def _counted(histories: Sequence[History], per: str) -> Counter[str]:
    """How many readings are known to be in each state, or of how many histories it is the last one known."""
    known = ([name for name in h.label.tolist() if name] for h in histories if h.label is not None)
    return Counter(name for names in known for name in (names if per == "reading" else names[-1:]))


def _doubts(counts: Counter[str], per: str) -> Iterator[str]:
    """Classes that are perhaps none: written alike, or hardly ever."""
    of = "readings" if per == "reading" else "histories"
    yield "classes: " + ", ".join(f"`{name}` ({count} {of})" for name, count in counts.most_common())
    names = list(counts)
    for place, name in enumerate(names):
        for other in names[:place]:
            if _plain(name) == _plain(other):
                yield f"`{other}` and `{name}` are two classes; if they are one, write them alike"
            elif min(counts[name], counts[other]) <= FEW and get_close_matches(name, [other], cutoff=ALIKE):
                rare, common = sorted((name, other), key=lambda one: counts[one])
                yield f"`{rare}` is a class of {counts[rare]} {of}; is it a misspelling of `{common}`?"


def _plain(name: str) -> str:
    """A label as it might have been meant: a number, or a word whatever its case."""
    try:
        return f"{float(name):g}"
    except ValueError:
        return name.casefold().strip()


def _nats(raw: Tensor, label: Tensor) -> Tensor:
    """Log loss [B, T] of logits [B, T, K]."""
    return F.cross_entropy(raw.mT, label, reduction="none")


def _known(predicted: Costs, truth: Costs) -> tuple[Costs, Costs]:
    """Probabilities and truth [n, K] of the readings whose class is known."""
    rows = ~np.isnan(truth[:, 0])
    return predicted[rows, 1:], truth[rows, 1:]


def _each(of: Callable[[Costs, Costs], Costs]) -> Callable[[History, Costs, Costs], Costs]:
    """A `take` from a cost of probabilities and truth [N, K] -> [N]."""
    return lambda history, predicted, truth: of(*_known(predicted, truth))[:, None]


def _surprise(predicted: Costs, truth: Costs) -> Costs:
    given = predicted[np.arange(len(truth)), truth.argmax(1)]
    return np.asarray(-np.log2(np.clip(given, SURE, 1.0)), np.float64)


def _wrong(predicted: Costs, truth: Costs) -> Costs:
    return np.asarray(predicted.argmax(1) != truth.argmax(1), np.float64)


def _counts(history: History, predicted: Costs, truth: Costs) -> Costs:
    """[1, 3 K]: of each class, how often it was said rightly, said, and right."""
    classes = truth.shape[1] - 1
    said, right = (np.eye(classes)[rows.argmax(1)] for rows in _known(predicted, truth))
    return np.stack([(said * right).sum(0), said.sum(0), right.sum(0)], -1).reshape(1, -1)


def _recall(place: int) -> Callable[[History, Costs, Costs], Costs]:
    def take(history: History, predicted: Costs, truth: Costs) -> Costs:
        said, right = (rows.argmax(1) == place for rows in _known(predicted, truth))
        return np.array([[float((said & right).sum()), float(right.sum())]])

    return take
