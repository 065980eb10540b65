"""One budget for all: the widest model of a family that has no more parameters than it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from edge.errors import ProjectError
from edge.registry import suggest
from edge.spec import ModelSpec, Project, overridden
from train import sizing
from train.build import build_family, build_task
from train.models import FAMILIES

SECTION = "model."


@dataclass(frozen=True)
class Entrant:
    """A family as it enters: its project with all options of the model, and its parameters once folded.

    `why` says what keeps it from entering, where something does.
    """

    name: str
    project: Project
    parameters: int | None = None
    why: str = ""


def entrants(project: Project, families: Sequence[str], most: int, overrides: Sequence[str]) -> list[Entrant]:
    """Each of `families` with its options at their defaults, but for its width, the largest that has at most `most`
    parameters, and `overrides` (`model.dropout=0.1`), which hold for the families that know the key.

    Raises ProjectError for a family nobody knows, or an override that none of them knows.
    """
    kinds = {name: FAMILIES[name] for name in dict.fromkeys(families)}
    known = {name: {key.name for key in fields(kind.Options)} for name, kind in kinds.items()}
    for override in overrides:
        key = key_of(override)
        if not any(key in keys for keys in known.values()):
            every = sorted(set().union(*known.values()))
            raise ProjectError(f"--set {override}: no family of this ranking knows `model.{key}`{suggest(key, every)}")
    found = []
    for name, kind in kinds.items():
        of = replace(project, model=ModelSpec(name))
        of = overridden(of, [one for one in overrides if key_of(one) in known[name]])
        try:
            of = of if kind.width in of.model.options else widest(of, kind.width, most)
            found.append(Entrant(name, of, size(of)))
        except ProjectError as error:
            found.append(Entrant(name, of, why=str(error)))
    return found


def key_of(override: str) -> str:
    """The family's key that `model.key=value` overrides."""
    return override.partition("=")[0].strip().removeprefix(SECTION)


def size(project: Project) -> int:
    """Parameters of the project's model as it is exported, with what only helps while fitting folded away.

    Raises ProjectError for options that do not go together.
    """
    family = build_family(project, len(project.channels), build_task(project).width)
    family.fold()
    return sum(p.numel() for p in family.parameters())


def widest(project: Project, key: str, most: int) -> Project:
    """`project` with `model.key` as large as `most` parameters allow. Raises ProjectError where nothing fits."""

    def of(width: int) -> Project:
        return replace(project, model=replace(project.model, options={**project.model.options, key: width}))

    width = sizing.widest(lambda width: size(of(width)), most)
    if width is None:
        raise ProjectError(f"no `model.{key}` makes it as small as {most} parameters; allow more with --parameters")
    return of(width)
