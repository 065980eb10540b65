"""Settings, addresses, topics: what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.settings import BrokerSettings, client_id, load_settings, password, with_url
from device.topics import Template
from edge.errors import ProjectError


def test_the_settings_file_is_typed_and_all_of_it_is_optional(tmp_path: Path) -> None:
    file = tmp_path / "device.toml"
    file.write_text('max_machines = 5\n[broker]\nhost = "b"\nport = 1\n[store]\nflush_s = 1\n')
    settings = load_settings(file)
    assert (settings.max_machines, settings.broker.host, settings.broker.port, settings.store.flush_s) == (
        5,
        "b",
        1,
        1.0,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\nhots = 'b'", r"unknown key `broker.hots`; did you mean `host`\?"),
        ("[broker]\npassword = 'b'", "unknown key `broker.password`"),
        ("[broker]\nport = 'b'", "`broker.port` must be a whole number"),
        ("[broker]\nport = 70000", "at most 65535"),
        ("max_machines = 0", "`max_machines` must be above 0"),
        ("[store]\nflush_s = -1", "must not be negative"),
        ("silence_s = -1", "`silence_s` must not be negative"),
        ("[broker]\nca_file = 'ca.pem'", "`broker.ca_file` is given, but not TLS"),
        ("[broker]\ntls = true\nkey_file = 'k'", "without `broker.cert_file`"),
        ("[store", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "device.toml"
    file.write_text(text)
    with pytest.raises(ProjectError, match=said):
        load_settings(file)


@pytest.mark.parametrize(("line", "port"), [("tls = true", 8883), ("tls = false", 1883), ("tls = true\nport = 1", 1)])
def test_the_port_follows_from_tls_unless_it_is_given(tmp_path: Path, line: str, port: int) -> None:
    file = tmp_path / "device.toml"
    file.write_text(f"[broker]\n{line}\n")
    assert load_settings(file).broker.port == port


def test_a_settings_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="there is no settings file"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("host", ("host", 1883, "")),
        ("host:99", ("host", 99, "")),
        ("mqtt://me@host", ("host", 1883, "me")),
        ("mqtt://a%40b@[::1]:5", ("::1", 5, "a@b")),
        ("mqtts://me@host", ("host", 8883, "me")),
    ],
)
def test_an_address_names_host_port_and_user(url: str, want: tuple[str, int, str]) -> None:
    broker = with_url(BrokerSettings(), url)
    assert (broker.host, broker.port, broker.user) == want


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mqtt://me:secret@host", "not the address"),
        ("http://host", "`http` is not supported"),
        ("mqtt://", "is no address"),
        ("mqtt://host:port", "is no address"),
        ("mqtt://host/topic", "is no address"),
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_a_password(url: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as caught:
        with_url(BrokerSettings(), url)
    assert "secret" not in str(caught.value)


def test_a_password_comes_from_its_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_MQTT_PASSWORD", "env")
    assert password(BrokerSettings()) == "env"
    (tmp_path / "p").write_text("file\r\nmore")
    assert password(BrokerSettings(password_file=str(tmp_path / "p"))) == "file"
    with pytest.raises(ProjectError, match="password file"):
        password(BrokerSettings(password_file=str(tmp_path / "none")))


def test_a_client_id_is_the_devices_own() -> None:
    assert client_id(BrokerSettings(), "pump").startswith("pump-")
    assert client_id(BrokerSettings(client_id="x"), "pump") == "x"


@pytest.mark.parametrize("name", ["a/b", "a+", "#", "x" * 129, "a\nb"])
def test_a_client_id_no_topic_can_carry_is_refused(name: str) -> None:
    with pytest.raises(ProjectError, match=r"cannot be part of a topic.*--client-id"):
        client_id(BrokerSettings(client_id=name), "pump")


@pytest.mark.parametrize(
    ("topic", "machine"),
    [
        ("plant/p1/telemetry", "p1"),
        ("plant/p 1/telemetry", "p 1"),
        ("plant//telemetry", None),
        ("plant/telemetry", None),
        ("plant/a/b/telemetry", None),
        ("plant/p1/health", None),
        ("other/p1/telemetry", None),
        ("plant/p1/telemetry/x", None),
        ("plant/p\n1/telemetry", None),
        (f"plant/{'x' * 129}/telemetry", None),
        ("", None),
    ],
)
def test_a_machine_is_exactly_one_usable_topic_level(topic: str, machine: str | None) -> None:
    template = Template("plant/{machine}/telemetry")
    assert template.machine(topic) == machine
    if machine is not None:
        assert template.topic(machine) == topic


@pytest.mark.parametrize("text", ["{machine}", "{machine}/x", "x/{machine}"])
def test_a_machine_may_stand_at_either_end(text: str) -> None:
    template = Template(text)
    assert template.machine(template.topic("m")) == "m"
    assert "+" in template.filter
