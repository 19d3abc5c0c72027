"""
The life of one daemon process: it can be cut between any two effects.

What the process would do after that moment does not happen: whoever acts
outside asks the lifeline first.
"""

from __future__ import annotations

import asyncio

from tests.simulation.loop import VirtualLoop


class Lifeline:
    """
    Alive until it is killed.

    Attributes:
        kill_after: So many effects from now it dies; None: it does not.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.alive = True
        self.kill_after: int | None = None

    def effect(self) -> None:
        """Something outside is about to change, or has just changed."""
        if self.kill_after is not None:
            self.kill_after -= 1
            if self.kill_after <= 0:
                self.kill()

    def kill(self) -> None:
        """SIGKILL: nothing of this process goes on."""
        self.alive = False
        self.kill_after = None
        self._loop.stop()

    async def pulse(self) -> None:
        """Go on if alive; wait for ever if not."""
        if not self.alive:
            await self._loop.create_future()

    async def sleep(self, delay_s: float) -> None:
        """Wait, and go on if still alive."""
        await asyncio.sleep(delay_s)
        await self.pulse()
