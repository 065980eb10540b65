"""Brokers, listeners, daemons and the tiny bundle."""

from tests.support.broker import broker, listen, make_broker, serve
from tests.support.bundles import bundle, workshop

__all__ = ["broker", "bundle", "listen", "make_broker", "serve", "workshop"]
