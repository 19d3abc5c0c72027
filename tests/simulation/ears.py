"""
A prober on the truth of the network: :class:`Ears` belongs to one daemon's life.

How the signs of several probes make one heartbeat, and what is told of it, is
the product's own :class:`~pmwatchd.io.heartbeat.beat.Beat`; only what each
probe brings is imitated.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pmwatchd.core.events import Answered, CanaryHeard, HeartbeatsHeard, Silent, Unheard
from pmwatchd.core.model import Host, ProbeResult, ProbeType
from pmwatchd.io.heartbeat.beat import Beat, Watched
from pmwatchd.io.heartbeat.sign import ALIVE, SILENT, WEAK, Sign
from tests.simulation.hardware import Machine
from tests.simulation.iron import Iron
from tests.simulation.lifeline import Lifeline
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Net
from tests.simulation.partitions import MANAGER

ANSWER_S = 0.005
"""So long an answer takes."""

Heard = tuple[Beat, ProbeResult]


@dataclass(slots=True, eq=False)
class _Listening:
    """What the ears keep of a host."""

    watched: Watched
    timer: asyncio.TimerHandle


class Ears:
    """
    :class:`pmwatchd.ports.Prober`.

    Args:
        listen: Takes changes and misses.
        heard: Is told of every answer that was delivered; the invariants' truth.
    """

    def __init__(
        self,
        iron: Iron,
        net: Net,
        life: Lifeline,
        loop: VirtualLoop,
        *,
        listen: Callable[[HeartbeatsHeard], None],
        heard: Callable[[Host, Beat], None],
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
        beat, result = self._ask(host)
        await self._life.sleep(self._takes_s(beat, result))
        if result is ProbeResult.ALIVE:
            beat.weak = None  # how strong a fresh one was, nobody is told
            self._heard(host, beat)
            listening = self._hosts.get(host.name)
            if listening is not None and listening.watched.host.fingerprint == host.fingerprint:
                listening.watched.last_answer_at = self._loop.time()
        return result

    def report_next(self, host: str) -> None:
        """Report the next heartbeat whatever it brings."""
        if host in self._hosts:
            self._hosts[host].watched.report_from = self._loop.time()

    def last_answer_at(self, host: str) -> float | None:
        """When a host last answered."""
        listening = self._hosts.get(host)
        return None if listening is None else listening.watched.last_answer_at

    def watch(self, hosts: Mapping[str, Host]) -> None:
        """Ask these hosts from now on."""
        before, self._hosts = self._hosts, {}
        for name, host in hosts.items():
            known = before.pop(name, None)
            if known is not None and known.watched.host.fingerprint == host.fingerprint:
                known.watched.host = host
                self._hosts[name] = known
                continue
            if known is not None:
                known.timer.cancel()
            phase_s = zlib.crc32(name.encode()) % 1000 / 1000 * host.heartbeat.interval_s
            watched = Watched(host, self._loop.time() + phase_s)
            timer = self._loop.call_later(phase_s, self._beat, name, watched)
            self._hosts[name] = _Listening(watched, timer)
        for gone in before.values():
            gone.timer.cancel()

    def _beat(self, name: str, watched: Watched) -> None:
        if not self._life.alive:
            return
        began_at = self._loop.time()
        interval_s = watched.host.heartbeat.interval_s
        self._hosts[name].timer = self._loop.call_later(interval_s, self._beat, name, watched)
        beat, result = self._ask(watched.host)
        known = watched.answered and watched.report_from is None
        if result is ProbeResult.ALIVE:
            watched.last_answer_at = began_at  # even where a strong sign is still awaited
        if result is ProbeResult.LOCAL_FAULT:
            self._tell(watched.conclude(beat, result, began_at))
        elif result is ProbeResult.ALIVE and known and beat.weak is watched.weak:
            self._heard(watched.host, beat)
        else:
            takes_s = self._takes_s(beat, result)
            self._loop.call_later(takes_s, self._conclude, watched, beat, result)

    def _ask(self, host: Host) -> Heard:
        beat = Beat(host, began_at=self._loop.time())
        if "fault" in self._net.here:
            return beat, ProbeResult.LOCAL_FAULT
        moods = self._net.host(host.name)
        lost = "cut" in moods or ("lossy" in moods and self._net.rng.random() < 0.5)
        lost = lost or not self._net.parts.reaches(MANAGER, host.name)
        machine = None if lost else self._iron.machines[host.name]
        return beat, hear(beat, signs_of(machine, host))

    def _takes_s(self, beat: Beat, result: ProbeResult) -> float:
        """Who gives no strong sign is listened to up to the time-out."""
        strong = result is ProbeResult.ALIVE and not beat.weak
        return ANSWER_S if strong else beat.host.heartbeat.timeout_s

    def _conclude(self, watched: Watched, beat: Beat, result: ProbeResult) -> None:
        name = watched.host.name
        listening = self._hosts.get(name)
        if not self._life.alive or listening is None or listening.watched is not watched:
            return
        now = self._loop.time()
        if beat.is_late(now) and result is ProbeResult.SILENT:
            result = ProbeResult.LOCAL_FAULT  # seen too late to be silence
        if result is ProbeResult.ALIVE:
            self._heard(watched.host, beat)
        self._tell(watched.conclude(beat, result, now))

    def _tell(self, event: Answered | Silent | Unheard | CanaryHeard | None) -> None:
        match event:
            case Answered() as answered:
                self._listen(HeartbeatsHeard(answered=(answered,)))
            case Silent() as silent:
                self._listen(HeartbeatsHeard(silent=(silent,)))
            case Unheard() as unheard:
                self._listen(HeartbeatsHeard(unheard=(unheard,)))
            case _:
                pass


def signs_of(machine: Machine | None, host: Host) -> list[Sign]:
    """
    Return what each probe of a host brings, those first that end first.

    Args:
        machine: None where nothing of it gets through.
    """
    probes = host.heartbeat.probes
    wordy = sum(probe.type in (ProbeType.SSH, ProbeType.HTTP) for probe in probes)
    if machine is None or not (machine.answers or machine.half):
        return [SILENT] * len(probes)
    words = ALIVE if machine.answers else SILENT
    return [*[WEAK] * (len(probes) - wordy), *[words] * wordy]


def hear(beat: Beat, signs: Sequence[Sign]) -> ProbeResult:
    """Take in signs until the result of a heartbeat is certain."""
    for sign in signs:
        result = beat.heard(sign, beat.began_at)
        if result is not None:
            return result
    raise RuntimeError("a heartbeat without an end")
