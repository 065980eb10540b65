"""Enter a file system of another processor: what a command sees there, and nothing of this machine's hardware."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arm.cpus import Cpu
from arm.shell import log, run

ENTER = Path(__file__).with_name("enter.sh")

EDGE = ("python3", "-P", "-c", "from edge.cli import main; main()")

BASICS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def enter(
    root: Path,
    cpu: Cpu,
    scratch: Path,
    command: Sequence[str],
    *,
    binds: Mapping[str, Path],
    env: Mapping[str, str],
    folder: str = "/",
    user: str = "0:0",
) -> list[str]:
    """What runs `command` in `root` on a processor `cpu`, as the same process.

    `binds`: path in there -> path here. The processor is described below `scratch`. Nothing is written to `root`.
    """
    described = scratch / "cpu" / cpu.name
    if not described.exists():
        described.mkdir(parents=True)
        cpu.describe(described)
    places = [str(described / f"{cpu.name}.{what}") for what in ("cpuinfo", "sys")]
    pairs = " ".join(f"{here}:{there}" for there, here in binds.items())
    told = [f"{name}={value}" for name, value in {**BASICS, "QEMU_CPU": cpu.name, **env}.items()]
    apart = ["unshare", "--mount", "--propagation", "private"]
    return [*apart, str(ENTER), str(root), *places, user, pairs, folder, *told, *command]


@dataclass(frozen=True)
class Pi:
    """A root, the processor it believes in, what `/opt/site` (Python packages) and `/proof` (ours) show in it."""

    root: Path
    cpu: Cpu
    site: Path
    work: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, *command: str) -> list[str]:
        """What runs `command` in the root, in its folder /proof, as the same process."""
        binds = {"/opt/site": self.site, "/proof": self.work}
        env = {"PYTHONPATH": "/opt/site", **self.env}
        return enter(self.root, self.cpu, self.work, command, binds=binds, env=env, folder="/proof")

    def run(self, *command: str, limit: float = 600, expect: int = 0) -> str:
        """Run a command in the root; its stdout. Raises Failed where it ends otherwise than expected."""
        log(f"in {self.root.name} on {self.cpu.name}: {' '.join(command)}")
        return run(self.command(*command), limit=limit, expect=expect)

    def edge(self, *words: str, limit: float = 600, expect: int = 0) -> str:
        """`edge WORDS` in the root; its stdout."""
        return self.run(*EDGE, *words, limit=limit, expect=expect)

    def start(self, log_file: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in the root and leave it running, all it says in `log_file`; its pid is the command's own."""
        with log_file.open("ab") as said:
            return subprocess.Popen(
                self.command(*command), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
