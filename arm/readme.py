"""The commands that README promises for the Pi, as they stand there."""

from __future__ import annotations

import re

from arm.cache import CHECKOUT
from arm.errors import Failed

HEADING = "## On the Pi"
PROMISED = 5


def commands() -> list[str]:
    """The lines of the first block of shell under the heading, comments dropped. Raises Failed where it is not so."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    _, found, section = text.partition(f"\n{HEADING}\n")
    if not found:
        raise Failed(f"README.md has no section `{HEADING}`")
    block = re.search(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    if block is None:
        raise Failed(f"README.md: `{HEADING}` has no block of sh")
    lines = [re.sub(r"\s+# .*$", "", line) for line in block[1].splitlines() if not line.startswith("#")]
    if len(lines) != PROMISED:
        raise Failed(f"README.md: `{HEADING}` promises {PROMISED} commands and has {len(lines)}")
    return lines
