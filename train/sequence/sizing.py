"""A family as wide as a budget of weights allows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import torch

from edge.errors import ProjectError
from edge.typed import build
from train import sizing
from train.models import FAMILIES
from train.models.base import Family
from train.sequence.base import Plan, SequenceTask


def chosen(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` pairs as a table; values are TOML, bare words text. Raises ProjectError."""
    table: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().removeprefix("model.")
        if not equals or not key.isidentifier():
            raise ProjectError(f"--set takes key=value, such as hidden=64, not `{pair}`")
        try:
            table[key] = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            table[key] = text
    return table


def options_of(
    task: SequenceTask, name: str, plan: Plan, given: Mapping[str, Any], budget: int | None
) -> dict[str, Any]:
    """The keys of a family for a task: the plan's, under what the user gave, and the width that the budget allows.

    A plan's own width counts only where no budget was asked for. A family that looks back over a `window` gets one
    that spans the task, as the TCN gets its levels. Raises ProjectError for an unknown family or key, and
    where no width fits.
    """
    cls = FAMILIES[name]
    known = {field.name for field in fields(cls.Options)}
    options = dict(plan.options)
    if plan.dropout is not None and "dropout" in known:
        options["dropout"] = plan.dropout
    if "window" in known and task.fixed_length:
        options.setdefault("window", task.length)
    if budget is not None:
        options.pop(cls.width, None)
    options |= given
    if cls.width in options:
        return options
    return {**options, cls.width: widest(task, name, options, budget or task.budget)}


def make(task: SequenceTask, name: str, options: Mapping[str, Any]) -> Family:
    """The family with fresh weights for this task. Raises ProjectError."""
    cls = FAMILIES[name]
    family: Family = cls(task.inputs, task.outputs, build(cls.Options, dict(options), "model"))
    return family


def weights(family: torch.nn.Module) -> int:
    """How many numbers it learns."""
    return sum(parameter.numel() for parameter in family.parameters())


def widest(task: SequenceTask, name: str, options: Mapping[str, Any], budget: int) -> int:
    """The largest width with at most `budget` weights. Raises ProjectError where even the least has more."""
    key = FAMILIES[name].width
    width = sizing.widest(lambda width: weights(make(task, name, {**options, key: width})), budget)
    if width is None:
        raise ProjectError(
            f"no model.{key} makes `{name}` small enough, the budget is {budget}; ask for more with --budget, or for "
            "less depth with --set"
        )
    return width
