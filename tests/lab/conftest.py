"""What the tests of the lab share: a quick iron and a way to run the bundled agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pmwatchd.lab import fence_lab
from pmwatchd.lab.bmc import PowerDevice
from pmwatchd.lab.iron import Delays, Iron

QUICK = Delays(off_s=(0.05, 0.1), on_s=(0.05, 0.1), boot_s=(0.05, 0.1))
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


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def iron(told: Told) -> AsyncIterator[Iron]:
    iron = Iron(told, QUICK)
    yield iron
    iron.close()


@pytest.fixture
async def bmc(iron: Iron) -> AsyncIterator[PowerDevice]:
    switch = iron.switch(iron.machine("node3"), "node3-bmc", is_feed=False)
    device = PowerDevice(
        "node3-bmc",
        "127.0.0.1",
        {"": switch},
        user="fence",
        password=PASSWORD,
        place=lambda address: f"a machine at {address}",
    )
    await device.open()
    yield device
    device.close()


@pytest.fixture
def run_agent() -> RunAgent:
    async def run(*argv: str, stdin: str = "") -> Said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(fence_lab.__file__)), *argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await asyncio.wait_for(process.communicate(stdin.encode()), 10)
        return Said(process.returncode, stdout.decode(), stderr.decode())

    return run
