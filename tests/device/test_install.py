"""What `edge install` writes, into an image: nobody starts services from a test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from device.changes import SECRET, Changes, File
from device.layout import Layout, check_visible
from device.settings import load_settings
from edge.bundle import Bundle
from edge.cli import group
from edge.errors import DataError, EdgeError, ProjectError
from tests.support.bundles import Workshop
from tests.support.certificates import Authority

SECRET_WORD = "s3cr3t-word"


class Image:
    """A folder that is to become a device's file system."""

    def __init__(self, root: Path, bundle: Bundle) -> None:
        self.root = root
        self.layout = Layout("tiny", root)
        self._bundle = bundle.path

    def install(self, *options: object, text: str = "", bundle: Path | None = None) -> Result:
        words = ["install", str(bundle or self._bundle), "--root", str(self.root), *map(str, options)]
        return CliRunner().invoke(group, words, input=text, standalone_mode=False)

    def well(self, *options: object, text: str = "", bundle: Path | None = None) -> str:
        done = self.install(*options, text=text, bundle=bundle)
        if done.exception is not None:
            raise done.exception
        return done.output

    def uninstall(self, *options: str) -> Result:
        return CliRunner().invoke(
            group, ["uninstall", "tiny", "--root", str(self.root), *options], standalone_mode=False
        )

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): b"" if path.is_symlink() else path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    def credentials(self) -> list[str]:
        return sorted(path.name for path in self.layout.credentials.iterdir())


@pytest.fixture
def image(tmp_path: Path, bundle: Bundle) -> Image:
    return Image(tmp_path / "image", bundle)


def test_a_bundle_and_an_address_are_all_a_service_needs(image: Image, bundle: Bundle) -> None:
    image.well("--broker", "mqtt://plant.example:99")
    assert sorted(image.files()) == [
        "etc/edge/tiny.toml",
        "etc/systemd/system/edge@.service",
        "etc/systemd/system/multi-user.target.wants/edge@tiny.service",
        "usr/local/lib/edge/tiny.edge",
    ]
    assert image.layout.bundle.read_bytes() == bundle.path.read_bytes()
    broker = load_settings(image.layout.settings).broker
    assert (broker.host, broker.port, broker.tls, broker.user) == ("plant.example", 99, False, "")
    assert "ExecStart=/opt/edge/bin/edge run" in image.layout.unit.read_text()
    assert image.layout.wanted.readlink() == Path("/etc/systemd/system/edge@.service")
    assert image.layout.credentials.stat().st_mode & 0o777 == 0o700


def test_secrets_are_roots_alone_and_in_no_other_file(image: Image, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    us = authority.issue("pi@plant.example")
    given = ["--ca", authority.ca, "--cert", us.cert, "--key", us.key, "--password-file", "-"]
    said = image.well("--broker", "mqtts://pi@plant.example", *given, text=f"{SECRET_WORD}\n")
    for path in image.layout.credentials.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert image.credentials() == ["ca.pem", "cert.pem", "key.pem", "password"]
    holders = [name for name, content in image.files().items() if SECRET_WORD.encode() in content]
    assert holders == ["etc/edge/tiny.credentials/password"]
    assert SECRET_WORD not in said
    broker = load_settings(image.layout.settings).broker
    assert (broker.port, broker.tls, broker.user) == (8883, True, "pi")
    assert (broker.password_file, broker.ca_file) == ("mqtt_password", "mqtt_ca.pem")


def test_who_prepares_an_image_as_a_plain_user_is_told_whose_the_files_are(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        said[user] = "make them root's" in image.well()
    assert said == {0: False, 1000: True}


def test_a_dry_run_shows_what_would_be_written_but_no_secret_and_writes_nothing(image: Image, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(SECRET_WORD)
    said = image.well("--broker", "mqtt://pi@plant.example", "--password-file", password, "--dry-run")
    assert "etc/edge/tiny.credentials/password (0600, 12 bytes)" in said
    assert 'host = "plant.example"' in said and "[Service]" in said
    assert SECRET_WORD not in said
    assert not image.root.exists()


def test_installing_again_keeps_what_it_is_not_told_to_change(image: Image, workshop: Workshop, tmp_path: Path) -> None:
    image.well("--broker", "mqtt://pi@plant.example", "--password-file", "-", text=SECRET_WORD)
    settings = image.layout.settings
    settings.write_text(settings.read_text() + "# mine\n")
    before = image.files()
    assert not image.well("--broker", "mqtt://pi@plant.example").strip().count("\n")
    assert image.files() == before
    other = workshop.pack(tmp_path / "other.edge", alarm={"raise_below": 50.0}).path
    image.well(bundle=other)
    assert image.layout.bundle.read_bytes() == other.read_bytes()
    assert image.layout.former.read_bytes() == before["usr/local/lib/edge/tiny.edge"]
    assert settings.read_text().endswith("# mine\n")
    assert image.credentials() == ["password"]


def test_another_broker_does_not_get_the_password_of_the_former(image: Image) -> None:
    image.well("--broker", "mqtt://pi@plant.example", "--password-file", "-", text=SECRET_WORD)
    image.well("--broker", "mqtt://elsewhere.example")
    assert image.credentials() == []
    broker = load_settings(image.layout.settings).broker
    assert (broker.host, broker.password_file) == ("elsewhere.example", "")


def test_a_user_without_a_password_is_asked_for_one_or_told_how(image: Image) -> None:
    with pytest.raises(ProjectError, match=r"user `pi` needs a password: --password-file FILE, or - to read it"):
        image.well("--broker", "mqtt://pi@plant.example")


def test_what_is_wrong_with_tls_is_said_before_anything_is_written(image: Image, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    one, two = authority.issue("a.example"), authority.issue("b.example")
    with pytest.raises(ProjectError, match="does not belong to the certificate"):
        image.well("--broker", "mqtts://plant.example", "--ca", authority.ca, "--cert", one.cert, "--key", two.key)
    with pytest.raises(ProjectError, match="but not TLS"):
        image.well("--broker", "mqtt://plant.example", "--ca", authority.ca)
    assert not image.root.exists()


def test_a_damaged_bundle_is_refused(image: Image, tmp_path: Path) -> None:
    (tmp_path / "x.edge").write_bytes(b"rubbish")
    with pytest.raises(EdgeError):
        image.well(bundle=tmp_path / "x.edge")
    assert not image.root.exists()


def test_uninstall_removes_what_install_wrote_and_keeps_states_unless_told(image: Image) -> None:
    image.well("--broker", "mqtt://pi@plant.example", "--password-file", "-", text=SECRET_WORD)
    for states in image.layout.states:
        states.mkdir(parents=True)
        (states / "tiny.sqlite").write_text("states")
    assert image.uninstall().exception is None
    assert sorted(image.files()) == ["var/lib/edge/tiny/tiny.sqlite", "var/lib/private/edge/tiny/tiny.sqlite"]
    assert image.uninstall("--purge").exception is None
    assert image.files() == {}
    again = image.uninstall()
    assert isinstance(again.exception, ProjectError) and "no service `tiny` is installed" in str(again.exception)


def test_what_is_left_of_a_removal_that_was_interrupted_can_be_removed(image: Image) -> None:
    image.well("--broker", "mqtt://pi@plant.example", "--password-file", "-", text=SECRET_WORD)
    image.layout.bundle.unlink()
    assert image.uninstall().exception is None
    assert image.files() == {}


@pytest.mark.parametrize("link", ["etc", "usr/local/lib/edge", "var/lib/private"])
def test_a_link_that_leads_out_of_the_image_is_not_followed(image: Image, tmp_path: Path, link: str) -> None:
    host = tmp_path / "host"
    (host / "edge" / "tiny").mkdir(parents=True)
    (image.root / link).parent.mkdir(parents=True)
    (image.root / link).symlink_to(host)
    with pytest.raises(ProjectError, match=f"leads out of the image, to `{host}"):
        image.well("--broker", "mqtt://plant.example")
    assert isinstance(image.uninstall("--purge").exception, ProjectError)
    assert [path.name for path in host.rglob("*")] == ["edge", "tiny"]


def test_the_unit_stays_while_another_service_needs_it(image: Image, workshop: Workshop, tmp_path: Path) -> None:
    other = workshop.pack(tmp_path / "other.edge", project={"name": "other"}).path
    image.well()
    image.well(bundle=other)
    image.uninstall()
    assert image.layout.unit.exists()
    assert Layout("other", image.root).bundle.exists()


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "x" * 27, "ü", "device"])
def test_a_name_that_is_none_reaches_no_file(name: str) -> None:
    with pytest.raises(ProjectError, match="cannot name a service"):
        Layout(name)


def test_a_place_the_sandbox_hides_is_refused() -> None:
    check_visible(Path("/opt/edge/bin/edge"))
    with pytest.raises(ProjectError, match=r"sandbox hides .* install edge in /opt"):
        check_visible(Path("/home/pi/venv/bin/edge"))


def test_without_root_the_line_to_type_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("device.systemd.BOOTED", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["edge", "install", "my pump.edge"])
    said = CliRunner().invoke(group, ["install", str(bundle.path)], standalone_mode=False)
    assert "only root can install a service: sudo " in str(said.exception)
    assert str(said.exception).endswith("/edge install 'my pump.edge'")


def test_without_systemd_another_way_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("device.systemd.BOOTED", tmp_path / "none")
    said = CliRunner().invoke(group, ["install", str(bundle.path)], standalone_mode=False)
    assert "was not started by systemd" in str(said.exception) and "--root DIR" in str(said.exception)


def test_changes_are_taken_back_as_a_whole(tmp_path: Path) -> None:
    old, gone, new = tmp_path / "old", tmp_path / "gone", tmp_path / "a" / "b" / "new"
    old.write_text("old")
    old.chmod(0o640)
    gone.write_text("gone")
    changes = Changes()
    changed = changes.apply([File(old, b"changed"), File(gone, None), File(new, b"new", SECRET)])
    assert changed == [old, gone, new] and not gone.exists() and new.stat().st_mode & 0o777 == 0o600
    changes.undo()
    assert (old.read_text(), old.stat().st_mode & 0o777, gone.read_text()) == ("old", 0o640, "gone")
    assert sorted(tmp_path.iterdir()) == [gone, old]


def test_a_secret_is_never_readable_by_others_not_even_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = os.fsync

    def look(fd: int) -> None:
        seen.append(os.fstat(fd).st_mode & 0o777)
        real(fd)

    monkeypatch.setattr(os, "fsync", look)
    Changes().apply([File(tmp_path / "s", b"secret", SECRET)])
    assert seen == [0o600]


def test_what_cannot_be_written_is_named_and_the_rest_can_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    changes = Changes()
    with pytest.raises(DataError, match="file"):
        changes.apply([File(tmp_path / "one", b"1"), File(tmp_path / "file" / "two", b"2")])
    changes.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_settings_come_back_as_they_were_written(image: Image) -> None:
    image.well("--broker", "mqtt://a%22%5Cb@plant.example", "--password-file", "-", "--recipe", "float32", text="x")
    values: Any = load_settings(image.layout.settings)
    assert values.broker.user == 'a"\\b'


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--recipe", "int4"], "no file with recipe `int4`; known: float32"),
        (["--backend", "tpu"], "unknown backend `tpu`"),
        (["--client-id", "a/b"], "cannot be part of a topic"),
    ],
)
def test_what_the_service_would_fail_at_is_refused_before_anything_is_written(
    image: Image, options: list[str], why: str
) -> None:
    refused = image.install("--broker", "plant.example", *options)
    assert isinstance(refused.exception, EdgeError) and why in str(refused.exception)
    assert not image.root.exists()


def test_an_empty_password_file_is_no_password(image: Image, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("\n")
    refused = image.install("--broker", "mqtt://pi@plant.example", "--password-file", tmp_path / "word")
    assert isinstance(refused.exception, ProjectError) and "is empty; write the password" in str(refused.exception)
