"""Things that are due at some time, kept by slot: twenty thousand hosts need no timer each."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from typing import Generic, TypeVar

SLOT_S = 0.05

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items by the slot of :data:`SLOT_S` seconds at whose end they are due; never too early."""

    def __init__(self) -> None:
        self._slots: defaultdict[int, list[T]] = defaultdict(list)
        self._order: list[int] = []

    def put(self, at: float, item: T) -> None:
        """Keep *item* until *at*."""
        slot = math.ceil(at / SLOT_S)
        if slot not in self._slots:
            heapq.heappush(self._order, slot)
        self._slots[slot].append(item)

    def take(self, now: float) -> list[tuple[float, list[T]]]:
        """Remove what is due: pairs of the planned time and its items, the earliest first."""
        due = []
        while self._order and self._order[0] * SLOT_S <= now:
            slot = heapq.heappop(self._order)
            due.append((slot * SLOT_S, self._slots.pop(slot)))
        return due

    @property
    def next_at(self) -> float:
        """When the next item is due; infinity without one."""
        return self._order[0] * SLOT_S if self._order else math.inf
