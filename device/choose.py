"""Which backend runs which file of a bundle on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from device.backends import BACKENDS
from device.backends.base import Backend
from edge.bundle import Bundle
from edge.errors import BundleError, MissingExtra, ProjectError
from edge.manifest import Executable
from edge.registry import suggest

AUTO = "auto"
"""As a backend's name: the first of the table that is installed here and has a file to run."""

DEFAULT_RECIPE = "float32"
"""The most accurate recipe; a smaller one must earn its place in `edge profile`."""


def runnable(bundle: Bundle) -> Iterator[tuple[type[Backend], Executable]]:
    """Every pair of an installed backend and a file of `bundle` it runs, in the table's order. Imports no engine."""
    for name in BACKENDS:
        kind: type[Backend] = BACKENDS[name]
        if kind.available() is not None:
            yield from ((kind, e) for e in bundle.manifest.executables if e.target == kind.target)


def backend_for(bundle: Bundle, executable: Executable) -> Backend:
    """`executable` opened in the first installed backend of its target. Raises MissingExtra where there is none."""
    for kind, candidate in runnable(bundle):
        if candidate.target == executable.target:
            return kind(bundle, executable)
    raise MissingExtra(f"`{bundle.path}`: {executable.key} needs {_remedy(executable.target)}")


def open_backend(bundle: Bundle, backend: str = AUTO, recipe: str = DEFAULT_RECIPE) -> Backend:
    """The file of `bundle` with `recipe`, opened in `backend` (a name of BACKENDS, or AUTO).

    Raises ProjectError for a backend nobody knows, BundleError for a recipe or target the bundle does not hold, and
    MissingExtra, naming what to install, where no engine for it is here.
    """
    files = files_of(bundle, backend, recipe)
    if backend == AUTO:
        for kind, executable in runnable(bundle):
            if executable.recipe == recipe:
                return kind(bundle, executable)
        ways = " or ".join(_remedy(target) for target in dict.fromkeys(e.target for e in files))
        raise MissingExtra(f"no installed backend runs `{bundle.path}` with recipe `{recipe}`; it needs {ways}")
    chosen: type[Backend] = BACKENDS[backend]
    if chosen.available() is None:
        raise MissingExtra(f"backend `{backend}` is not installed: pip install 'edgestep[{backend}]'")
    return chosen(bundle, files[0])


def files_of(bundle: Bundle, backend: str = AUTO, recipe: str = DEFAULT_RECIPE) -> list[Executable]:
    """The files of `bundle` with `recipe` that `backend` runs, here or on another machine; at least one.

    Raises ProjectError for a backend nobody knows, and BundleError for a recipe or target the bundle does not hold.
    """
    if backend != AUTO and backend not in BACKENDS:
        raise ProjectError(f"unknown backend `{backend}`{suggest(backend, [AUTO, *BACKENDS])}")
    files = [e for e in bundle.manifest.executables if e.recipe == recipe]
    if not files:
        held = list(dict.fromkeys(e.recipe for e in bundle.manifest.executables))
        raise BundleError(f"`{bundle.path}` holds no file with recipe `{recipe}`{suggest(recipe, held)}")
    if backend == AUTO:
        return files
    target = BACKENDS[backend].target
    if not (runs := [e for e in files if e.target == target]):
        raise BundleError(
            f"`{bundle.path}` holds no {target}/{recipe}, which backend `{backend}` would run; "
            f"it holds {', '.join(e.key for e in bundle.manifest.executables)}"
        )
    return runs


def _remedy(target: str) -> str:
    names = [name for name in BACKENDS if BACKENDS[name].target == target]
    if not names:
        return f"a newer edge (this one has no backend for {target}): pip install -U edgestep"
    return " or ".join(f"pip install 'edgestep[{name}]'" for name in names)
