"""
A TCP connection to a proxy at one of the addresses that its name is known by.

A look-up by asyncio itself takes one of a few threads for as long as a name
server hangs, and that may be a guest of the host that is dead.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from aiohappyeyeballs import start_connection

EYEBALLS_S = 0.25
"""After so long the next address is tried beside the last (RFC 8305)."""


async def connected(addresses: Collection[str], port: int) -> socket.socket:
    """
    Return a socket that is connected to the first of these addresses that answers.

    Raises:
        OSError: None does.
    """
    infos = [_info(address, port) for address in sorted(addresses)]
    return await start_connection(infos, happy_eyeballs_delay=EYEBALLS_S, interleave=1)


def is_literal(address: str) -> bool:
    """Whether it is an address itself, and no name of one."""
    try:
        ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return True


def _info(address: str, port: int) -> tuple[int, int, int, str, tuple[object, ...]]:
    """Return an address as :func:`socket.getaddrinfo` has it."""
    if ":" not in address:
        return socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)
    return socket.AF_INET6, socket.SOCK_STREAM, 0, "", (address, port, 0, 0)
