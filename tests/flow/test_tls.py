"""Through TLS the daemon says what it says without, and every way in which TLS can fail has its own line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.clock import SystemClock
from device.link import MqttLink
from device.settings import BrokerSettings
from edge.bundle import Bundle
from edge.errors import ProjectError
from tests.support.broker import PATIENCE_S, Broker, Listener, Served, wait_for
from tests.support.certificates import Authority, server_lines
from tests.support.cuts import cable
from tests.support.traffic import count, heard, messages, offline, stream, without_repeats

QUICK = 0.05
HEALTH = "plant/+/health"

Make = Callable[..., Broker]
Serve = Callable[..., Served]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def link_to(port: int, ca: Path | None, cert: Path | None = None, key: Path | None = None) -> MqttLink:
    files = {"ca_file": ca, "cert_file": cert, "key_file": key}
    named = {name: str(path) for name, path in files.items() if path is not None}
    settings = BrokerSettings(port=port, tls=True, reconnect_max_s=QUICK, **named)  # type: ignore[arg-type]
    return MqttLink(settings, "link-under-test", None, [("in", 1)], None, SystemClock())


def failure(link: MqttLink) -> str:
    """What the link says about its first attempts; it goes on trying."""
    wait_for("a line", lambda: link.poll(QUICK) or link.error)
    assert not link.connected
    link.close()
    return link.error


@pytest.mark.parametrize("client_certificates", [False, True])
def test_fifty_machines_are_predicted_through_tls_as_offline(
    bundle: Bundle, make_broker: Make, serve: Serve, authority: Authority, client_certificates: bool
) -> None:
    lines = server_lines(authority, authority.issue("127.0.0.1"), client_certificates)
    broker = make_broker(tls=lines).start()
    us = authority.issue("pi@plant.example")
    ours = ["--cert", str(us.cert), "--key", str(us.key)] if client_certificates else []
    url = f"mqtts://127.0.0.1:{broker.tls_port}"
    daemon = serve(bundle.path, broker, "--broker", url, "--ca", str(authority.ca), *ours).ready()
    listener = Listener(broker, HEALTH)
    sent = stream(50, 20)
    listener.publish(messages(sent))
    wait_for("all predictions", lambda: count(heard(listener)) >= len(sent))
    assert heard(listener) == offline(bundle, sent)
    assert daemon.stop() == 0
    listener.close()


def test_a_connection_that_is_cut_in_the_middle_of_a_record_costs_nothing(
    bundle: Bundle, make_broker: Make, serve: Serve, authority: Authority
) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"))).start()
    listener = Listener(broker, HEALTH)
    sent = stream(10, 60)
    with cable(broker.tls_port, lasts=[700, 6_000, 6_003, 20_000]) as line:
        url = f"mqtts://127.0.0.1:{line.port}"
        config = broker.folder / "device.toml"
        config.write_text("[broker]\nreconnect_max_s = 0.1\n")
        options = ["--broker", url, "--ca", str(authority.ca), "--config", str(config)]
        daemon = serve(bundle.path, broker, *options).ready()
        listener.publish(messages(sent))
        wait_for("all predictions", lambda: count(without_repeats(heard(listener))) >= len(sent))
        assert without_repeats(heard(listener)) == offline(bundle, sent)
        assert line.cuts == 4
        assert daemon.stop() == 0
    listener.close()


def test_what_tls_has_decrypted_ahead_is_read_before_the_link_waits(
    make_broker: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.read_ahead.CHUNK", 7)  # so that most of every record stays in the TLS object
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"))).start()
    link = link_to(broker.tls_port, authority.ca)
    wait_for("the connection", lambda: link.poll(QUICK) or link.connected)
    listener = Listener(broker)
    wanted = [f"{i}".encode() * 50 for i in range(100)]
    listener.publish([("in", payload) for payload in wanted], qos=0)
    got: list[bytes] = []
    while len(got) < len(wanted):  # a link that overlooked what is there would wait long, record after record
        got += [message.payload for message in link.poll(PATIENCE_S)]
    assert got == wanted
    link.close()
    listener.close()


DAY = timedelta(days=1)
NOW = datetime.now(UTC)


def test_an_authority_nobody_trusts_is_named(make_broker: Make, authority: Authority, tmp_path: Path) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"))).start()
    stranger = Authority(tmp_path / "stranger", "stranger")
    said = failure(link_to(broker.tls_port, stranger.ca))
    assert f"127.0.0.1:{broker.tls_port} is not signed by `{stranger.ca}`" in said
    assert "is not signed by one this system trusts" in failure(link_to(broker.tls_port, None))


def test_a_certificate_for_another_name_is_refused(make_broker: Make, authority: Authority) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("broker.example"))).start()
    assert "is for another name" in failure(link_to(broker.tls_port, authority.ca))


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [(NOW - 9 * DAY, NOW - DAY, "has expired"), (NOW + DAY, NOW + 9 * DAY, "is this machine's clock set?")],
)
def test_a_certificate_out_of_its_time_is_named(
    make_broker: Make, authority: Authority, since: datetime, until: datetime, said: str
) -> None:
    pair = authority.issue("127.0.0.1", since=since, until=until)
    broker = make_broker(tls=server_lines(authority, pair)).start()
    assert said in failure(link_to(broker.tls_port, authority.ca))


def test_a_broker_that_asks_for_a_client_certificate_says_so(make_broker: Make, authority: Authority) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"), True)).start()
    assert "client certificate" in failure(link_to(broker.tls_port, authority.ca))


def test_a_client_certificate_of_a_stranger_is_refused(make_broker: Make, authority: Authority, tmp_path: Path) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"), True)).start()
    us = Authority(tmp_path / "stranger", "stranger").issue("pi@plant.example")
    said = failure(link_to(broker.tls_port, authority.ca, us.cert, us.key))
    assert "refuses us in TLS" in said or "closed the connection before it answered" in said


def test_the_wrong_kind_of_port_is_named_both_ways(make_broker: Make, authority: Authority) -> None:
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"))).start()
    assert "TLS port" in failure(link_to(broker.port, authority.ca))
    plain = BrokerSettings(port=broker.tls_port, reconnect_max_s=QUICK)
    assert "one for TLS (mqtts://)" in failure(MqttLink(plain, "x", None, [("in", 1)], None, SystemClock()))


def test_a_port_that_never_greets_holds_nobody_up(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.link.CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = failure(link_to(silent.getsockname()[1], authority.ca))
    assert "does not answer in TLS" in said


def test_a_greeting_that_drips_is_given_up_as_a_whole(
    make_broker: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.link.CONNECT_TIMEOUT_S", 0.5)
    broker = make_broker(tls=server_lines(authority, authority.issue("127.0.0.1"))).start()
    with cable(broker.tls_port, drip_s=0.02) as line:
        assert "does not answer in TLS" in failure(link_to(line.port, authority.ca))


def test_files_that_do_not_fit_are_named(authority: Authority, tmp_path: Path) -> None:
    one, two = authority.issue("a.example"), authority.issue("b.example")
    with pytest.raises(ProjectError, match=r"`key_file` `.*2\.key` does not belong to the certificate `.*1\.pem`"):
        link_to(1, authority.ca, one.cert, two.key)
    with pytest.raises(ProjectError, match=r"`ca_file` `.*none\.pem` cannot be read: No such file"):
        link_to(1, tmp_path / "none.pem")
    with pytest.raises(ProjectError, match=r"`ca_file` `.*1\.key` holds no PEM certificates"):
        link_to(1, one.key)
    with pytest.raises(ProjectError, match=r"`key_file` `.*none\.key` cannot be read"):
        link_to(1, None, one.cert, tmp_path / "none.key")
    with pytest.raises(ProjectError, match="are no PEM certificate and key"):
        link_to(1, None, one.key, one.key)


def test_an_encrypted_key_is_refused_rather_than_asked_for(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization as pem

    us = authority.issue("a.example")
    key = pem.load_pem_private_key(us.key.read_bytes(), None)
    locked = us.key.with_suffix(".locked")
    form = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x"))
    locked.write_bytes(key.private_bytes(*form))
    with pytest.raises(ProjectError, match="is encrypted; decrypt it"):
        link_to(1, None, us.cert, locked)


def test_secrets_come_from_the_services_credentials_and_go_nowhere_else(
    bundle: Bundle, make_broker: Make, serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    lines = server_lines(authority, authority.issue("127.0.0.1"), True)
    broker = make_broker(("robin", "s3cr3t-word"), tls=lines).start()
    us = authority.issue("pi@plant.example")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, content in {
        "mqtt_password": b"s3cr3t-word\n",
        "mqtt_ca.pem": authority.ca.read_bytes(),
        "mqtt_cert.pem": us.cert.read_bytes(),
        "mqtt_key.pem": us.key.read_bytes(),
    }.items():
        (credentials / name).write_bytes(content)
    config = tmp_path / "device.toml"
    config.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.tls_port}\nuser = "robin"\ntls = true\nca_file = "mqtt_ca.pem"\n'
        'password_file = "mqtt_password"\ncert_file = "mqtt_cert.pem"\nkey_file = "mqtt_key.pem"\n'
    )
    broker_option = ["--config", str(config), "--broker", f"mqtts://robin@127.0.0.1:{broker.tls_port}"]
    daemon = serve(bundle.path, broker, *broker_option, env={"CREDENTIALS_DIRECTORY": str(credentials)}).ready()
    seen = Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes() + daemon.log.encode()
    seen += Path(f"/proc/{daemon.process.pid}/environ").read_bytes()
    assert daemon.stop() == 0
    seen += daemon.log.encode() + b"".join(file.read_bytes() for file in daemon.store.iterdir())
    assert b"s3cr3t-word" not in seen
    assert us.key.read_bytes().splitlines()[1] not in seen
