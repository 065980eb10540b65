"""Put a daemon together from a bundle and the device's settings, and run it."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

from device.choose import open_backend
from device.clock import SystemClock
from device.daemon import Daemon, Topics
from device.golden import require
from device.health import Health
from device.link import MqttLink, Will
from device.notify import Notify
from device.payload import encode_status
from device.runtime import Runtime
from device.settings import DeviceSettings, client_id, password, store_folder
from device.status_socket import NAME, StatusSocket, own_folder
from device.stop import Stop, on_signals
from device.store import Store
from device.topics import Template
from edge.bundle import Bundle
from edge.errors import DataError

CONTROL_QOS = 1


def serve(path: Path, settings: DeviceSettings, keep_trying: bool = False) -> None:
    """Serve the bundle at `path` until SIGTERM or SIGINT.

    The golden vectors are replayed before anything else; the service manager is told we are ready once they agree and
    the store is open, whether or not the broker is there. With `keep_trying` a broker that refuses us is asked again
    like one that is absent. Raises BundleError where they disagree, ProjectError for settings, DataError for a store
    that cannot be opened, LinkError where the broker refuses us at the start.
    """
    with on_signals() as stop:
        _serve(path, settings, keep_trying, stop)


def _serve(path: Path, settings: DeviceSettings, keep_trying: bool, stop: Stop) -> None:
    log = logging.getLogger("edge.run")
    notify = Notify.from_environment()
    bundle = Bundle.open(path)
    project, model = bundle.manifest.project, bundle.manifest.model
    engine = open_backend(bundle, settings.backend, settings.recipe)
    proof = require(engine)
    log.info(
        "%s, model %s: %s on %s answers here as certified (%d steps)",
        project.name,
        model,
        proof.executable,
        proof.backend,
        proof.steps,
    )
    secret, name = password(settings.broker), client_id(settings.broker, project.name)
    gc.collect()
    gc.freeze()  # what was loaded stays for life; looking through it again and again would be a tenth of our time
    clock = SystemClock()
    facts = {
        "project": project.name,
        "model": model,
        "backend": engine.name,
        "recipe": engine.executable.recipe,
        "client_id": name,
    }
    health = Health(facts, clock, log)
    topics = Topics(
        Template(project.mqtt.readings),
        Template(project.mqtt.predictions),
        Template(project.mqtt.control),
        status_topic(project.name, name),
    )
    subscriptions = [(topics.readings.filter, project.mqtt.qos), (topics.control.filter, CONTROL_QOS)]
    will = Will(topics.status, encode_status({"state": "offline", **facts}))
    place = store_folder(settings.store) / f"{project.name}.sqlite"
    store = Store.open(place, model, clock.now(), settings.store.keep_days)
    if store.warning:
        health.store_error = "" if store.lasting else store.warning
        health.error("", store.warning)
    try:
        status_socket = socket_of(project.name, log)
        wake = (stop.fd,) if status_socket is None else (stop.fd, status_socket.fd)
        link = MqttLink(
            settings.broker, name, secret, subscriptions, will, clock, wake, receipts_wait=True, keep_trying=keep_trying
        )
        runtime = Runtime(bundle, engine)
        try:
            daemon = Daemon(runtime, topics, link, store, settings, clock, health, log, notify, status_socket)
            notify.say("READY=1", "STATUS=ready, connecting to the broker")
            daemon.run(stop)
        finally:
            link.close()
            if status_socket is not None:
                status_socket.close()
    finally:
        store.close()
        notify.close()


def socket_of(project: str, log: logging.Logger) -> StatusSocket | None:
    """Where `edge status` may ask; a daemon that nobody can ask serves all the same."""
    folder = own_folder(project)
    if folder is None:
        log.info(
            "`edge status` will not find this daemon: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set; start it "
            "with RUNTIME_DIRECTORY=/run/edge/%s",
            project,
        )
        return None
    try:
        return StatusSocket(folder / NAME)
    except DataError as error:
        log.warning("%s", error)
        return None


def status_topic(project: str, name: str) -> str:
    """Where a device's retained status lies; the client id is in it because a project may run on many devices."""
    return f"edge/{project}/{name}/status"
