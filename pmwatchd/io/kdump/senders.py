"""
The addresses that dumps are heard from, and whose they are.

A literal address costs nothing.  A name is looked up in a thread and again
now and then; while that fails, what was known stays in use.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pmwatchd.core.model import Host

LOOK_UPS_MAX = 4
"""Look-ups at a time, in threads of their own: a name server that hangs blocks nobody else."""
REFRESH_S = 300.0
RETRY_S = 10.0

Where = tuple[Any, ...]
"""An address as sockets give it."""
Source = tuple[str, int]
"""An address as the kernel writes it, and the interface of a link-local one."""
LookUp = Callable[[str], frozenset[Source]]


def look_up(name: str) -> frozenset[Source]:
    """
    Every address of a name; waits for name servers.

    Raises:
        OSError: There is none, or nobody answers.
        UnicodeError: It cannot be encoded, so it cannot be asked for.
    """
    return _ask(name, 0)


def source_of(where: Where) -> Source:
    """Write where a datagram came from; IPv4 at a socket of IPv6 comes as ``::ffff:192.0.2.1``."""
    address = str(where[0])
    if address.startswith("::ffff:") and "." in address:
        address = address.removeprefix("::ffff:")
    return address, int(where[3]) if len(where) == 4 else 0  # noqa: PLR2004 - IPv6 has four parts


def shown(source: Source) -> str:
    """Write a source for people."""
    address, scope = source
    return f"{address}%{scope}" if scope else address


@dataclass(slots=True, eq=False)
class _Place:
    """
    An address as the inventory writes it, and what it stands for.

    Attributes:
        hosts: Whose address it is; nobody's: it is forgotten.
        sources: Where their datagrams come from, as far as it is known.
        is_told: That it cannot be resolved.
    """

    address: str
    hosts: tuple[str, ...] = ()
    sources: frozenset[Source] = frozenset()
    is_told: bool = False


class Senders:
    """
    Knows whose datagrams come from where.

    Args:
        look_up: Finds the addresses of a name; runs in a thread.
        on_end: Called when a look-up ended; :meth:`turn` then takes in what it brought.
    """

    def __init__(self, look_up: LookUp, on_end: Callable[[], None]) -> None:
        self._look_up = look_up
        self._on_end = on_end
        self._threads = ThreadPoolExecutor(LOOK_UPS_MAX, thread_name_prefix="kdump")
        self._places: dict[str, _Place] = {}
        self._places_at: dict[Source, list[_Place]] = {}
        self._plans: list[tuple[float, int, _Place]] = []  # a heap; the number settles a draw
        self._number = itertools.count()
        self._running: dict[asyncio.Future[frozenset[Source]], _Place] = {}
        self._ended: deque[asyncio.Future[frozenset[Source]]] = deque()

    @property
    def due_at(self) -> float:
        """When the next look-up is to begin."""
        return self._plans[0][0] if self._plans else math.inf

    def hosts_at(self, where: Where) -> list[str]:
        """Whose datagrams come from *where*; two names may lead to one address."""
        places = self._places_at.get(source_of(where), ())
        return [host for place in places for host in place.hosts]

    def watch(self, hosts: list[Host]) -> None:
        """Accept these hosts and no others; what is known of a name is kept."""
        names: dict[str, list[str]] = {}
        for host in hosts:
            names.setdefault(host.address, []).append(host.name)
        before, self._places = self._places, {}
        self._places_at = {}
        for address, of_hosts in names.items():
            place = before.pop(address, None) or self._begin(address)
            place.hosts = tuple(of_hosts)
            self._places[address] = place
            self._enter(place)
        for place in before.values():
            place.hosts = ()

    def turn(self, now: float) -> list[tuple[str, tuple[str, ...]]]:
        """Learn and ask; addresses that are found not to resolve, each once, and whose they are."""
        lost = []
        while self._ended:
            future = self._ended.popleft()
            place = self._running.pop(future)
            if place.hosts and not self._learn(place, future, now) and not place.is_told:
                place.is_told = True
                lost.append((place.address, place.hosts))
        while self.due_at <= now:
            _, _, place = heapq.heappop(self._plans)
            if place.hosts:
                self._ask(place)
        return lost

    def close(self) -> None:
        """Want nothing any more."""
        for future in self._running:
            future.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, address: str) -> _Place:
        place = _Place(address)
        try:
            place.sources = _ask(address, socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            self._plan(place, -math.inf)
        return place

    def _plan(self, place: _Place, at: float) -> None:
        heapq.heappush(self._plans, (at, next(self._number), place))

    def _ask(self, place: _Place) -> None:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, self._look_up, place.address)
        self._running[future] = place
        future.add_done_callback(self._end)

    def _end(self, future: asyncio.Future[frozenset[Source]]) -> None:
        if not future.cancelled():
            self._ended.append(future)
            self._on_end()

    def _learn(self, place: _Place, future: asyncio.Future[frozenset[Source]], now: float) -> bool:
        """Take in what a look-up brought; whether any address is known now."""
        try:
            found = future.result()
        except (OSError, UnicodeError):
            self._plan(place, now + RETRY_S)
            return bool(place.sources)
        self._plan(place, now + REFRESH_S)
        for source in place.sources:
            self._places_at[source].remove(place)
            if not self._places_at[source]:
                del self._places_at[source]
        place.sources = found
        self._enter(place)
        return True

    def _enter(self, place: _Place) -> None:
        for source in place.sources:
            self._places_at.setdefault(source, []).append(place)


def _ask(name: str, flags: int) -> frozenset[Source]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM, flags=flags)
    return frozenset(source_of(where) for *_, where in found)
