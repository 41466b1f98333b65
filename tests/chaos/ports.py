"""Free ports."""

import contextlib
import random
import socket

_PORTS = range(15_000, 32_000)
"""Below those that the kernel gives to connections, any of which could take a port before it is listened on."""


def free_port() -> int:
    """A port that nobody listens on now."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"none of 100 ports in {_PORTS} is free")
