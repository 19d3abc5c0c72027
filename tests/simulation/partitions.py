"""
Who reaches whom: the cables and switches between manager, hosts, proxies and devices.

A place is named like the machine there.  The manager is ``engine``, all power
devices lie behind ``devices``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from tests.simulation.layout import ENGINE_HOST

MANAGER = "engine"
DEVICES = "devices"

Cut = tuple[frozenset[str], frozenset[str]]
"""Nothing passes between the places of one side and those of the other."""


class Partitions:
    """
    What the network is parted by now.

    Args:
        clock: Seconds of the world.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cuts: Counter[Cut] = Counter()
        self.changed_at = -1e9

    def cut(self, one: Collection[str], other: Collection[str]) -> Callable[[], None]:
        """Part two sides; return what joins them again."""
        parted = frozenset(one), frozenset(other)
        self._cuts[parted] += 1
        self.changed_at = self._clock()

        def join() -> None:
            if self._cuts[parted]:
                self._cuts[parted] -= 1
                self.changed_at = self._clock()
            if not self._cuts[parted]:
                del self._cuts[parted]

        return join

    def mend(self) -> None:
        """Join everything."""
        self._cuts.clear()
        self.changed_at = self._clock()

    def reaches(self, one: str, other: str) -> bool:
        """Whether anything passes between two places."""
        if not self._cuts:
            return True
        here, there = _place(one), _place(other)
        return here == there or not any(
            (here in a and there in b) or (there in a and here in b) for a, b in self._cuts
        )


def _place(name: str) -> str:
    return MANAGER if name == ENGINE_HOST else name
