"""What is left of an installation that failed. systemd is a script here: it is told what to do, and writes it down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device import systemd
from device.changes import Changes, File
from device.install import start
from device.layout import Layout
from edge.errors import CheckFailed, DataError

SYSTEMCTL = """#!/bin/sh
shift
echo "$@" >> {folder}/calls
case "$1" in
  show) cat {folder}/state ;;
  is-enabled) test -e {folder}/enabled ;;
  restart) grep -q old {folder}/bundle || {{ mkdir -p {states}; {restart} }} ;;
  *) {other} ;;
esac
"""


class Manager:
    """A `systemctl` that starts nothing but the old bundle; `restart` and `other` are what it does besides."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        layout.bundle.parent.mkdir(parents=True)
        (folder / "bundle").symlink_to(layout.bundle)

    def make(self, running: bool, enabled: bool, restart: str = "exit 1;", other: str = "true") -> None:
        script = self.folder / "systemctl"
        (self.folder / "state").write_text("active\n" if running else "inactive\n")
        if enabled:
            (self.folder / "enabled").touch()
        states = self.layout.states[0]
        script.write_text(SYSTEMCTL.format(folder=self.folder, states=states, restart=restart, other=other))
        script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Manager(tmp_path, Layout("tiny", tmp_path / "root"))


def files(layout: Layout) -> list[File]:
    return [File(layout.bundle, b"new"), File(layout.settings, b"new")]


def test_a_first_installation_that_fails_leaves_nothing(manager: Manager) -> None:
    manager.make(running=False, enabled=False)
    with pytest.raises(CheckFailed, match="nothing of it was left behind"):
        start(manager.layout, files(manager.layout))
    assert [path for path in manager.layout.root.rglob("*") if path.is_file()] == []
    assert not any(path.exists() for path in manager.layout.states)
    assert manager.calls[-4:] == ["stop edge@tiny", "disable edge@tiny", "daemon-reload", "reset-failed edge@tiny"]


def test_an_upgrade_that_fails_serves_the_former_bundle_again(manager: Manager) -> None:
    manager.make(running=True, enabled=True)
    manager.layout.bundle.write_text("old")
    with pytest.raises(CheckFailed, match="from before are served again"):
        start(manager.layout, files(manager.layout))
    assert manager.layout.bundle.read_text() == "old" and not manager.layout.settings.exists()
    assert manager.calls[-2:] == ["daemon-reload", "restart edge@tiny"]


def test_a_service_that_its_owner_had_stopped_stays_so_when_an_upgrade_fails(manager: Manager) -> None:
    manager.make(running=False, enabled=False)
    manager.layout.bundle.write_text("old")
    manager.layout.states[0].mkdir(parents=True)
    with pytest.raises(CheckFailed):
        start(manager.layout, files(manager.layout))
    assert manager.layout.bundle.read_text() == "old" and manager.layout.states[0].exists()
    assert manager.calls.count("restart edge@tiny") == 1
    assert {"stop edge@tiny", "disable edge@tiny"} <= set(manager.calls)


def test_whoever_presses_ctrl_c_again_and_again_gets_all_of_it_back(manager: Manager) -> None:
    manager.make(running=True, enabled=True, restart="kill -INT $PPID; sleep 9;", other="kill -INT $PPID")
    manager.layout.bundle.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        start(manager.layout, files(manager.layout))
    assert manager.layout.bundle.read_text() == "old" and not manager.layout.settings.exists()
    assert manager.calls[-1] == "restart edge@tiny"


def test_the_log_of_the_service_and_of_no_other_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "journalctl").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "journalctl").chmod(0o755)
    assert "--unit=edge@tiny" in systemd.log("edge@tiny", 1.0)[0].split()


def test_one_file_that_cannot_be_put_back_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    for path in (one, two, three):
        path.write_text("old")
    changes = Changes()
    changes.apply([File(path, b"new") for path in (one, two, three)])
    two.unlink()
    two.mkdir()
    with pytest.raises(DataError, match="two` is not as it was before"):
        changes.undo()
    assert (one.read_text(), three.read_text()) == ("old", "old")


def test_what_never_changed_needs_no_room_to_be_put_back(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    two.write_text("old")
    (tmp_path / f".two.{os.getpid()}").mkdir()  # nothing can be written beside it
    changes = Changes()
    with pytest.raises(DataError):
        changes.apply([File(one, b"1"), File(two, b"2")])
    changes.undo()
    assert two.read_text() == "old" and not one.exists()
