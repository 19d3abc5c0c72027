"""
One scheduler for the heartbeats of all hosts.

It turns in passes: hear what has come, end what is overdue, begin what is
due, report, sleep until the next of these.  There is no task and no timer
for a host.  Everything is heard before anything is called overdue, so an
answer that lay waiting while we were busy is an answer.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pmwatchd import ports
from pmwatchd.core.events import CanaryHeard, HeartbeatsHeard
from pmwatchd.core.model import Host, Probe, ProbeResult, ProbeType
from pmwatchd.core.orders import Record
from pmwatchd.io.heartbeat.asking import Asking
from pmwatchd.io.heartbeat.beat import Beat, Watched, first_due
from pmwatchd.io.heartbeat.canary import Canary, as_host
from pmwatchd.io.heartbeat.faults import FaultLog
from pmwatchd.io.heartbeat.report import Report
from pmwatchd.io.heartbeat.sign import Sign, local_fault
from pmwatchd.io.heartbeat.tcp import descriptors_max
from pmwatchd.io.heartbeat.wheel import SLOT_S, Wheel

BEGIN_AT_ONCE_MAX = 400
"""Heartbeats begun in one slot; after a pause all hosts are due, and replies must not pile up."""
SLEEP_MAX_S = 1.0
"""The timers of the loop stand still while a machine sleeps, *clock* may not."""


class Scheduler:
    """
    Listens to hosts; implements :class:`pmwatchd.ports.Prober`.

    Args:
        listen: Takes changes and misses, and what becomes of canaries; must not wait.
            What it raises ends :meth:`run`.
        meter: Counts heartbeats, and how late they begin.
        clock: Seconds, monotonic.
        tell: Tells a local fault, rarely; without it the fault is only logged.
    """

    def __init__(
        self,
        *,
        listen: Callable[[HeartbeatsHeard | CanaryHeard], None],
        meter: ports.Meter,
        clock: Callable[[], float],
        tell: Callable[[Record], None] | None = None,
    ) -> None:
        self._listen = listen
        self._meter = meter
        self._clock = clock
        self._asking = Asking(self._rouse)
        self._report = Report(listen)
        self._faults = FaultLog(tell)
        self._sockets_max = descriptors_max()
        self._watched: dict[str, Watched] = {}
        self._canaries: dict[str, Canary] = {}
        self._rounds: Wheel[Watched] = Wheel()
        self._overdue: Wheel[Beat] = Wheel()
        self._queue: deque[tuple[float, Watched]] = deque()
        self._queue_next_at = -math.inf
        self._fresh: deque[Beat] = deque()
        self._beats: set[Beat] = set()
        self._roused: asyncio.Future[None] | None = None
        self._closed = False

    async def run(self) -> None:
        """Ask and listen until cancelled; a bug in a probe or in *listen* is raised from here."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._asking.fileno(), self._rouse)
        try:
            while True:
                await self._sleep(self._turn(self._clock()))
        finally:
            loop.remove_reader(self._asking.fileno())
            self.close()

    def watch(self, hosts: Mapping[str, Host]) -> None:
        """
        Ask these hosts from now on, and no others.

        A host that keeps its address and probes keeps its last answer, and
        if its heartbeat is the same as well, its phase and what is under way.

        Raises:
            CapabilityError: A host has an ``icmp`` probe and CAP_NET_RAW is
                missing; nothing was changed.
        """
        if any(_has_icmp(host) for host in hosts.values()):
            self._asking.permit_icmp()
        before, self._watched = self._watched, {}
        now = self._clock()
        for name, host in hosts.items():
            self._watched[name] = self._keep_or_begin(host, before.pop(name, None), now)
        for watched in before.values():
            self._forget(watched)
        self._report.forget(
            {watched.host.name for watched in before.values()}
            | {name for name, watched in self._watched.items() if watched.answered is None}
        )
        self._keep_addresses()
        self._rouse()

    def watch_canaries(
        self, probes: Sequence[Probe], *, interval_s: float, timeout_s: float
    ) -> None:
        """
        Ask these canaries from now on, and no others; those known already are not told again.

        Raises:
            CapabilityError: One is ``icmp`` and CAP_NET_RAW is missing; nothing was changed.
        """
        hosts = {
            probe.words: as_host(probe, interval_s=interval_s, timeout_s=timeout_s)
            for probe in probes
        }
        if any(_has_icmp(host) for host in hosts.values()):
            self._asking.permit_icmp()
        before, self._canaries = self._canaries, {}
        for name, host in hosts.items():
            known = before.get(name)
            if known is not None and known.host == host:
                self._canaries[name] = before.pop(name)
                continue
            canary = self._canaries[name] = Canary(host, first_due(host, self._clock()))
            if known is not None:
                canary.well, canary.misses = known.well, known.misses
            self._rounds.put(canary.due_at, canary)
        for canary in before.values():
            self._forget(canary)
        self._keep_addresses()
        self._rouse()

    def report_next(self, host: str) -> None:
        """Report the next heartbeat of *host* that begins from now on, even without a change."""
        watched = self._watched.get(host)
        if watched is not None:
            watched.report_from = self._clock()

    def last_answer_at(self, host: str) -> float | None:
        """When *host* last answered, on *clock*; None before its first answer."""
        watched = self._watched.get(host)
        return None if watched is None else watched.last_answer_at

    async def probe(self, host: Host) -> ProbeResult:
        """
        Ask *host* now, watched or not; takes up to its time-out, and needs :meth:`run` running.

        Raises:
            CapabilityError: It has an ``icmp`` probe and CAP_NET_RAW is missing.
        """
        if self._closed:
            raise RuntimeError("the heartbeats have ended")
        if _has_icmp(host):
            self._asking.permit_icmp()
        waiter = asyncio.get_running_loop().create_future()
        beat = Beat(host, began_at=self._clock(), waiter=waiter)
        self._fresh.append(beat)
        self._rouse()
        try:
            result: ProbeResult = await waiter
            return result
        finally:
            self._drop(beat)

    def close(self) -> None:
        """Close every socket; who waits for a fresh heartbeat is cancelled."""
        if self._closed:
            return
        self._closed = True
        for beat in [*self._beats, *self._fresh]:
            if beat.waiter is not None:
                beat.waiter.cancel()
            self._drop(beat)
        self._asking.close()

    # -- one turn ------------------------------------------------------------------------------

    def _turn(self, now: float) -> float:
        """Do everything that there is to do; the time by which to come back."""
        for beat, sign in self._asking.hear(now):
            self._heard(beat, sign, now)
        for _, beats in self._overdue.take(now):
            for beat in beats:
                self._end_overdue(beat, now)
        while self._fresh:
            fresh = self._fresh.popleft()
            if not fresh.over:  # who asked has gone away
                self._begin(fresh, now)
        for planned_at, due in self._rounds.take(now):
            for watched in due:
                self._line_up(watched, planned_at, now)
        self._begin_queued(now)
        self._report.tell(now)
        again_at = now + SLOT_S if self._queue else math.inf
        return min(self._rounds.next_at, self._overdue.next_at, self._report.due_at, again_at)

    async def _sleep(self, until_at: float) -> None:
        loop = asyncio.get_running_loop()
        self._roused = loop.create_future()
        wait_s = min(max(0.0, until_at - self._clock()), SLEEP_MAX_S)
        timer = loop.call_later(wait_s, self._rouse)
        try:
            await self._roused
        finally:
            timer.cancel()

    def _rouse(self) -> None:
        if self._roused is not None and not self._roused.done():
            self._roused.set_result(None)

    # -- beginning -----------------------------------------------------------------------------

    def _keep_or_begin(self, host: Host, known: Watched | None, now: float) -> Watched:
        if known is not None and known.host.fingerprint == host.fingerprint:
            if known.host.heartbeat == host.heartbeat:
                known.host = host
                return known
            due_at = first_due(host, now)
            watched = replace(known, host=host, due_at=due_at, beat=None, queued=False)
        else:
            watched = Watched(host, first_due(host, now))
        if known is not None:
            self._forget(known)
        self._rounds.put(watched.due_at, watched)
        return watched

    def _line_up(self, watched: Watched, planned_at: float, now: float) -> None:
        """Plan its next heartbeat; this one is left out while the one before goes on."""
        if watched.forgotten:
            return
        interval_s = watched.host.heartbeat.interval_s
        missed = max(0, math.floor((now - watched.due_at) / interval_s))
        watched.due_at += (missed + 1) * interval_s
        self._rounds.put(watched.due_at, watched)
        if watched.beat is None and not watched.queued:
            watched.queued = True
            self._queue.append((planned_at, watched))

    def _begin_queued(self, now: float) -> None:
        """Begin what is due, so many that neither descriptors nor receive buffers run out."""
        if now < self._queue_next_at:
            return
        begun = 0
        round_at = None
        while self._queue and begun < BEGIN_AT_ONCE_MAX:
            if self._asking.sockets >= self._sockets_max:
                break
            planned_at, watched = self._queue.popleft()
            watched.queued = False
            if watched.forgotten:
                continue
            if planned_at != round_at:
                round_at = planned_at
                self._meter.start_delay(now - planned_at)
            begun += 1
            watched.beat = Beat(watched.host, began_at=now, watched=watched)
            self._begin(watched.beat, now)
        self._queue_next_at = now + SLOT_S if begun == BEGIN_AT_ONCE_MAX else -math.inf

    def _begin(self, beat: Beat, now: float) -> None:
        self._beats.add(beat)
        beat.began_at = now
        self._overdue.put(beat.deadline_at, beat)
        if not beat.host.heartbeat.probes:
            self._end(beat, ProbeResult.LOCAL_FAULT, now)
        for probe in beat.host.heartbeat.probes:
            self._ask(beat, probe, now)

    def _ask(self, beat: Beat, probe: Probe, now: float) -> None:
        if beat.over:  # an earlier probe has decided it at once
            return
        sign = self._asking.ask(beat, probe, now)
        if sign is not None:
            self._heard(beat, sign, now)

    # -- ending --------------------------------------------------------------------------------

    def _heard(self, beat: Beat, sign: Sign, now: float) -> None:
        if beat.over:
            return
        result = beat.heard(sign, now)
        if result is not None:
            self._end(beat, result, now)
        elif beat.answers:
            self._remember(beat.host, now)

    def _end_overdue(self, beat: Beat, now: float) -> None:
        if beat.owed_until > now and not beat.over:
            self._overdue.put(beat.owed_until, beat)
            return
        late = beat.is_late(now)
        while beat.open and not beat.over:
            sign = beat.open.pop().end()
            self._heard(beat, local_fault("late_loop") if late else sign, now)

    def _end(self, beat: Beat, result: ProbeResult, now: float) -> None:
        self._drop(beat)
        of_canary = isinstance(beat.watched, Canary)
        if not of_canary:
            self._meter.heartbeat(result, now - beat.began_at)
        if result is ProbeResult.LOCAL_FAULT:
            self._faults.note(beat.fault, None if of_canary else beat.host.name, now)
        if beat.watched is not None:
            event = beat.watched.conclude(beat, result, now)
            if isinstance(event, CanaryHeard):
                self._listen(event)
            elif event is not None:
                self._report.add(event, now)
        elif beat.waiter is not None and not beat.waiter.done():
            if result is ProbeResult.ALIVE:
                self._remember(beat.host, now)
            beat.waiter.set_result(result)

    def _remember(self, host: Host, now: float) -> None:
        """Keep an answer before, or without, the end of a planned heartbeat."""
        watched = self._watched.get(host.name)
        if watched is not None and watched.host.fingerprint == host.fingerprint:
            watched.last_answer_at = now
            watched.faulty_since, watched.unheard = None, False

    def _keep_addresses(self) -> None:
        asked = (*self._watched.values(), *self._canaries.values())
        self._asking.keep({probe.address for one in asked for probe in one.host.heartbeat.probes})

    def _forget(self, watched: Watched) -> None:
        watched.forgotten = True
        if watched.beat is not None:
            self._drop(watched.beat)

    def _drop(self, beat: Beat) -> None:
        """End *beat* without a result."""
        beat.close()
        self._beats.discard(beat)
        if beat.watched is not None:
            beat.watched.beat = None


def _has_icmp(host: Host) -> bool:
    return any(probe.type is ProbeType.ICMP for probe in host.heartbeat.probes)
