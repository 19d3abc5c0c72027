"""Ports that nobody else has: no other test, and no client that takes any port."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_NUMBERS = range(10_000, 32_000)
"""Below those that the kernel gives to whoever asks for any (``ip_local_port_range``)."""


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """
    Return a port that is free at *address*, and this process's alone until it ends.

    Two simulated BMCs could otherwise be given one port at the same moment,
    and share it: both allow that, and one of them answers for both.
    """
    for port in random.sample(_NUMBERS, 100):
        if _claim(port):
            with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
                probe.bind((address, port))
                return port
    raise AssertionError(f"no port is free at {address}")


def _claim(port: int) -> bool:
    """Take a number, by a name that only one process can have; the kernel frees it at the end."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0pmwatchd-tests/port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True
