"""A small MQTT broker in Python, for a demo where mosquitto is missing: MQTT 3.1.1, nothing kept. A program of its own.

It runs as a process: `python -m edge.demo.embedded HOST PORT`, until SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker

logging.getLogger("transitions").setLevel(logging.ERROR)  # it warns of its own design at every start


async def serve(host: str, port: int) -> None:
    """Listen on `host` and `port` until a signal to end."""
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"type": "tcp", "bind": f"{host}:{port}"}
    server = Broker({"listeners": {"default": listener}, "plugins": plugins})
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await server.start()
    await ended.wait()
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
