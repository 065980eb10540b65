"""Build Dockerfile.arm for one processor with buildah and serve from it: golden vectors, healthy, unhealthy, small."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm.bundles import Made, bundles
from arm.cache import CHECKOUT, content, kept, work
from arm.cpus import PI2, PI4, Cpu
from arm.enter import enter
from arm.errors import Failed
from arm.parts.daemon import Listener, answers, free_port, wait
from arm.roots import root
from arm.shell import end, log, run, say
from arm.wheels import PLACES, ours, wheels
from edge.bundle import Bundle

BASE = "docker.io/library/debian:bookworm-slim"
"""The name the Dockerfile knows its base by; what is built on here is a root of the same packages."""

BAR_MB = 150.0
MB = 1_000_000
CONTEXT = ("Dockerfile.arm", ".dockerignore", "constraints.txt", "constraints-tflite.txt")
PIP = "[global]\nno-index = true\nfind-links = /wheels\n"


@dataclass(frozen=True)
class Kind:
    """A platform of the image: its name, the root that is its base, where its wheels come from, a processor of it."""

    platform: str
    base: str
    place: str
    cpu: Cpu
    backend: str
    bar_mb: float | None

    @property
    def name(self) -> str:
        """As a file name."""
        return self.platform.replace("/", "-")


def arm64() -> str:
    """The image with LiteRT."""
    return prove(Kind("linux/arm64", "slim64", "bookworm64", PI4, "litert", BAR_MB))


def armv7() -> str:
    """The image with tflite-runtime."""
    return prove(Kind("linux/arm/v7", "slim32", "bookworm32", PI2, "tflite", None))


def prove(kind: Kind) -> str:
    """Lint, build, look, serve; one line. Raises Failed with the first claim that does not hold."""
    run([Path(sys.executable).with_name("hadolint"), CHECKOUT / "Dockerfile.arm"])
    built = build(kind)
    config = json.loads((built / "config.json").read_text())
    check(config, kind)
    more = size(built / "root") - size(root(kind.base))
    if kind.bar_mb is not None and more > kind.bar_mb:
        raise Failed(f"{kind.platform}: the image is {more:.0f} MB over its base, the bar is {kind.bar_mb:.0f} MB")
    say(kind.name, f"{more:.0f} MB over its base")
    served = serve(kind, built / "root", config)
    return f"{more:.0f} MB over its base; {served}"


def build(kind: Kind) -> Path:
    """The image's file system and configuration; built anew where its recipe changed."""
    base, folder, wheel = root(kind.base), wheels(PLACES[kind.place]), ours()
    recipe = kind, base.name, folder.name, content(wheel, *(CHECKOUT / name for name in CONTEXT))

    def make(result: Path) -> None:
        storage = work(f"containers-{kind.name}")
        buildah = Buildah(storage)
        context = storage / "context"
        (context / "dist").mkdir(parents=True)
        for name in CONTEXT:
            shutil.copy(CHECKOUT / name, context)
        shutil.copy(wheel, context / "dist")
        (storage / "pip.conf").write_text(PIP)
        buildah.base(base, kind.platform)
        started = ("--isolation", "chroot", "--format", "docker", "--pull-never", "--platform", kind.platform)
        offline = ("--volume", f"{folder}:/wheels:ro", "--volume", f"{storage / 'pip.conf'}:/etc/pip.conf:ro")
        buildah("bud", *started, *offline, "-f", str(context / "Dockerfile.arm"), "-t", "edge", str(context))
        container = buildah("from", "--pull-never", "edge").strip()
        buildah("run", "--isolation", "chroot", container, "--", "/opt/edge/bin/edge", "--version")
        seen = json.loads(buildah("inspect", "--type", "container", container))
        (result / "config.json").write_text(json.dumps(seen["Docker"]["config"], indent=1))
        mounted = buildah("mount", container).strip()
        run(["cp", "-a", mounted, result / "root"])
        buildah("umount", container)
        shutil.rmtree(storage)

    return kept(f"image-{kind.name}", recipe, make)


class Buildah:
    """buildah with a storage of its own, so that nothing of it is left on the machine."""

    def __init__(self, storage: Path) -> None:
        self._words = ["buildah", "--storage-driver", "vfs", "--root", str(storage / "images")]
        self._words += ["--runroot", str(storage / "run")]

    def __call__(self, *words: str) -> str:
        return run([*self._words, *words], limit=900, env={"BUILDAH_ISOLATION": "chroot"})

    def base(self, folder: Path, platform: str) -> None:
        """Make a root known under the name of the Dockerfile's base."""
        _, architecture, *variant = platform.split("/")
        container = self("from", "scratch").strip()
        mounted = self("mount", container).strip()
        run(["cp", "-a", f"{folder}/.", mounted])
        self("umount", container)
        told = ["--arch", architecture, "--os", "linux", *(word for v in variant for word in ("--variant", v))]
        self("config", *told, "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self("commit", "--quiet", container, BASE)
        self("rm", container)


def check(config: dict[str, Any], kind: Kind) -> None:
    """Raises Failed where the image would run as root, without a health check, or without a volume for states."""
    user = str(config.get("User") or "root")
    if user.partition(":")[0] in ("0", "root"):
        raise Failed(f"{kind.platform}: the image runs as {user}")
    for key in ("Healthcheck", "Volumes", "Labels", "Entrypoint", "Cmd"):
        if not config.get(key):
            raise Failed(f"{kind.platform}: the image has no {key}: {config}")


def size(folder: Path) -> float:
    """Megabytes of files below a folder, each once."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            stat = path.lstat()
            seen[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(seen.values()) / MB


@dataclass(frozen=True)
class Contained:
    """Commands in the image, as a container's runtime starts them: its user, its environment, its mounts.

    buildah's chroot isolation would show it this machine's processor, on which LiteRT for ARM breaks.
    """

    kind: Kind
    image: Path
    config: dict[str, Any]
    work: Path
    bundle: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs `words` in a container."""
        states, answers_at = self.work / "states", self.work / "run"
        user = str(self.config["User"])
        for folder in (states, answers_at):
            folder.mkdir(exist_ok=True)
            os.chown(folder, *(int(part) for part in user.split(":")))
        binds = {
            "/etc/edge/bundle.edge": self.bundle,
            "/etc/edge/device.toml": self.work / "device.toml",
            "/var/lib/edge": states,
            "/run/edge": answers_at,
        }
        env = dict(str(pair).split("=", 1) for pair in self.config["Env"])
        return enter(self.image, self.kind.cpu, self.work, words, binds=binds, env=env, user=user)

    def health(self) -> int:
        """The status of the image's own health check."""
        kind, *words = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        said = subprocess.run(self.command(words), capture_output=True, text=True, timeout=120, check=False)
        log(f"health check: {said.returncode} {said.stdout}{said.stderr}")
        return said.returncode


def serve(kind: Kind, image: Path, config: dict[str, Any]) -> str:
    """The daemon as the image starts it, with a mosquitto of this machine; its health check in three situations."""
    made = bundles()[0]
    folder = work(f"serve-{kind.name}")
    count = len(made.expected.splitlines())
    port = free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    (folder / "device.toml").write_text(f'[broker]\nport = {port}\nclient_id = "container"\nkeepalive_s = 5\n')
    contained = Contained(kind, image, config, folder, made.bundle)
    if contained.health() == 0:
        raise Failed(f"{kind.platform}: the health check is content where nothing runs")
    running: list[subprocess.Popen[bytes]] = []
    said = folder / "run.log"
    try:
        with (folder / "mosquitto.log").open("wb") as out:
            broker = ["mosquitto", "-c", str(folder / "mosquitto.conf")]
            running.append(subprocess.Popen(broker, stdout=out, stderr=out, start_new_session=True))
        wait("mosquitto", lambda: answers(port), folder / "mosquitto.log")
        with said.open("wb") as out:
            words = contained.command([*config["Entrypoint"], *config["Cmd"]])
            running.append(subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True))
        wait("the daemon to connect", lambda: "connected;" in said.read_text(), said)
        if contained.health() != 0:
            raise Failed(f"{kind.platform}: the health check of a daemon that serves fails")
        predicted = _feed(made, port, said, count)
        running[1].send_signal(signal.SIGSTOP)
        if contained.health() == 0:
            raise Failed(f"{kind.platform}: the health check is content with a daemon that hangs")
        running[1].send_signal(signal.SIGCONT)
        running[1].send_signal(signal.SIGTERM)
        if running[1].wait(120) != 0:
            raise Failed(f"{kind.platform}: the daemon ended with status {running[1].returncode}")
    finally:
        for process in running:
            end(process)
        for path in folder.glob("*.log"):
            log(f"--- {path.name}\n{path.read_text()}")
    return f"{predicted} predictions from it, health check true to three situations"


def _feed(made: Made, port: int, said: Path, count: int) -> int:
    """Publish the history from this machine until the container has predicted `count` times."""
    topic = Bundle.open(made.bundle).manifest.project.mqtt.predictions.replace("{machine}", "+")
    listener = Listener(port, topic)
    url = f"mqtt://127.0.0.1:{port}"
    publish: list[str | Path] = [
        sys.executable,
        "-P",
        "-c",
        "from edge.cli import main; main()",
        "replay",
        made.history,
    ]
    run([*publish, "--broker", url, "--rate", "0", "--project", made.bundle], cwd=CHECKOUT)
    wait("all predictions", lambda: len(listener.distinct()) >= count, said)
    listener.close()
    return len(listener.distinct())
