"""Descriptions of the processors of Raspberry Pis, as their kernel would give them.

Inference engines look into /proc/cpuinfo and /sys before they choose their kernels: without a believable description
LiteRT silently leaves XNNPACK out, and with the host's it may crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ARMV8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
ARMV82 = f"{ARMV8} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"


@dataclass(frozen=True)
class Cpu:
    """`name` is qemu's; `part` ARM's number of it; `board` the Raspberry Pi that has it."""

    name: str
    board: str
    architecture: int
    part: int
    features: str
    cores: int = 4

    def cpuinfo(self) -> str:
        """The content of /proc/cpuinfo."""
        one = (
            "processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: {f}\nCPU implementer\t: 0x41\n"
            "CPU architecture: {a}\nCPU variant\t: 0x0\nCPU part\t: 0x{p:03x}\nCPU revision\t: 3\n\n"
        )
        cores = (one.format(n=n, f=self.features, a=self.architecture, p=self.part) for n in range(self.cores))
        return "".join(cores) + f"Hardware\t: BCM2835\nModel\t\t: {self.board}\n"

    def describe(self, folder: Path) -> tuple[Path, Path]:
        """Write `cpuinfo` and a tree for /sys below `folder`; both paths."""
        info, sys = folder / f"{self.name}.cpuinfo", folder / f"{self.name}.sys"
        info.write_text(self.cpuinfo())
        cpus = sys / "devices" / "system" / "cpu"
        for n in range(self.cores):
            topology = cpus / f"cpu{n}" / "topology"
            topology.mkdir(parents=True)
            every = f"0-{self.cores - 1}"
            mask = f"{(1 << self.cores) - 1:x}"
            for name, value in {
                "core_id": n,
                "physical_package_id": 0,
                "core_siblings": mask,
                "core_siblings_list": every,
                "thread_siblings": f"{1 << n:x}",
                "thread_siblings_list": n,
            }.items():
                (topology / name).write_text(f"{value}\n")
        for name in ("possible", "present", "online"):
            (cpus / name).write_text(f"0-{self.cores - 1}\n")
        return info, sys


PI3 = Cpu("cortex-a53", "Raspberry Pi 3", 8, 0xD03, ARMV8)
PI4 = Cpu("cortex-a72", "Raspberry Pi 4", 8, 0xD08, ARMV8)
PI5 = Cpu("cortex-a76", "Raspberry Pi 5", 8, 0xD0B, ARMV82)
PI2 = Cpu("cortex-a7", "Raspberry Pi 2", 7, 0xC07, ARMV7)
PI4_32 = Cpu("cortex-a15", "a newer 32-bit core", 7, 0xC0F, ARMV7)

CPUS64 = (PI3, PI4, PI5)
CPUS32 = (PI2, PI4_32)
