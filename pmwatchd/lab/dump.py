"""
What a host sends while it writes a crash dump: the messages of ``fence_kdump_send``.

Eight bytes in the host's own byte order, over and over, from the host's own
address.  The real sender pauses 10 s between two; here time is short, but the
daemon does not count more than one a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

MESSAGE = struct.pack("=II", 0x1B302A40, 1)
EVERY_S = 1.2
CRASH_KERNEL_S = 0.8
"""What the crash kernel takes to come up before its first message."""


class DumpSender:
    """
    Sends from the address of one host until it is told to stop.

    Args:
        to: Address and port of whoever listens; nobody has to.
    """

    def __init__(self, address: str, to: tuple[str, int]) -> None:
        self._to = to
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._timer = asyncio.get_running_loop().call_later(CRASH_KERNEL_S, self._send)

    def stop(self) -> None:
        """Send nothing any more."""
        self._timer.cancel()
        self._socket.close()

    def _send(self) -> None:
        # A crash kernel neither knows nor cares whether it is heard.
        with contextlib.suppress(OSError):
            self._socket.sendto(MESSAGE, self._to)
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._send)


def free_port(address: str) -> int:
    """Return the number of a UDP port that nobody uses on *address*."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
