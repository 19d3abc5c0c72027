"""
The event stream: records as they are told, for whoever listens right now.

Nobody is waited for.  A subscriber that does not keep up loses what is queued
for it and finds :attr:`Signal.MISSED` instead; the journal has the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from pmwatchd.core.orders import Told


class Signal(Enum):
    """What a subscriber may find instead of a record."""

    MISSED = "missed"  # read the journal again from the last sequence you have
    CLOSED = "closed"  # nothing will follow


class Subscription:
    """The bounded queue of one listener."""

    def __init__(self, size_max: int) -> None:
        self._queue: asyncio.Queue[Told | Signal] = asyncio.Queue(size_max)

    async def next(self) -> Told | Signal:
        """Wait for the next record or signal."""
        return await self._queue.get()

    def offer(self, item: Told | Signal) -> None:
        """Queue without waiting; a full queue is emptied and starts again with ``MISSED``."""
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(Signal.MISSED)
        self._queue.put_nowait(item)


class EventStream:
    """
    Hands every record to every subscriber.

    Args:
        queue_max: Records kept for a slow subscriber, at least 2.
    """

    def __init__(self, queue_max: int = 1000) -> None:
        self._queue_max = queue_max
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def tell(self, told: Told) -> None:
        """Show one record to all."""
        for subscription in self._subscriptions:
            subscription.offer(told)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Listen from now on until the block is left."""
        subscription = Subscription(self._queue_max)
        if self._closed:
            subscription.offer(Signal.CLOSED)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions, so that listeners do not delay a stop."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.offer(Signal.CLOSED)
