"""What of the ARM lane can be told without ARM: README's commands, the order of jobs, where Debian comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from arm.cache import content, kept
from arm.cpio import archive
from arm.cpus import PI4, PI5
from arm.jobs import JOBS, PARTS
from arm.lane import Done, Urgency, table
from arm.readme import PROMISED, commands
from arm.roots import places


def test_readme_keeps_to_the_commands_it_promises() -> None:
    found = commands()
    assert len(found) == PROMISED
    assert any("venv /opt/edge" in command for command in found)
    assert not any(command.startswith("#") for command in found)


def test_jobs_need_only_jobs_that_exist() -> None:
    assert {need for job in JOBS.values() for need in job.needs} <= JOBS.keys()
    assert not {need for name in PARTS for need in JOBS[name].needs} & set(PARTS)


def test_what_more_work_waits_for_begins_first() -> None:
    urgency = Urgency(list(JOBS.values()))
    chain = [JOBS[name].seconds for name in ("system", "walked", "machine")]
    assert urgency(JOBS["system"]) == sum(chain) > urgency(JOBS["machine"])


def test_a_whole_suite_of_debian_is_a_mirror_and_other_archives_are_not() -> None:
    debian = "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
    security = "Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\nComponents: main\n"
    other = "Types: deb\nURIs: https://other/tools\nSuites: nodistro\nComponents: main\n"
    assert places(debian) == ["http://mirror/debian"]
    assert places(security) == places(other) == []


def test_the_archive_of_the_ram_disk_is_what_the_kernel_reads() -> None:
    packed = archive({"bin/busybox": b"program", "init": b"#!"})
    names, at = [], 0
    while True:
        assert packed[at : at + 6] == b"070701"
        size, length = int(packed[at + 54 : at + 62], 16), int(packed[at + 94 : at + 102], 16)
        names.append(packed[at + 110 : at + 110 + length - 1].decode())
        at += -(-(110 + length) // 4) * 4 + -(-size // 4) * 4
        if names[-1] == "TRAILER!!!":
            break
    assert names == ["bin", "bin/busybox", "init", "TRAILER!!!"] and at == len(packed)


def test_only_the_processor_that_has_dot_products_says_so() -> None:
    assert "asimddp" in PI5.cpuinfo() and "asimddp" not in PI4.cpuinfo()
    assert PI4.cpuinfo().count("processor") == PI4.cores


def test_a_changed_recipe_is_made_anew_and_a_broken_one_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_ARM_CACHE", str(tmp_path))
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "thing").write_text("x")

    def breaks(folder: Path) -> None:
        raise RuntimeError

    first = kept("thing", 1, make)
    assert kept("thing", 1, make) == first and len(made) == 1
    with pytest.raises(RuntimeError):
        kept("thing", 2, breaks)
    second = kept("thing", 2, make)
    assert second != first and not first.exists() and (second / "thing").exists() and len(made) == 2


def test_the_hash_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = content(tmp_path)
    (tmp_path / "a").write_text("2")
    assert content(tmp_path) != before


def test_the_table_at_the_end_names_what_failed() -> None:
    said = table([Done("replay", "FAILED", 12.0, 9.0, "see the log")])
    assert "replay" in said and "FAILED" in said and "see the log" in said
