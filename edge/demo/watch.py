"""What the daemon says, machine by machine, as anyone who subscribes would hear it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from device.clock import SystemClock
from device.link import MqttLink
from device.messages import Message
from device.settings import BrokerSettings, with_url
from device.topics import Template
from edge.errors import LinkError
from edge.spec import Project

CONNECT_S = 10.0


@dataclass
class Heard:
    """The predictions of one machine in the order they came: `ts` in seconds, `rul` in readings left."""

    machine: str
    ts: list[float] = field(default_factory=list)
    rul: list[float] = field(default_factory=list)
    warm: list[bool] = field(default_factory=list)
    alarm: list[bool] = field(default_factory=list)

    @property
    def raised(self) -> list[int]:
        """Where an alarm was raised: indices of readings."""
        return [i for i, on in enumerate(self.alarm) if on and not (i and self.alarm[i - 1])]


class Watch:
    """A subscriber to predictions and statuses of a project. `machines` fills while `poll` is called."""

    def __init__(self, project: Project, link: MqttLink) -> None:
        self.machines: dict[str, Heard] = {}
        self.status: dict[str, object] = {}
        """The daemon's last status message."""
        self.messages: list[bytes] = []
        """Every prediction as it came."""
        self._topics = Template(project.mqtt.predictions)
        self._link = link

    @property
    def online(self) -> bool:
        """Whether the daemon says it serves."""
        return self.status.get("state") == "online"

    def poll(self, timeout_s: float) -> list[Heard]:
        """Hear what comes within `timeout_s`; the machines that had news. Raises LinkError where the broker is gone."""
        messages = self._link.poll(timeout_s)
        if self._link.error:
            raise LinkError(self._link.error)
        news = [heard for message in messages if (heard := self._take(message)) is not None]
        self._link.acknowledge(messages)
        return news

    def _take(self, message: Message) -> Heard | None:
        machine = self._topics.machine(message.topic)
        told = json.loads(message.payload)
        if machine is None:
            self.status = told
            return None
        heard = self.machines.setdefault(machine, Heard(machine))
        heard.ts.append(told["ts"])
        heard.rul.append(told["rul"])
        heard.warm.append(told["warm"])
        heard.alarm.append(told["alarm"])
        self.messages.append(message.payload)
        return heard


@contextmanager
def watching(project: Project, url: str) -> Iterator[Watch]:
    """A Watch at the broker `url`, connected. Raises LinkError where the broker cannot be reached."""
    subscriptions = [(Template(project.mqtt.predictions).filter, 1), (f"edge/{project.name}/+/status", 1)]
    clock = SystemClock()
    settings = with_url(BrokerSettings(), url)
    link = MqttLink(settings, "", None, subscriptions, None, clock, keep_session=False)
    watch = Watch(project, link)
    try:
        until = clock.monotonic() + CONNECT_S
        while not link.connected:
            watch.poll(0.1)
            if clock.monotonic() > until:
                raise LinkError(f"the broker at {url} does not answer")
        yield watch
    finally:
        link.close()
