"""
Turns at power switches: one execution at a time per device.

Many devices serve one session only, and two commands at once may end as
neither.  A device goes by the text that agents give as its address and by
every address behind that; agents that have one of these in common share the
device.  ``off`` and ``on`` go before polls that wait; equals go in the order
in which they came.
"""

from __future__ import annotations

import asyncio
import heapq
import ipaddress
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.ports import Names

PATIENCE_S = 1.0
"""A turn waits so long for the first look-up of a name; then the text alone has to do."""

ASK_AGAIN_S = 1.0
"""The pause between two questions for the addresses of a name that is held."""


@dataclass(order=True, slots=True)
class _Waiter:
    rank: tuple[bool, int]
    called: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


@dataclass(slots=True)
class _Switch:
    """One identity of a device."""

    waiting: list[_Waiter] = field(default_factory=list)
    busy: bool = False
    left_at: float | None = None
    held_until: float = -math.inf
    kept_until: float = -math.inf

    def is_for(self, waiter: _Waiter) -> bool:
        """Whether nobody else is at it or goes before."""
        return not self.busy and self.waiting[0] is waiter

    def free_at(self, interval_s: float, *, urgent: bool) -> float:
        """When it may be used again, so long after its last turn."""
        at = self.held_until if urgent else max(self.held_until, self.kept_until)
        return at if self.left_at is None else max(at, self.left_at + interval_s)

    def call_first(self) -> None:
        """Let the first in the queue look whether it is its turn."""
        if self.waiting and not self.busy:
            self.waiting[0].called.set()


class TextOnly:
    """A :class:`pmwatchd.ports.Names` that asks nobody: a device is what it is called."""

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:  # noqa: ARG002 - as the port has it
        """Know none."""
        return frozenset()


class DeviceQueue:
    """
    Gives turns at devices, which are ``address:port`` as their agents have it.

    Args:
        names: Knows the addresses of those that are named; literal ones need it not.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds of that clock.
    """

    def __init__(
        self,
        *,
        names: Names,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._names = names
        self._clock = clock
        self._sleep = sleep
        self._switches: dict[str, _Switch] = {}
        self._arrivals = count()

    @asynccontextmanager
    async def turn(
        self, device: str, *, urgent: bool, interval_s: float, again_within_s: float = 0.0
    ) -> AsyncIterator[None]:
        """
        Wait for the turn at *device*, hold it, give it back.

        Args:
            urgent: Goes before those that are not.
            interval_s: Least pause since the previous turn ended.
            again_within_s: Withdrawn after such a pause, it will be back so soon; those that
                are not urgent wait for it, or their pauses would delay it for ever.
        """
        identities = await self._identities(device, within_s=PATIENCE_S)
        switches = [self._switch(one) for one in identities]
        await self._wait(switches, urgent=urgent, interval_s=interval_s)
        reached, kept_until = True, -math.inf
        try:
            yield
        except (ProxyError, WithdrawnError) as error:
            reached = False  # an interval that nothing began would delay the next try for ever
            if urgent and interval_s and isinstance(error, WithdrawnError):
                kept_until = self._clock() + again_within_s
            raise
        finally:
            for switch in switches:
                switch.busy = False
                switch.kept_until = kept_until
                if reached:
                    switch.left_at = self._clock()
                switch.call_first()

    def hold(self, device: str, *, until_at: float) -> None:
        """Give no turn at *device* before then, as far as it goes by this text."""
        self._hold(_plain(device) or device, until_at)

    async def hold_addresses(self, device: str, *, until_at: float) -> None:
        """Give no turn before then at the addresses of *device*, however late they are known."""
        while True:
            identities = await self._identities(device, within_s=None)
            for identity in identities:
                self._hold(identity, until_at)
            left_s = until_at - self._clock()
            if len(identities) > 1 or left_s <= 0:
                return
            # After a crash of the whole machine its resolver may come up later than we do.
            await self._sleep(min(ASK_AGAIN_S, left_s))

    def _hold(self, identity: str, until_at: float) -> None:
        switch = self._switch(identity)
        switch.held_until = max(switch.held_until, until_at)

    def _switch(self, identity: str) -> _Switch:
        return self._switches.setdefault(identity, _Switch())

    async def _identities(self, device: str, *, within_s: float | None) -> Collection[str]:
        """All by which *device* is known now; that of a literal address costs nothing."""
        if plain := _plain(device):
            return (plain,)
        name, _, port = device.rpartition(":")
        addresses = await self._names.addresses(name, within_s=within_s)
        found = (f"{address}:{port}" for address in addresses)
        return {device, *(_plain(one) or one for one in found)}

    async def _wait(
        self, switches: Collection[_Switch], *, urgent: bool, interval_s: float
    ) -> None:
        """
        Take all switches at once or none.

        Nobody keeps one while waiting for another, and the first of all who
        wait is the first at each of its switches: two can never wait for
        each other.
        """
        waiter = _Waiter((not urgent, next(self._arrivals)))
        for switch in switches:
            heapq.heappush(switch.waiting, waiter)
        try:
            while True:
                if not all(switch.is_for(waiter) for switch in switches):
                    await waiter.called.wait()
                    waiter.called.clear()
                    continue
                free_at = max(one.free_at(interval_s, urgent=urgent) for one in switches)
                pause_s = free_at - self._clock()
                if pause_s <= 0:
                    break
                # Whoever is more urgent may overtake during the pause.
                await self._sleep(pause_s)
            for switch in switches:
                switch.busy = True
        finally:
            for switch in switches:
                switch.waiting.remove(waiter)
                heapq.heapify(switch.waiting)
                switch.call_first()


def goes_by_name(device: str) -> bool:
    """Whether *device* is named, so that its addresses have to be looked up."""
    return _plain(device) is None


def _plain(device: str) -> str | None:
    """*device* with its literal address in the one spelling that is compared, or None."""
    address, _, port = device.rpartition(":")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return f"{mapped or ip}:{port}"
