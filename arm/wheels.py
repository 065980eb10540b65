"""Our wheel, and everybody else's for another processor: from pip's own configuration, checked against our pins."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from arm.cache import CHECKOUT, content, kept
from arm.errors import Failed
from arm.shell import run

CONSTRAINTS = CHECKOUT / "constraints.txt"
PROJECT = CHECKOUT / "pyproject.toml"
PACKAGES = tuple(CHECKOUT / name for name in ("edge", "train", "convert", "device"))


@dataclass(frozen=True)
class Place:
    """Where wheels are for: Python's version, pip's names of the platform, the extras of ours that go there.

    `alone`: take these requirements only, because the rest comes from Debian.
    """

    name: str
    python: str
    platforms: tuple[str, ...]
    extras: tuple[str, ...]
    alone: tuple[str, ...] = ()
    constraints: str = "constraints.txt"

    @property
    def options(self) -> list[str]:
        """The options by which pip installs for this place from anywhere."""
        platforms = [word for platform in self.platforms for word in ("--platform", platform)]
        return ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python, *platforms]


AARCH64 = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
ARMV7 = ("manylinux2014_armv7l", "manylinux_2_17_armv7l", "manylinux_2_34_armv7l")

PLACES = {
    place.name: place
    for place in (
        Place("bookworm64", "3.11", AARCH64, ("litert", "onnx")),
        Place("trixie64", "3.13", AARCH64, ("litert", "onnx")),
        Place(
            "bookworm32",
            "3.11",
            ARMV7,
            ("tflite",),
            ("click", "paho-mqtt", "orjson", "tflite-runtime"),
            "constraints-tflite.txt",
        ),
    )
}


def ours() -> Path:
    """Our wheel, built from this checkout."""

    def make(folder: Path) -> None:
        pip("wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT)

    built = sorted(kept("wheel", content(PROJECT, CHECKOUT / "README.md", *PACKAGES), make).glob("*.whl"))
    if len(built) != 1:
        raise Failed(f"one wheel was to be built, found are {[path.name for path in built]}")
    return built[0]


def wheels(place: Place) -> Path:
    """A folder with every wheel that our wheel with the extras of `place` needs there, without ours."""
    recipe = place, content(CHECKOUT / place.constraints, PROJECT)

    def make(folder: Path) -> None:
        pins = ("--constraint", CHECKOUT / place.constraints)
        if place.alone:
            pip("download", "--quiet", "--dest", folder, "--no-deps", *pins, *place.options, *place.alone)
            return
        wheel = ours()
        wanted = f"{wheel}[{','.join(place.extras)}]"
        pip("download", "--quiet", "--dest", folder, *pins, *place.options, wanted)
        (folder / wheel.name).unlink()

    return kept(f"wheels-{place.name}", recipe, make)


def site(place: Place) -> Path:
    """What `pip install` of our wheel with its extras would leave in site-packages there."""
    wheel, folder = ours(), wheels(place)

    def make(target: Path) -> None:
        offline = ("--quiet", "--no-index", "--no-compile", "--find-links", folder, "--target", target)
        every = [path for path in folder.glob("*.whl")]
        pip("install", *offline, "--no-deps", *place.options, wheel, *every)

    return kept(f"site-{place.name}", (place, content(CHECKOUT / place.constraints, PROJECT), content(wheel)), make)


def main() -> str:
    """Our wheel, and all others for every place."""
    found = [f"{len(list(wheels(place).glob('*.whl')))} for {site(place).name}" for place in PLACES.values()]
    return f"{ours().name}; {', '.join(found)}"


def pip(*words: str | Path) -> None:
    """This Python's pip, with its own configuration."""
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words])
