"""A whole emulated machine: arm64, Debian's kernel, systemd, a disk, a serial line, and no network."""

from __future__ import annotations

import io
import os
import selectors
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from arm.cache import kept
from arm.cpio import archive
from arm.errors import Failed
from arm.roots import root
from arm.shell import end, log, run, tail
from arm.walked import CPU, walked

SIZE = "3G"
MEMORY = "1536M"
CORES = 2

# The second disk is a plain tar archive with what this boot is about; it is laid over the first one, a copy-on-write
# view of the kept file system, so that nothing outlives the machine.
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev /new
/bin/busybox mount -t devtmpfs none /dev
for module in virtio_ring virtio virtio_mmio virtio_blk; do /bin/busybox insmod /$module.ko; done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && [ -b /dev/vdb ] || /bin/busybox sleep 1; done
[ -b /dev/vdb ] || { echo "no disks"; /bin/busybox poweroff -f; }
/bin/busybox mount -t ext4 -o noatime /dev/vda /new
[ -e /new/laid ] || { /bin/busybox tar -C /new -xf /dev/vdb; >/new/laid; }
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""

MODULES = ("virtio_ring", "virtio", "virtio_mmio", "virtio_blk")

# What a fresh system without a network would only wait for.
MASKED = (
    "systemd-networkd",
    "systemd-resolved",
    "systemd-timesyncd",
    "getty@tty1",
    "serial-getty@ttyAMA0",
    "apt-daily",
)


def image() -> tuple[Path, Path, Path]:
    """Kernel, initial RAM disk and disk of the machine; the disk takes a few seconds to lay out."""
    system, kernel = walked(), root("kernel")

    def make(folder: Path) -> None:
        (found,) = kernel.glob("boot/vmlinuz-*")
        os.link(found, folder / "vmlinuz")
        modules = {path.name: path.read_bytes() for path in kernel.rglob("virtio*.ko")}
        files = {f"{name}.ko": modules[f"{name}.ko"] for name in MODULES}
        files["bin/busybox"] = (kernel / "bin" / "busybox").read_bytes()
        (folder / "initrd").write_bytes(archive({**files, "init": INIT}))
        run(["mke2fs", "-q", "-t", "ext4", "-d", system, folder / "disk", SIZE])

    folder = kept("machine", (system.name, kernel.name, INIT, MODULES, SIZE), make)
    return folder / "vmlinuz", folder / "initrd", folder / "disk"


class Cargo:
    """A tar archive, file by file, that is laid over the machine's disk before it boots."""

    def __init__(self) -> None:
        self._memory = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._memory, mode="w", format=tarfile.GNU_FORMAT)

    def text(self, path: str, content: str, mode: int = 0o644) -> None:
        """A file with this content."""
        self.bytes(path, content.encode(), mode)

    def bytes(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A file with this content."""
        info = tarfile.TarInfo(path)
        info.size, info.mode, info.mtime = len(content), mode, int(time.time())
        self._tar.addfile(info, io.BytesIO(content))

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(info)

    def write(self, path: Path) -> None:
        """Write the archive, padded to whole sectors."""
        self._tar.close()
        path.write_bytes(self._memory.getvalue())


def boot(work: Path, cargo: Cargo, heard: Callable[[str], bool], limit: float) -> list[str]:
    """Boot the machine and hand every line of its serial console to `heard` until that returns True or power is off.

    Returns all lines. Raises Failed where the machine is still running after `limit` seconds.
    """
    kernel, initrd, disk = image()
    for service in MASKED:
        cargo.link(f"etc/systemd/system/{service}.service", "/dev/null")
    cargo.write(work / "cargo.tar")
    words = ["console=ttyAMA0", "panic=-1", "quiet", "systemd.show_status=0", "net.ifnames=0"]
    command = [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", CPU, "-smp", str(CORES), "-m", MEMORY),
        *("-nographic", "-nic", "none", "-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", " ".join(words)),
        # The board hands out its slots from the last to the first: what is named last is /dev/vda.
        *("-drive", f"file={work / 'cargo.tar'},format=raw,if=none,id=b,readonly=on"),
        *("-device", "virtio-blk-device,drive=b"),
        *("-drive", f"file={disk},format=raw,if=none,id=a,snapshot=on", "-device", "virtio-blk-device,drive=a"),
    ]
    log(f"$ {' '.join(command)}")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(work)},
    )
    try:
        return _listen(process, heard, limit)
    finally:
        end(process)


def _listen(process: subprocess.Popen[bytes], heard: Callable[[str], bool], limit: float) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    rest = b""
    deadline = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise Failed(f"the machine is still running after {limit:.0f} s; it said:\n{tail(chr(10).join(lines))}")
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return lines
            *whole, rest = (rest + piece).replace(b"\r", b"").split(b"\n")
            for raw in whole:
                line = raw.decode(errors="replace")
                log(line)
                lines.append(line)
                if heard(line):
                    return lines
