"""
Names to addresses, without ever waiting for one.

A literal address costs nothing.  A name is looked up in a thread, a few at a
time, and again now and then in the background.  While a
later look-up fails, the address that was known stays in use: a broken name
server must not blind us.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

AT_ONCE_MAX = 8
"""Look-ups at a time, in threads of their own: a name server that hangs blocks nobody else."""
REFRESH_S = 300.0
RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where packets go: an IPv4 or IPv6 address; *scope* is the interface of a link-local one."""

    family: socket.AddressFamily
    ip: str
    scope: int = 0

    def at(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """The form in which sockets take it."""
        if self.family is socket.AF_INET6:
            return (self.ip, port, 0, self.scope)
        return (self.ip, port)


@dataclass(slots=True)
class _Known:
    """
    What is known of a name.

    Attributes:
        address: None while no look-up has succeeded.
        asking: A look-up is under way or waits for its turn.
    """

    address: Address | None
    ask_again_at: float
    asking: bool = False


class Resolver:
    """
    The addresses of names.

    Args:
        on_end: Called when a look-up ended; what it brought is then to be had by :meth:`take`.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="resolve")
        self._known: dict[str, _Known] = {}
        self._waiting: deque[str] = deque()
        self._running: dict[asyncio.Future[Address], str] = {}
        self._ended: deque[asyncio.Future[Address]] = deque()

    def address(self, name: str, now: float) -> Address | None:
        """The address of *name* as far as it is known; starts a look-up when it is time for one."""
        known = self._known.get(name)
        if known is None:
            literal = _literal(name)
            known = _Known(literal, now if literal is None else math.inf)
            self._known[name] = known
        if now >= known.ask_again_at and not known.asking:
            known.asking = True
            self._waiting.append(name)
            self._ask()
        return known.address

    def is_asking(self, name: str) -> bool:
        """Whether the answer to a look-up of *name* is still to come."""
        known = self._known.get(name)
        return known is not None and known.asking

    def take(self, now: float) -> list[str]:
        """Learn what the look-ups that ended have brought; the names they were for."""
        names = []
        while self._ended:
            future = self._ended.popleft()
            name = self._running.pop(future)
            names.append(name)
            self._learn(self._known[name], future, now)
        self._ask()
        return names

    def keep(self, names: Collection[str]) -> None:
        """Forget all other names, except those that are being asked for."""
        self._known = {
            name: known for name, known in self._known.items() if name in names or known.asking
        }

    def close(self) -> None:
        """Want nothing any more."""
        self._waiting.clear()
        for future in self._running:
            future.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE_MAX:
            name = self._waiting.popleft()
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, _look_up, name, 0)
            self._running[future] = name
            future.add_done_callback(self._end)

    def _end(self, future: asyncio.Future[Address]) -> None:
        if not future.cancelled():
            self._ended.append(future)
            self._on_end()

    @staticmethod
    def _learn(known: _Known, future: asyncio.Future[Address], now: float) -> None:
        known.asking = False
        try:
            known.address = future.result()
        except (OSError, UnicodeError):  # a name that cannot be encoded cannot be asked for
            known.ask_again_at = now + RETRY_S
        else:
            known.ask_again_at = now + REFRESH_S


def _look_up(name: str, flags: int) -> Address:
    family, _, _, _, where = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=flags)[0]
    scope = where[3] if len(where) == 4 else 0  # noqa: PLR2004 - an IPv6 address has four parts
    return Address(family, str(where[0]), int(scope))


def _literal(name: str) -> Address | None:
    """Return *name* itself where it is an address; asks nobody."""
    try:
        return _look_up(name, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
