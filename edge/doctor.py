"""What is installed here, what is missing, and what stands in the way; imports none of what it looks for."""

from __future__ import annotations

import ast
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

from device.backends import BACKENDS
from edge import __version__
from edge.requires import DISTRIBUTION, Requirement, fits, requirements
from edge.shadow import ROOT, shadowed

OK, MISSING, WRONG = "ok", "missing", "wrong"
"""States of a finding. What is missing can be lived without; what is wrong makes the verb exit with 1."""

NEEDS_PYTHON = (3, 11)

REMARKS = {"tflite": "for 32-bit systems with Python 3.11 only; elsewhere litert replaces it"}
"""Extra -> what to know before installing it."""

TOOLS = {
    "mosquitto": (("mosquitto",), ("-h",), "apt-get install mosquitto; without it `edge demo` uses an embedded broker"),
    "C compiler": (("cc", "gcc", "clang"), ("--version",), "apt-get install gcc"),
}
"""Tool -> names of the program, the option that makes it say its version, remedy."""

_SBIN = ("/usr/sbin", "/usr/local/sbin")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: where it belongs, its name, `ok`, `missing` or `wrong`, what was found, and what to do."""

    section: str
    name: str
    state: str
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Everything there is to say about this machine, in the order of reading."""
    return [*_ground(), *libraries(requirements()), *_backends(), *_tools(), *_shadows()]


def _ground() -> Iterator[Finding]:
    good = sys.version_info[:2] >= NEEDS_PYTHON
    wanted = ".".join(map(str, NEEDS_PYTHON))
    remedy = "" if good else f"edge needs Python {wanted} or newer; make a virtual environment with one"
    yield Finding("ground", "Python", OK if good else WRONG, f"{platform.python_version()}, {sys.executable}", remedy)
    system = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("ground", "platform", OK, system)
    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        yield Finding("ground", DISTRIBUTION, WRONG, f"runs from {ROOT}, not installed", f"pip install -e {ROOT}")
        return
    home = _home(installed)
    if home != ROOT:
        detail = f"`edge` runs from {ROOT}, but {DISTRIBUTION} is installed in {home}"
        yield Finding("ground", DISTRIBUTION, WRONG, detail, f"take {ROOT} out of PYTHONPATH, or pip install -e {ROOT}")
        return
    yield Finding("ground", DISTRIBUTION, OK, f"{__version__}, {ROOT}")


def _home(installed: metadata.Distribution) -> Path:
    """The folder the distribution's packages live in: the checkout of an editable installation, else site-packages."""
    origin = installed.read_text("direct_url.json")
    if origin:
        told = json.loads(origin)
        if told.get("dir_info", {}).get("editable"):
            return Path(unquote(urlparse(told["url"]).path)).resolve()
    return Path(str(installed.locate_file(""))).resolve()


def libraries(asked: dict[str, dict[str, Requirement]]) -> Iterator[Finding]:
    """The base's libraries one by one, then each extra of `asked` as a whole, the small ones first."""
    for need in asked.get("", {}).values():
        state, found = _judge(need)
        if state == OK:
            yield Finding("base", need.name, OK, found)
        else:
            yield Finding("base", need.name, WRONG, f"{need.name} {found}", f"pip install '{need}'")
    for extra in sorted(asked.keys() - {""}, key=lambda name: (len(asked[name]), name)):
        yield _extra(extra, asked)


def _extra(extra: str, asked: dict[str, dict[str, Requirement]]) -> Finding:
    """An extra: its own libraries, and the extras it contains.

    Where one of its libraries is absent the extra is not installed, and the others' versions are nobody's fault.
    """
    own = asked[extra]
    inside = [other for other in asked if other and asked[other].keys() < own.keys()]
    largest = [one for one in inside if not any(asked[one].keys() < asked[other].keys() for other in inside)]
    told = {name for other in largest for name in asked[other]}
    judged = {need: _judge(need) for need in own.values()}
    amiss = [f"{need.name} {found}" for need, (state, found) in judged.items() if state != OK]
    if any(state == MISSING for state, _ in judged.values()):
        return Finding("extras", extra, MISSING, ", ".join(amiss), _remedy(extra))
    if amiss:
        wrong = " ".join(f"'{need}'" for need, (state, _) in judged.items() if state == WRONG)
        return Finding("extras", extra, WRONG, ", ".join(amiss), f"pip install {wrong}")
    shown = [f"all of {other}" for other in largest]
    shown += [f"{need.name} {version}" for need, (_, version) in judged.items() if need.name not in told]
    return Finding("extras", extra, OK, ", ".join(shown))


def _judge(need: Requirement) -> tuple[str, str]:
    """State of a library, and its version or what is the matter with it."""
    version = need.installed
    if version is None:
        return MISSING, "not installed"
    return (OK, version) if fits(version, need.versions) else (WRONG, f"{version} (wants {','.join(need.versions)})")


def _remedy(extra: str) -> str:
    remark = f"; {REMARKS[extra]}" if extra in REMARKS else ""
    return f"pip install '{DISTRIBUTION}[{extra}]'{remark}"


def _backends() -> Iterator[Finding]:
    for name in BACKENDS:
        version: str | None = BACKENDS[name].available()
        state, remedy = (OK, "") if version else (MISSING, _remedy(name))
        yield Finding("backends", name, state, version or "not installed", remedy)


def _tools() -> Iterator[Finding]:
    for tool, (programs, option, remedy) in TOOLS.items():
        search = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN))
        path = next(filter(None, (shutil.which(program, path=search) for program in programs)), None)
        if path is None:
            yield Finding("tools", tool, MISSING, "not found", remedy)
        else:
            yield Finding("tools", tool, OK, f"{_first_line([path, *option])}, {path}".removeprefix(", "))


def _first_line(command: list[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (said.stdout or said.stderr).partition("\n")[0].strip()


def _shadows() -> Iterator[Finding]:
    """This process as it runs, then a Python begun in this folder, as a notebook or `python -m` would be."""
    own = shadowed()
    for shadow in own:
        yield Finding("shadows", shadow.package, WRONG, shadow.found or "not found", shadow.remedy)
    here = [shadow for shadow in shadowed(path_here()) if shadow not in own]
    for shadow in here:
        remedy = f"{shadow.remedy}; `edge` itself is not affected, but a notebook or `python -m` in this folder is"
        yield Finding("shadows", shadow.package, WRONG, shadow.found or "not found", remedy)
    if not own and not here:
        yield Finding("shadows", "none", OK, f"our packages come from {ROOT}")


def path_here() -> list[str]:
    """Where a Python begun in the current folder would look for modules: its `sys.path`, asked in a child process."""
    asked = [sys.executable, "-c", "import sys; print(sys.path)"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
    path: list[str] = ast.literal_eval(said.stdout.strip().splitlines()[-1])
    return path
