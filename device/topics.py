"""From a topic to a machine and back: `{machine}` in a template stands for exactly one topic level."""

from __future__ import annotations

from edge.errors import DataError

MACHINE = "{machine}"

_FORBIDDEN = frozenset("/+#")

LONGEST = 128
"""Characters of a machine's name; longer ones are refused."""


class Template:
    """One topic template of the project file, such as `plant/{machine}/telemetry`."""

    def __init__(self, text: str) -> None:
        """`text` holds `{machine}` once, as a whole level; the project file's check has made sure of it."""
        self._before, _, self._after = text.partition(MACHINE)
        self.filter = f"{self._before}+{self._after}"
        """What to subscribe to."""

    def check(self, machine: str) -> None:
        """Raises DataError for a name that no topic can carry."""
        if self.machine(self.topic(machine)) != machine:
            raise DataError(
                f"a machine called {machine!r} has no topic: a name is printable, without / + #, and at most {LONGEST} "
                "characters; rename it in the history"
            )

    def topic(self, machine: str) -> str:
        """The topic of one machine."""
        return f"{self._before}{machine}{self._after}"

    def machine(self, topic: str) -> str | None:
        """The machine a topic is about, or None where the topic does not match or the name is not usable.

        A usable name is printable, not empty, and at most LONGEST characters.
        """
        if len(topic) <= len(self._before) + len(self._after):
            return None
        if not topic.startswith(self._before) or not topic.endswith(self._after):
            return None
        name = topic[len(self._before) : len(topic) - len(self._after)]
        return name if not _FORBIDDEN.intersection(name) and len(name) <= LONGEST and name.isprintable() else None
