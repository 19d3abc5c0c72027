"""
Time that jumps: a world of plain callbacks, and an event loop that sleeps through it.

The world (iron, networks, faults) goes on whether a daemon runs or not; the
loop belongs to one daemon's life.  Whenever the loop would wait, the world
turns to its next event instead.  No thread and no real clock is involved.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(slots=True)
class Appointment:
    """Something that will happen in the world, unless it is cancelled."""

    happen: Callable[[], None] | None

    def cancel(self) -> None:
        """Let it not happen."""
        self.happen = None


class World:
    """Everything outside the daemon happens here, in one order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.stopped_until = -math.inf
        self._heap: list[tuple[float, int, Appointment]] = []
        self._numbers = count()

    def after(self, delay_s: float, happen: Callable[[], None]) -> Appointment:
        """Let something happen so many seconds from now."""
        appointment = Appointment(happen)
        heapq.heappush(self._heap, (self.now + delay_s, next(self._numbers), appointment))
        return appointment

    def turn(self, until_at: float) -> None:
        """Go on to the next event, or to *until_at* if nothing happens before."""
        if self._heap and self._heap[0][0] <= until_at:
            at, _, appointment = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            if appointment.happen is not None:
                appointment.happen()
        elif math.isinf(until_at):
            raise RuntimeError("nothing will ever happen again")
        else:
            self.now = max(self.now, until_at)

    def pass_until(self, until_at: float) -> None:
        """Let everything happen up to an instant, with no daemon running."""
        while self.now < until_at:
            self.turn(until_at)


SPINS_MAX = 500
"""A process that turns so often at one instant will never do anything else."""


class SpinError(RuntimeError):
    """The process turns and turns, and time does not pass."""


class _Jump(selectors.SelectSelector):
    """Where a real loop would wait for sockets, the world turns."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._turned_at = -math.inf
        self._turns = 0
        self.frozen = False

    def _count(self) -> None:
        """Notice a spin."""
        if self._world.now > self._turned_at:
            self._turned_at, self._turns = self._world.now, 0
        self._turns += 1
        if self._turns > SPINS_MAX:
            self._turns = 0
            raise SpinError(f"it spins at {self._world.now:.2f}")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._count()
        if self.frozen or (timeout is not None and timeout <= 0):
            return []
        world = self._world
        world.turn(math.inf if timeout is None else world.now + timeout)
        while world.now < world.stopped_until:  # the process is stopped; the world is not
            world.turn(world.stopped_until)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on the time of a world."""

    def __init__(self, world: World) -> None:
        self._jump = _Jump(world)
        self._world = world
        self.bugs: list[str] = []
        super().__init__(self._jump)
        self.set_exception_handler(self._note_bug)

    def time(self) -> float:
        """Seconds of the world's clock."""
        return self._world.now

    def bury(self) -> None:
        """Take the process away: what it still ran can neither act nor wait."""
        self._jump.frozen = True
        self.set_exception_handler(lambda _loop, _context: None)
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()

    def _note_bug(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        self.bugs.append(f"{context.get('message')}: {context.get('exception')!r}")
