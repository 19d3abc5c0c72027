"""
What lies between the daemon and the iron: heartbeats, and commands on proxies.

:class:`Wire` is a transport under the real ``FenceAgents``; :class:`Ears` is
a prober.  Both belong to one daemon's life and lie to nobody: they bring what
the network lets through.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from pmwatchd.core.events import Answered, HeartbeatsHeard, Silent
from pmwatchd.core.model import Candidate, Host, ProbeResult, ProxyResult, ProxySource
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

LATE_INTERVALS = 2
REFUSALS = {
    "refuses": ProxyResult.UNREACHABLE,
    "no_session": ProxyResult.NO_SESSION,
    "host_key": ProxyResult.HOST_KEY,
    "no_account": ProxyResult.AUTH_ERROR,
}
MANUAL_S = 0.03
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
        return self.unheard.setdefault(name, Moods())


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
        return await self._execute(proxy.name, argv, stdin, moods, over_s)

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
        self, proxy: str, argv: Sequence[str], stdin: bytes, moods: Moods, over_s: float
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


@dataclass(slots=True, eq=False)
class _Listening:
    """What the ears keep of a host."""

    host: Host
    last_answer_at: float | None = None
    answered: bool | None = None
    report_from: float | None = None
    timer: asyncio.TimerHandle | None = None


class Ears:
    """
    :class:`pmwatchd.ports.Prober`.

    Args:
        listen: Takes changes and misses.
        heard: Is told of every answer that was delivered, by host; the invariants' truth.
    """

    def __init__(
        self,
        iron: Iron,
        net: Net,
        life: Lifeline,
        loop: VirtualLoop,
        *,
        listen: Callable[[HeartbeatsHeard], None],
        heard: Callable[[Host], None],
    ) -> None:
        self._iron = iron
        self._net = net
        self._life = life
        self._loop = loop
        self._listen = listen
        self._heard = heard
        self._hosts: dict[str, _Listening] = {}

    async def probe(self, host: Host) -> ProbeResult:
        """One fresh heartbeat."""
        result = self._ask(host)
        await self._life.sleep(0.005 if result is ProbeResult.ALIVE else host.heartbeat.timeout_s)
        if result is ProbeResult.ALIVE:
            self._heard(host)
            listening = self._hosts.get(host.name)
            if listening is not None and listening.host.fingerprint == host.fingerprint:
                listening.last_answer_at = self._loop.time()
        return result

    def report_next(self, host: str) -> None:
        """Report the next heartbeat whatever it brings."""
        if host in self._hosts:
            self._hosts[host].report_from = self._loop.time()

    def last_answer_at(self, host: str) -> float | None:
        """When a host last answered."""
        listening = self._hosts.get(host)
        return None if listening is None else listening.last_answer_at

    def watch(self, hosts: Mapping[str, Host]) -> None:
        """Ask these hosts from now on."""
        before, self._hosts = self._hosts, {}
        for name, host in hosts.items():
            known = before.pop(name, None)
            if known is not None and known.host.fingerprint == host.fingerprint:
                known.host = host
                self._hosts[name] = known
                continue
            if known is not None and known.timer is not None:
                known.timer.cancel()
            listening = self._hosts[name] = _Listening(host)
            phase_s = zlib.crc32(name.encode()) % 1000 / 1000 * host.heartbeat.interval_s
            listening.timer = self._loop.call_later(phase_s, self._beat, listening)
        for gone in before.values():
            if gone.timer is not None:
                gone.timer.cancel()

    def _beat(self, listening: _Listening) -> None:
        if not self._life.alive:
            return
        heartbeat = listening.host.heartbeat
        began_at = self._loop.time()
        listening.timer = self._loop.call_later(heartbeat.interval_s, self._beat, listening)
        result = self._ask(listening.host)
        if result is ProbeResult.ALIVE and listening.answered and listening.report_from is None:
            listening.last_answer_at = began_at
            self._heard(listening.host)
        elif result is not ProbeResult.LOCAL_FAULT:
            wait_s = 0.005 if result is ProbeResult.ALIVE else heartbeat.timeout_s
            self._loop.call_later(wait_s, self._conclude, listening, result, began_at)

    def _ask(self, host: Host) -> ProbeResult:
        moods = self._net.host(host.name)
        if "fault" in self._net.here:
            return ProbeResult.LOCAL_FAULT
        machine = self._iron.machines[host.name]
        lost = "cut" in moods or ("lossy" in moods and self._net.rng.random() < 0.5)
        lost = lost or not self._net.parts.reaches(MANAGER, host.name)
        return ProbeResult.ALIVE if machine.answers and not lost else ProbeResult.SILENT

    def _conclude(self, listening: _Listening, result: ProbeResult, began_at: float) -> None:
        name = listening.host.name
        if not self._life.alive or self._hosts.get(name) is not listening:
            return
        now = self._loop.time()
        heartbeat = listening.host.heartbeat
        asked_for = listening.report_from is not None and began_at >= listening.report_from
        if result is ProbeResult.ALIVE:
            listening.last_answer_at = now
            self._heard(listening.host)
            if asked_for or not listening.answered:
                self._listen(HeartbeatsHeard(answered=(Answered(name, now),)))
            listening.answered = True
        elif now - began_at - heartbeat.timeout_s > LATE_INTERVALS * heartbeat.interval_s:
            return  # seen too late to be silence
        else:
            self._listen(HeartbeatsHeard(silent=(Silent(name, listening.last_answer_at),)))
            listening.answered = False
        if asked_for:
            listening.report_from = None
