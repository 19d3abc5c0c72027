"""
What lies between the daemon and the iron: who gets through, and commands on proxies.

:class:`Wire` is a transport under the real ``FenceAgents``.  It belongs to one
daemon's life and lies to nobody: it brings what the network lets through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from pmwatchd.core.model import Candidate, ProxyResult, ProxySource
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.ports import Completed, always
from tests.simulation.hardware import Execution
from tests.simulation.iron import Iron
from tests.simulation.lifeline import Lifeline
from tests.simulation.loop import VirtualLoop
from tests.simulation.manuals import GARBAGE, TRUNCATED, manual, without_action
from tests.simulation.moods import Moods
from tests.simulation.outputs import HUSH
from tests.simulation.partitions import MANAGER, Partitions

REFUSALS = {
    "refuses": ProxyResult.UNREACHABLE,
    "no_session": ProxyResult.NO_SESSION,
    "host_key": ProxyResult.HOST_KEY,
    "no_account": ProxyResult.AUTH_ERROR,
}
MANUAL_S = 0.03
BY_FORCE = (124, 137)  # what switches power may go on, so only time ends that
_BAD_MANUALS = {"manual is garbage": GARBAGE, "manual is cut short": TRUNCATED}
BAD_MANUALS = (*_BAD_MANUALS, "manual hangs", "manual lacks action")


@dataclass(slots=True)
class Net:
    """
    The network's state, the same for every daemon of a run.

    Attributes:
        proxies: Moods of machines as proxies, by name; ``engine`` is one of them.
        unheard: Moods of hosts; ``cut``: no heartbeat comes through; ``lossy``: some do not.
        old: Machines on which old versions of the agents are installed.
    """

    rng: Random
    clock: Callable[[], float]
    parts: Partitions = field(init=False)
    here: Moods = field(init=False)
    proxies: dict[str, Moods] = field(default_factory=dict)
    unheard: dict[str, Moods] = field(default_factory=dict)
    old: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.parts = Partitions(self.clock)
        self.here = Moods(self.clock)

    def proxy(self, name: str) -> Moods:
        """Return the moods of a machine as a proxy."""
        return self.proxies.setdefault(name, Moods(self.clock))

    def host(self, name: str) -> Moods:
        """Return the moods of the way to a host."""
        return self.unheard.setdefault(name, Moods(self.clock))


class Wire:
    """:class:`pmwatchd.ports.Transport`, over SSH and here."""

    def __init__(
        self,
        iron: Iron,
        net: Net,
        life: Lifeline,
        loop: VirtualLoop,
        *,
        delivered: Callable[[Execution, Completed], None],
    ) -> None:
        self._delivered = delivered
        self._iron = iron
        self._net = net
        self._life = life
        self._loop = loop

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
        announces: bool = False,  # noqa: ARG002 - here everything begins at once
        switches: bool = False,
    ) -> Completed:
        """
        Run an agent on a machine.

        Raises:
            ProxyError: It was not started.
            WithdrawnError: It was not permitted any more.
            RuntimeError: A secret is in *argv*, where everybody sees it.
        """
        if HUSH in " ".join(argv):
            raise RuntimeError("a secret is in argv")
        self._life.effect()
        await self._life.pulse()
        moods = self._net.proxy(proxy.name)
        if proxy.source is not ProxySource.ENGINE:
            await self._connect(proxy, moods)
        if "not_installed" in moods:
            await self._life.sleep(0.02)
            return Completed(exit_code=127, stderr=b"timeout: failed to run command: No such file")
        if argv[-1] == "metadata":
            return await self._describe(proxy.name, argv, moods, over_s)
        if not permitted():
            raise WithdrawnError
        return await self._execute(proxy.name, argv, stdin, moods, over_s, switches=switches)

    async def _connect(self, proxy: Candidate, moods: Moods) -> None:
        await self._life.sleep(0.01)
        machine = self._iron.machines.get(proxy.name)
        dark = machine is not None and not machine.answers
        if dark or not self._net.parts.reaches(MANAGER, proxy.name):
            await self._life.sleep(3.0)
            raise ProxyError(ProxyResult.UNREACHABLE, "connecting timed out")
        for mood, result in REFUSALS.items():
            if mood in moods:
                raise ProxyError(result, f"sshd {mood}")

    async def _describe(
        self, proxy: str, argv: Sequence[str], moods: Moods, over_s: float
    ) -> Completed:
        """Let an agent say what it knows; no device is touched by that."""
        if "cut" in moods:
            await self._life.sleep(over_s)
            return Completed(exit_code=None, lost=True, took_s=over_s)
        if "manual hangs" in moods:
            limit_s = float(argv[3])
            await self._life.sleep(limit_s)
            return Completed(exit_code=124, took_s=limit_s)
        await self._life.sleep(MANUAL_S)
        agent_type = argv[4].rpartition("fence_")[2]
        printed = manual(agent_type, old=proxy in self._net.old)
        for mood, text in _BAD_MANUALS.items():
            if mood in moods:
                printed = text
        if "manual lacks action" in moods:
            printed = without_action(agent_type)
        code = 1 if printed is GARBAGE else 0
        return Completed(exit_code=code, stdout=printed, took_s=MANUAL_S)

    async def _execute(
        self,
        proxy: str,
        argv: Sequence[str],
        stdin: bytes,
        moods: Moods,
        over_s: float,
        *,
        switches: bool,
    ) -> Completed:
        ended: asyncio.Future[Completed] = self._loop.create_future()
        told = dict(line.split("=", 1) for line in stdin.decode().splitlines())
        started_at = self._loop.time()
        cut = "cut" in moods
        execution = self._iron.start(
            proxy,
            told,
            limit_s=float(argv[3]),
            kill_s=float(argv[2]),
            on_end=lambda completed: None if ended.done() else ended.set_result(completed),
        )
        self._life.effect()
        await self._life.pulse()
        completed = None if cut else await self._end_of(ended, started_at + over_s)
        if completed is not None and switches and completed.exit_code in BY_FORCE:
            await self._life.sleep(max(0.0, started_at + over_s - self._loop.time()))
        if completed is not None and self._net.parts.reaches(MANAGER, proxy):
            self._life.effect()
            await self._life.pulse()
            self._delivered(execution, completed)
            return completed
        await self._life.sleep(max(0.0, started_at + over_s - self._loop.time()))
        return Completed(exit_code=None, lost=True, took_s=over_s)

    async def _end_of(self, ended: asyncio.Future[Completed], until_at: float) -> Completed | None:
        try:
            async with asyncio.timeout_at(until_at):
                return await ended
        except TimeoutError:
            return None
