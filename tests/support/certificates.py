"""Authorities and certificates that live as long as a test."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import trustme


class Pair(NamedTuple):
    """A certificate and its private key, PEM."""

    cert: Path
    key: Path


class Authority:
    """Issues certificates into a folder; its own is `ca`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._made = 0
        self._authority = trustme.CA(organization_name=name)
        self.ca = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, *names: str, since: datetime | None = None, until: datetime | None = None) -> Pair:
        """A certificate for host names, addresses or, for a client, any name."""
        self._made += 1
        made = self._authority.issue_cert(*names, not_before=since, not_after=until)
        pair = Pair(self._folder / f"{self._made}.pem", self._folder / f"{self._made}.key")
        made.cert_chain_pems[0].write_to_path(pair.cert)
        made.private_key_pem.write_to_path(pair.key)
        return pair


def server_lines(authority: Authority, pair: Pair, client_certificates: bool = False) -> list[str]:
    """What mosquitto's configuration needs to say for a listener with TLS."""
    lines = [f"cafile {authority.ca}", f"certfile {pair.cert}", f"keyfile {pair.key}"]
    return [*lines, "require_certificate true"] if client_certificates else lines
