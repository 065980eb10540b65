"""The archive format of an initial RAM disk (cpio, "newc"; kernel: driver-api/early-userspace/buffer-format)."""

from __future__ import annotations

import stat

FOLDER, PROGRAM = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755


def archive(files: dict[str, bytes]) -> bytes:
    """`files` as executables, with the folders they lie in; all belong to root."""
    folders = {"/".join(name.split("/")[:n]) for name in files for n in range(1, name.count("/") + 1)}
    entries = [(name, FOLDER, b"") for name in sorted(folders)]
    entries += [(name, PROGRAM, content) for name, content in files.items()]
    found = b"".join(_entry(n, *entry) for n, entry in enumerate(entries, 1))
    return found + _entry(0, "TRAILER!!!", 0, b"")


def _entry(inode: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return _aligned(head) + _aligned(content)


def _aligned(piece: bytes) -> bytes:
    return piece + b"\0" * (-len(piece) % 4)
