"""What the tests of the lab share: quick iron, and what was told and said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pmwatchd.lab.iron import Delays

_SOON = (0.05, 0.1)
QUICK = Delays(off_s=_SOON, on_s=_SOON, boot_s=_SOON, dump_s=_SOON, reboot_s=_SOON)
PASSWORD = "canary-3f9a"


@dataclass(frozen=True)
class Said:
    """What an execution of the agent ended with."""

    code: int | None
    stdout: str
    stderr: str


class Told:
    """Collects what the iron tells, and waits for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, event: str, host: str, _message: str) -> None:
        self.events.append((event, host))
        self._tasks.add(asyncio.create_task(self._wake()))

    async def until(self, event: str, host: str) -> None:
        async with self._news, asyncio.timeout(5):
            await self._news.wait_for(lambda: (event, host) in self.events)

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()


RunAgent = Callable[..., Awaitable[Said]]
