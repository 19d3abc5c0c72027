"""
A host's sign of life: a TCP listener that can fall silent without a firewall or root.

A closed port on loopback answers with a reset, and a refused connection is a
sign of life.  So the port of a dead host stays open with its accept queue
shrunk to one place and that place taken: the kernel then drops every further
SYN, exactly as if the machine were gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

_BACKLOG = 128
_STUFFING = 2  # a queue of length 0 still takes one connection; the next is dropped


class Listener:
    """One TCP port of one host, on an address of its own."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._stuffing: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, 0))
        self.address: str = address
        self.port: int = self._socket.getsockname()[1]
        self._socket.listen(_BACKLOG)
        self._loop.add_reader(self._socket, self._accept)

    def fall_silent(self) -> None:
        """Let every new connection run into its time-out."""
        if self._stuffing:
            return
        self._loop.remove_reader(self._socket)
        self._accept()
        self._socket.listen(0)
        for _ in range(_STUFFING):
            stuffing = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stuffing.setblocking(False)
            stuffing.connect_ex((self.address, self.port))
            self._stuffing.append(stuffing)

    def answer(self) -> None:
        """Accept connections again."""
        self._unstuff()
        self._socket.listen(_BACKLOG)
        self._accept()
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Give the port back."""
        self._loop.remove_reader(self._socket)
        self._unstuff()
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()

    def _unstuff(self) -> None:
        for stuffing in self._stuffing:
            stuffing.close()
        self._stuffing.clear()
