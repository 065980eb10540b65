"""The service on a machine that systemd has booted: run as root, by hand or by a lane that boots one, in edge's venv.

    /opt/edge/bin/python service.py pump.edge

Needs mosquitto, openssl, setpriv and nsenter. Installs, tries and removes edge@PROJECT; refuses to where one is there
already. One line for each claim; exit status 1 where one does not hold.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.bundle import Bundle

EDGE = Path(sys.executable).with_name("edge")
PORT = 18883
SECRET = "s3cr3t-of-the-plant"
PATIENCE_S = 180.0
EXPOSURE = 1.5
"""The most that `systemd-analyze security` may say."""

failed: list[str] = []


def claim(what: str, holds: object, more: object = "") -> None:
    """One line; what does not hold is remembered."""
    print("ok     " if holds else "FAILED ", what, "" if holds else f": {more}", flush=True)  # noqa: T201
    if not holds:
        failed.append(what)


def run(*words: object, text: str | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command with its answer."""
    command = [str(word) for word in words]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=400, check=False, env=env)


def wait(holds: Callable[[], Any]) -> Any:
    """Whatever `holds()` says in the end: the first true answer, or a false one."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


class Plant:
    """A broker with TLS and a password, and a machine that sends readings."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._mqtt = manifest.project.mqtt
        self._values = {channel.name: channel.fill for channel in manifest.channels}
        self._ts = 1000.0
        self.predictions: list[dict[str, Any]] = []
        self.ca = folder / "ca.pem"
        server = folder / "server.pem"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        request = ("openssl", "req", "-x509", *key)
        run(*request, "-subj", "/CN=plant", "-keyout", folder / "ca.key", "-out", self.ca)
        issuer = ("-CA", self.ca, "-CAkey", folder / "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
        made = run(*request, "-subj", "/CN=broker", *issuer, "-keyout", folder / "server.key", "-out", server)
        assert server.exists(), made.stderr
        run("mosquitto_passwd", "-b", "-c", folder / "passwords", "pi", SECRET)
        config = folder / "mosquitto.conf"
        config.write_text(
            f"user root\nallow_anonymous false\npassword_file {folder}/passwords\nlistener {PORT} 127.0.0.1\n"
            f"cafile {self.ca}\ncertfile {server}\nkeyfile {folder}/server.key\n"
        )
        broker = shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "mosquitto"
        log = (folder / "mosquitto.log").open("wb")
        self._broker = subprocess.Popen([broker, "-c", config], stdout=log, stderr=log)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("pi", SECRET)
        self._client.tls_set(str(self.ca))
        self._client.on_connect = lambda client, *_: client.subscribe(self._mqtt.predictions.replace("{machine}", "+"))
        self._client.on_message = lambda _c, _d, message: self.predictions.append(json.loads(message.payload))

    def connect(self) -> Plant:
        """Raises OSError until the broker is there."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._client.connect("127.0.0.1", PORT)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._client.loop_start()
        return self

    def send(self, count: int) -> bool:
        """Readings of one machine; whether each was answered."""
        before = len(self.predictions)
        for _ in range(count):
            self._ts += 1
            reading = json.dumps({"ts": self._ts, "values": self._values})
            self._client.publish(self._mqtt.readings.replace("{machine}", "m1"), reading, 1)
        return bool(wait(lambda: len(self.predictions) >= before + count))

    def close(self) -> None:
        """End both."""
        self._client.disconnect()
        self._client.loop_stop()
        self._broker.terminate()
        self._broker.wait()


def show(service: str, key: str) -> str:
    """One property of a unit."""
    return run("systemctl", "show", "--value", "--property", key, service).stdout.strip()


def status(project: str) -> tuple[int, dict[str, Any]]:
    """What `edge status` says, and its exit status."""
    said = run(EDGE, "status", project, "--json")
    services = json.loads(said.stdout or '{"services": []}')["services"]
    return said.returncode, services[0] if services else {}


def healthy(project: str) -> bool:
    """By its own word."""
    return status(project)[0] == 0


def check_sandbox(project: str, service: str) -> None:
    """What the process may not, seen from outside and tried from inside."""
    pid = show(service, "MainPID")
    facts = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    uid = facts["Uid"].split()[0]
    claim("the service is nobody's user but its own", uid != "0" and pwd.getpwuid(int(uid)).pw_name.startswith("edge-"))
    claim("it holds no capability and can gain none", facts["CapBnd"].strip("0") == "" and facts["NoNewPrivs"] == "1")
    claim("its system calls are filtered", facts["Seccomp"] == "2")
    inside = ("nsenter", "-t", pid, "-m", "--")
    as_it = (*inside, "setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--")
    for place in ("/etc", "/usr", "/opt", "/usr/local/lib/edge", "/var/lib", "/boot", "/"):
        if Path(place).is_dir():
            root = run(*inside, "touch", f"{place}/.edge-was-here")
            claim(f"in its world not even root can write to {place}", root.returncode != 0)
    mine = run(*as_it, "touch", f"/var/lib/edge/{project}/probe")
    claim("it can write its own states", mine.returncode == 0, mine.stderr)
    run(*as_it, "rm", "-f", f"/var/lib/edge/{project}/probe")
    claim("it sees no home", not run(*as_it, "ls", "-A", "/home", "/root").stdout.replace("/home:", "").strip())
    given = Path(f"/run/credentials/{service}.service/mqtt_password")
    claim("it was handed the password", run(*as_it, "cat", given).stdout.strip() == SECRET)
    nobody = run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", "cat", given)
    claim("nobody else can read the password", nobody.returncode != 0 and SECRET not in nobody.stdout)
    kept = Path(f"/etc/edge/{project}.credentials/password")
    claim("root keeps it to itself", kept.stat().st_mode & 0o777 == 0o600 and kept.stat().st_uid == 0)
    others = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", EDGE, "status", project)
    claim("any user may ask how it is", run(*others).returncode == 0)
    said = run("journalctl", "--no-pager", "-u", service).stdout
    open_ = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    claim("the password is in no log and no command line", said and SECRET not in said and SECRET.encode() not in open_)


def check_watchdog(project: str, service: str, plant: Plant) -> None:
    """A hung step is restarted, and goes on where it was."""
    last = plant.predictions[-1]["seq"]
    quick = Path(f"/run/systemd/system/{service}.service.d/quick.conf")
    quick.parent.mkdir(parents=True)
    quick.write_text("[Service]\nWatchdogSec=10\nRestartSec=1\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", service)
    wait(lambda: healthy(project))
    pid = int(show(service, "MainPID"))
    time.sleep(15)
    claim("an idle service is left alone by its watchdog", int(show(service, "MainPID")) == pid)
    os.kill(pid, signal.SIGSTOP)
    code, said = status(project)
    claim("a hung service does not say that it is healthy", code == 1 and said["state"] == "silent", said)
    wait(lambda: show(service, "MainPID") not in ("0", str(pid)) and healthy(project))
    claim("a hung service is restarted", int(show(service, "MainPID")) not in (0, pid), show(service, "ActiveState"))
    claim("by its watchdog", "Watchdog timeout" in run("journalctl", "--no-pager", "-u", service).stdout)
    pid = int(show(service, "MainPID"))
    os.kill(pid, signal.SIGKILL)
    wait(lambda: show(service, "MainPID") not in ("0", str(pid)) and healthy(project))
    claim("a killed service is restarted", int(show(service, "MainPID")) not in (0, pid))
    claim("and answers", plant.send(3))
    claim("states survived all of it", plant.predictions[-1]["seq"] == last + 3, plant.predictions[-1])
    shutil.rmtree(quick.parent)
    run("systemctl", "daemon-reload")


def check_upgrade(project: str, service: str, bundle: Path, folder: Path) -> None:
    """Installing again upgrades; what does not start is taken back."""
    again = run(EDGE, "install", bundle)
    claim("installing again needs no more to be said", again.returncode == 0 and healthy(project), again.stderr)
    damaged = folder / "damaged.edge"
    damaged.write_bytes(bundle.read_bytes().replace(b"manifest", b"manifesz"))
    before = Path(f"/usr/local/lib/edge/{project}.edge").read_bytes()
    pid = show(service, "MainPID")
    claim("a damaged bundle is refused", run(EDGE, "install", damaged).returncode == 3)
    claim("and disturbs nobody", show(service, "MainPID") == pid)
    broken = folder / "edge"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    place = Path("/opt/edge-broken")
    shutil.copy(broken, place)
    said = run(EDGE, "install", bundle, "--edge", place, "--recipe", "float32")
    claim("what does not start is an error that says so", said.returncode == 1 and "rolled back" in said.stderr, said)
    claim("and the service from before serves again", wait(lambda: healthy(project)), status(project))
    claim("with its bundle", Path(f"/usr/local/lib/edge/{project}.edge").read_bytes() == before)
    run("systemctl", "disable", "--now", service)
    run(EDGE, "install", bundle, "--edge", place)
    place.unlink()
    enabled = run("systemctl", "is-enabled", service).returncode == 0
    claim("one that its owner had stopped stays so", not enabled and show(service, "ActiveState") == "inactive")
    run("systemctl", "enable", "--now", service)


def main() -> int:
    """All of it."""
    path = Path(sys.argv[1])
    bundle = Bundle.open(path)
    project = bundle.manifest.project.name
    service = f"edge@{project}"
    if Path(f"/usr/local/lib/edge/{project}.edge").exists():
        sys.exit(f"{service} is installed here already; not touched")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant = Plant(folder, bundle)
        try:
            plant.connect()
            url = f"mqtts://pi@127.0.0.1:{PORT}"
            done = run(EDGE, "install", path, "--broker", url, "--ca", plant.ca, "--password-file", "-", text=SECRET)
            claim("edge install is enough", done.returncode == 0, done.stderr)
            code, said = status(project)
            claim("the service is healthy, and says so", code == 0 and said.get("connected"), said)
            claim("it starts at boot", run("systemctl", "is-enabled", service).returncode == 0)
            claim("it answers readings", plant.send(5))
            check_sandbox(project, service)
            exposed = run("systemd-analyze", "security", "--no-pager", service).stdout
            level = re.search(r"exposure level for \S+: ([\d.]+)", exposed)
            claim(f"its exposure is at most {EXPOSURE}", level and float(level[1]) <= EXPOSURE, exposed[-200:])
            verify = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"{service}.service")
            claim(
                "systemd has nothing to say about the unit", verify.returncode == 0 and not verify.stderr, verify.stderr
            )
            check_watchdog(project, service, plant)
            check_upgrade(project, service, path, folder)
        finally:
            plant.close()
            gone = run(EDGE, "uninstall", project)
    claim(
        "edge uninstall removes it",
        gone.returncode == 0 and not Path(f"/etc/edge/{project}.toml").exists(),
        gone.stderr,
    )
    claim("nothing runs any more", show(service, "ActiveState") == "inactive" and status(project)[0] == 4)
    states = Path(f"/var/lib/private/edge/{project}")
    claim("its states stay", (states / f"{project}.sqlite").exists())
    claim("until they are purged", run(EDGE, "uninstall", project, "--purge").returncode == 0 and not states.exists())
    print(f"{len(failed)} of the claims do not hold" if failed else "all of it holds")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
