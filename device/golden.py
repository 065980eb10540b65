"""Golden replay: does a file compute on this machine, with this backend, what it computed where it was certified?"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from device.backends.base import Backend
from device.stream import outputs
from edge.agree import Agreement, agree
from edge.errors import BundleError
from edge.manifest import Golden
from edge.recipes import RECIPES, Recipe


@dataclass(frozen=True)
class Replay:
    """The answer for one file and backend.

    `steps` were taken in all; `worst` is the largest difference from the file's recorded outputs and `drift` that from
    torch at the end of the longest stream, both in the output's unit (None on failure). `why` is empty where `ok`.
    """

    executable: str
    backend: str
    ok: bool
    steps: int
    worst: float | None
    drift: float | None
    why: str = ""


def replay(backend: Backend) -> Replay:
    """Run every golden stream of the backend's bundle and compare; also hand a state over in the middle of a stream.

    Tolerances are the recipe's, as fractions of each output's range. A disagreement raises nothing: `ok` is False then.
    """
    bundle, executable = backend.bundle, backend.executable
    recipe = RECIPES.get(executable.recipe)
    if recipe is None:
        return _failed(backend, f"recipe `{executable.recipe}` is not known here; pip install -U edgestep")
    if not bundle.manifest.golden:
        return _failed(backend, "the bundle records no golden stream; convert the model again")
    longest = max(bundle.manifest.golden, key=lambda stream: stream.steps)
    steps, worst, drift = 0, 0.0, 0.0
    for stream in bundle.manifest.golden:
        if executable.key not in stream.tensors:
            return _failed(backend, f"stream `{stream.name}` records no outputs of it; convert the model again")
        found, far = _compare(backend, stream, recipe)
        steps += stream.steps
        for answer in (found, far):
            if not answer.ok:
                return _failed(backend, f"stream `{stream.name}`: {answer.why}", steps)
        worst = max(worst, found.worst)
        if stream is longest:
            drift = far.worst
    handed = _hand_over(backend, longest)
    if not handed.ok:
        return _failed(backend, f"resuming from a saved state: {handed.why}", steps)
    return Replay(executable.key, backend.name, True, steps, worst, drift)


def require(backend: Backend) -> Replay:
    """`replay`, raising BundleError where it disagrees: nothing may be served then."""
    result = replay(backend)
    if not result.ok:
        raise BundleError(
            f"`{backend.bundle.path}`: {result.executable} does not compute on {result.backend} here what was certified"
            f" ({result.why}); choose another file with --backend or --recipe, see `edge verify`"
        )
    return result


def _compare(backend: Backend, stream: Golden, recipe: Recipe) -> tuple[Agreement, Agreement]:
    """Against the file's own recorded outputs, and against torch."""
    bundle, key = backend.bundle, backend.executable.key
    keep = stream.tensors[key].shape[0]
    readings = bundle.readings(stream)
    got = outputs(backend, readings, stream.steps, keep)
    # What was certified within `drift` of torch there may differ by `replay` more here.
    allowed = recipe.drift if stream.steps > stream.tensors["x"].shape[0] else recipe.tolerance
    return (
        _columns(backend, got, bundle.tensor(stream, key), recipe.replay),
        _columns(backend, got, bundle.tensor(stream, "torch"), allowed + recipe.replay),
    )


def _columns(backend: Backend, got: array[float], want: array[float], share: float) -> Agreement:
    """Each output against its own range; the first disagreement, or the agreement that is worst."""
    table = backend.bundle.manifest.outputs
    worst = Agreement(True, 0.0)
    for i, output in enumerate(table):
        found = agree(got[i :: len(table)], want[i :: len(table)], share * output.span)
        if not found.ok:
            return Agreement(False, found.worst, f"`{output.name}` {found.why}")
        worst = max(worst, found, key=lambda a: a.worst)
    return worst


def _hand_over(backend: Backend, stream: Golden) -> Agreement:
    """A state that was dumped and loaded must go on exactly as the one it was dumped from."""
    manifest = backend.bundle.manifest
    readings = backend.bundle.readings(stream)
    middle = len(readings) // 2
    state = backend.new_state()
    for reading in readings[:middle]:
        backend.step(reading, state)
    resumed = backend.load_state(backend.dump_state(state))
    there, here = array("f"), array("f")
    for reading in readings[middle:]:
        for out, one in ((here, resumed), (there, state)):
            y = backend.step(reading, one)
            out.extend(y if y is not None else [float("nan")] * len(manifest.outputs))
    return agree(here, there, 0.0)


def _failed(backend: Backend, why: str, steps: int = 0) -> Replay:
    return Replay(backend.executable.key, backend.name, False, steps, None, None, why)
