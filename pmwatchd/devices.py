"""
Turns at power switches: one execution at a time per device.

Many devices serve one session only, and two commands at once may end as
neither.  ``off`` and ``on`` go before polls that wait; equals go in the order
in which they came.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count


@dataclass(order=True, slots=True)
class _Waiter:
    rank: tuple[bool, int]
    called: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


@dataclass(slots=True)
class _Device:
    waiting: list[_Waiter] = field(default_factory=list)
    busy: bool = False
    left_at: float | None = None
    held_until: float = -math.inf

    def call_first(self) -> None:
        """Let the first in the queue look whether it is its turn."""
        if self.waiting and not self.busy:
            self.waiting[0].called.set()


class DeviceQueue:
    """
    Gives turns at devices.

    Args:
        clock: Seconds, monotonic.
        sleep: Waits so many seconds of that clock.
    """

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._devices: dict[str, _Device] = {}
        self._arrivals = count()

    @asynccontextmanager
    async def turn(self, device: str, *, urgent: bool, interval_s: float) -> AsyncIterator[None]:
        """
        Wait for the turn at *device*, hold it, give it back.

        Args:
            urgent: Goes before those that are not.
            interval_s: Least pause since the previous turn ended.
        """
        switch = self._devices.setdefault(device, _Device())
        await self._wait(switch, urgent=urgent, interval_s=interval_s)
        try:
            yield
        finally:
            switch.busy = False
            switch.left_at = self._clock()
            switch.call_first()

    def hold(self, device: str, *, until_at: float) -> None:
        """Give no turn at *device* before then."""
        switch = self._devices.setdefault(device, _Device())
        switch.held_until = max(switch.held_until, until_at)

    async def _wait(self, switch: _Device, *, urgent: bool, interval_s: float) -> None:
        waiter = _Waiter((not urgent, next(self._arrivals)))
        heapq.heappush(switch.waiting, waiter)
        switch.call_first()
        try:
            while True:
                await waiter.called.wait()
                waiter.called.clear()
                if switch.busy or switch.waiting[0] is not waiter:
                    continue
                pause_s = self._pause_s(switch, interval_s)
                if pause_s <= 0:
                    break
                # Whoever is more urgent may overtake during the pause.
                await self._sleep(pause_s)
                switch.call_first()
            switch.busy = True
        finally:
            switch.waiting.remove(waiter)
            heapq.heapify(switch.waiting)
            switch.call_first()

    def _pause_s(self, switch: _Device, interval_s: float) -> float:
        free_at = switch.held_until
        if switch.left_at is not None:
            free_at = max(free_at, switch.left_at + interval_s)
        return free_at - self._clock()
