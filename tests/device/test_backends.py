"""Every installed backend keeps the contract of `device.backends.base`."""

from __future__ import annotations

import math
from array import array

import pytest

from device.backends import BACKENDS
from device.backends.base import Backend
from device.choose import backend_for, open_backend, runnable
from device.golden import replay, require
from device.stream import rows
from edge.agree import agree
from edge.bundle import Bundle
from edge.errors import BundleError, MissingExtra, ProjectError
from tests.support.bundles import Workshop
from tests.support.tiny import SPAN, readings

INSTALLED = [name for name in BACKENDS if BACKENDS[name].available()]


@pytest.fixture(params=INSTALLED)
def backend(request: pytest.FixtureRequest, bundle: Bundle) -> Backend:
    return open_backend(bundle, request.param)


def stream(steps: int, seed: int = 5) -> list[array[float]]:
    return [array("f", row.tolist()) for row in readings(steps, seed)]


def run(backend: Backend, readings: list[array[float]], state: object) -> array[float]:
    out = array("f")
    for reading in readings:
        y = backend.step(reading, state)
        assert y is not None
        out.extend(y)
    return out


def test_each_name_of_the_table_is_the_backends_own() -> None:
    assert [BACKENDS[name].name for name in BACKENDS] == list(BACKENDS)


def test_golden_vectors_replay_on_every_installed_backend(bundle: Bundle) -> None:
    results = [replay(kind(bundle, executable)) for kind, executable in runnable(bundle)]
    assert len(results) >= 4
    assert all(r.ok and not r.why for r in results), results


def test_a_file_that_answers_otherwise_is_refused(bundle: Bundle) -> None:
    backend = open_backend(bundle)

    class Off(type(backend)):  # type: ignore[misc]
        def step(self, reading: array[float], state: object) -> array[float] | None:
            y = super().step(reading, state)
            return array("f", [y[0] + 0.01 * SPAN])

    off = Off(bundle, backend.executable)
    assert "differs by" in replay(off).why
    with pytest.raises(BundleError, match="does not compute on litert here what was certified"):
        require(off)


def test_a_backend_that_forgets_on_hand_over_is_refused(bundle: Bundle) -> None:
    backend = open_backend(bundle)

    class Forgets(type(backend)):  # type: ignore[misc]
        def load_state(self, tensors: object) -> object:
            return self.new_state()

    assert "resuming from a saved state" in replay(Forgets(bundle, backend.executable)).why


def test_backends_agree_with_each_other_on_float32(bundle: Bundle) -> None:
    x = stream(200)
    runs = [run(b, x, b.new_state()) for b in (open_backend(bundle, name) for name in INSTALLED)]
    assert all(agree(one, runs[0], 1e-4 * SPAN).ok for one in runs)


def test_state_starts_where_the_manifest_says_whatever_ran_before(backend: Backend) -> None:
    x = stream(20)
    first = run(backend, x, backend.new_state())
    assert run(backend, x, backend.new_state()) == first


def test_machines_do_not_share_state(backend: Backend) -> None:
    a, b = stream(30, seed=1), stream(30, seed=2)
    alone = run(backend, a, backend.new_state()), run(backend, b, backend.new_state())
    one, two = backend.new_state(), backend.new_state()
    mixed: tuple[array[float], array[float]] = (array("f"), array("f"))
    for left, right in zip(a, b, strict=True):
        mixed[0].extend(run(backend, [left], one))
        mixed[1].extend(run(backend, [right], two))
    assert mixed == alone


def test_step_many_is_step_in_order(backend: Backend) -> None:
    x = stream(2)
    states = [backend.new_state(), backend.new_state()]
    many = backend.step_many(x, states)
    assert many == [backend.step(one, backend.new_state()) for one in x]


def test_resuming_from_a_dumped_state_changes_nothing(backend: Backend) -> None:
    x = stream(40)
    whole = run(backend, x, backend.new_state())
    state = backend.new_state()
    first = run(backend, x[:17], state)
    dumped = backend.dump_state(state)
    assert [len(tensor) for tensor in dumped] == [row.size for row in backend.bundle.manifest.states]
    assert first + run(backend, x[17:], backend.load_state(dumped)) == whole


def test_a_state_moves_from_one_backend_to_another(bundle: Bundle) -> None:
    here, there = open_backend(bundle, "litert"), open_backend(bundle, "onnx")
    x = stream(40)
    whole = run(here, x, here.new_state())
    state = here.new_state()
    first = run(here, x[:20], state)
    moved = first + run(there, x[20:], there.load_state(here.dump_state(state)))
    assert agree(moved, whole, 1e-4 * SPAN).ok


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_input_that_is_not_finite_leaves_the_state_alone(backend: Backend, bad: float) -> None:
    state = backend.new_state()
    run(backend, stream(5), state)
    before = backend.dump_state(state)
    assert backend.step(array("f", [1.0, bad, 1.0]), state) is None
    assert backend.dump_state(state) == before
    run(backend, stream(5), state)


def test_a_state_that_is_not_finite_is_answered_with_a_status(backend: Backend) -> None:
    tensors = backend.dump_state(backend.new_state())
    tensors[0][0] = math.nan
    assert backend.step(stream(1)[0], backend.load_state(tensors)) is None


def test_large_but_finite_input_is_no_error(backend: Backend) -> None:
    assert backend.step(array("f", [1.0, 1.0, 1e20]), backend.new_state()) is not None


def test_load_state_refuses_other_sizes(backend: Backend) -> None:
    with pytest.raises(BundleError, match="does not fit"):
        backend.load_state([array("f", [0.0])])


def test_a_file_whose_names_are_not_the_manifests_is_refused(workshop: Workshop, bundle: Bundle) -> None:
    from dataclasses import replace

    for name in INSTALLED:
        good = open_backend(bundle, name)
        wrong = replace(good.executable, inputs=("x_t", *good.executable.inputs[1:]))
        with pytest.raises(BundleError, match="no tensor `x_t`"):
            type(good)(bundle, wrong)
        swapped = replace(good.executable, inputs=(good.executable.inputs[0], *reversed(good.executable.inputs[1:])))
        with pytest.raises(BundleError, match="the manifest says"):
            type(good)(bundle, swapped)


def test_a_damaged_model_is_refused_with_one_line(bundle: Bundle) -> None:
    for name in INSTALLED:
        good = open_backend(bundle, name)
        members = {e.path: b"no model at all" for e in bundle.manifest.executables}
        with pytest.raises(BundleError, match="cannot run"):
            type(good)(Bundle(bundle.path, bundle.manifest, members), good.executable)


def test_auto_takes_the_first_installed_and_float32(bundle: Bundle) -> None:
    chosen = open_backend(bundle)
    assert (chosen.name, chosen.executable.recipe) == (INSTALLED[0], "float32")
    assert open_backend(bundle, "onnx", "dynamic-int8").executable.key == "onnx/dynamic-int8"
    assert backend_for(bundle, bundle.manifest.executables[0]).executable == bundle.manifest.executables[0]


def test_unknown_names_say_what_is_known(bundle: Bundle) -> None:
    with pytest.raises(ProjectError, match=r"unknown backend `litter`; did you mean `litert`\?"):
        open_backend(bundle, "litter")
    with pytest.raises(BundleError, match="no file with recipe `dynamic-int4`; did you mean `dynamic-int8`"):
        open_backend(bundle, recipe="dynamic-int4")


@pytest.mark.skipif("tflite" in INSTALLED, reason="the old runtime is installed here")
def test_a_backend_that_is_not_installed_names_its_extra(bundle: Bundle) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'edgestep\[tflite\]'"):
        open_backend(bundle, "tflite")


def test_a_stream_repeats_from_its_beginning(backend: Backend, bundle: Bundle) -> None:
    from device.stream import outputs

    x = stream(7)
    flat = array("f", [v for row in x for v in row])
    assert outputs(backend, rows(flat, 3), 20, 5) == run(backend, (x * 3)[:20], backend.new_state())[-5:]
