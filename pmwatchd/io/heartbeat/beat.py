"""One heartbeat of one host, from its first probe to its result."""

from __future__ import annotations

import asyncio
import math
import zlib
from dataclasses import dataclass, field
from typing import Protocol

from pmwatchd.core.events import Answered, CanaryHeard, Silent, Unheard
from pmwatchd.core.model import Host, ProbeResult
from pmwatchd.core.signs import combine, wants_words
from pmwatchd.io.heartbeat.sign import Sign

LATE_INTERVALS = 2
"""A time-out seen later than this many intervals is our lateness and no silence."""


class Attempt(Protocol):
    """A probe that is under way."""

    def end(self) -> Sign:
        """Stop asking, and say what it means that no answer has come."""
        ...


@dataclass(slots=True, eq=False)
class Watched:
    """
    What is kept of a host between its heartbeats.

    Attributes:
        due_at: When its next heartbeat is planned.
        last_answer_at: Its last answer, or None.
        answered: How its last heartbeat ended; None before the first. Local faults leave it.
        weak: Its last answer was of weak signs only, where it has a probe that gives strong
            ones; None while that is not known.
        told_at: The end of its last heartbeat that no local fault spoilt.
        deaf_since: The same, as of the first heartbeat that one has spoilt since.
        deaf_until: The end of the last heartbeat that one has spoilt since.
        faulty_since: The end of the first of these, while nothing else comes.
        unheard: That nothing else comes for so long was told.
        report_from: Report an answer to a heartbeat begun from then on, even if nothing changed.
        beat: The planned heartbeat under way, if any.
        queued: Its heartbeat is due and waits for its turn.
        forgotten: It is not watched any more, or differently.
    """

    host: Host
    due_at: float
    last_answer_at: float | None = None
    answered: bool | None = None
    weak: bool | None = False
    told_at: float = -math.inf
    deaf_since: float = -math.inf
    deaf_until: float = -math.inf
    faulty_since: float | None = None
    unheard: bool = False
    report_from: float | None = None
    beat: Beat | None = None
    queued: bool = False
    forgotten: bool = False

    def conclude(
        self, beat: Beat, result: ProbeResult, now: float
    ) -> Answered | Silent | Unheard | CanaryHeard | None:
        """Take the end of a planned heartbeat; what is to be told of it: a miss or a change."""
        if result is ProbeResult.LOCAL_FAULT:
            self.deaf_since, self.deaf_until = self.told_at, now
            return self._spoilt(beat, now)
        deaf = self.deaf_since, self.deaf_until
        self.told_at, self.deaf_since, self.deaf_until = now, -math.inf, -math.inf
        self.faulty_since, self.unheard = None, False
        asked_for = self.report_from is not None and beat.began_at >= self.report_from
        if asked_for:
            self.report_from = None
        if result is ProbeResult.SILENT:
            self.answered, self.weak = False, None
            return Silent(self.host.name, self.last_answer_at, *deaf)
        weak = self.weak if beat.weak is None else beat.weak
        changed = not self.answered or weak is not self.weak
        self.answered, self.weak = True, weak
        self.last_answer_at = max(self.last_answer_at or -math.inf, beat.alive_at)
        return Answered(self.host.name, beat.alive_at, weak) if asked_for or changed else None

    def _spoilt(self, beat: Beat, now: float) -> Unheard | None:
        """Say, once, that nothing but local faults comes for longer than the grace."""
        if self.faulty_since is None:
            self.faulty_since = now
        grace_s = self.host.grace.period_s + self.host.extra_grace_s
        if self.unheard or now - self.faulty_since <= grace_s:
            return None
        self.unheard = True
        self.answered = False  # an answer is a change again
        return Unheard(self.host.name, beat.fault or "unknown")


@dataclass(slots=True, eq=False)
class Beat:
    """
    A heartbeat under way.

    Attributes:
        watched: Whom it is reported for; None for a fresh one that was asked for.
        waiter: Who asked for a fresh one.
        open: Probes under way.
        fault: The first local fault that a probe met.
        strong: A probe brought words.
        weak: Only weak signs came where strong ones are asked for; None where a local
            fault may have kept a strong one from us.
        answers: Weak signs are enough to call it answered; a strong one is still awaited.
        alive_at: When the last sign of life came; a heartbeat may end much later.
        stepped_at: When a probe last said something and began to wait for what comes of it.
    """

    host: Host
    began_at: float
    watched: Watched | None = None
    waiter: asyncio.Future[ProbeResult] | None = None
    open: list[Attempt] = field(default_factory=list)
    results: list[ProbeResult] = field(default_factory=list)
    fault: str = ""
    strong: bool = False
    weak: bool | None = False
    answers: bool = False
    over: bool = False
    alive_at: float = -math.inf
    stepped_at: float = -math.inf

    @property
    def owed_until(self) -> float:
        """
        When whoever we last said something to has had half a time-out to answer it.

        A late loop may have said it long after the host was ready to hear it.
        """
        return self.stepped_at + self.host.heartbeat.timeout_s / 2

    @property
    def deadline_at(self) -> float:
        """When a missing answer becomes silence."""
        return self.began_at + self.host.heartbeat.timeout_s

    def heard(self, sign: Sign, now: float) -> ProbeResult | None:
        """Take the end of one probe; the result of the heartbeat once it is certain."""
        heartbeat = self.host.heartbeat
        if sign.result is ProbeResult.ALIVE:
            self.alive_at = now
        self.results.append(sign.result)
        self.fault = self.fault or sign.fault
        self.strong = self.strong or (sign.result is ProbeResult.ALIVE and not sign.weak)
        pending = len(heartbeat.probes) - len(self.results)
        result = combine(self.results, pending=pending, require_all=heartbeat.require_all)
        if result is not ProbeResult.ALIVE or self.strong or not wants_words(heartbeat):
            self.weak = False
            return result
        if pending:
            self.answers = not heartbeat.weak_is_silent
            return None
        self.weak = None if ProbeResult.LOCAL_FAULT in self.results else True
        if not heartbeat.weak_is_silent:
            return result
        return ProbeResult.SILENT if self.weak else ProbeResult.LOCAL_FAULT

    def is_late(self, now: float) -> bool:
        """Whether we come to look at its time-out so late that we cannot have listened."""
        return now - self.deadline_at > LATE_INTERVALS * self.host.heartbeat.interval_s

    def close(self) -> None:
        """End it; probes still under way are given up."""
        self.over = True
        for attempt in self.open:
            attempt.end()
        self.open.clear()


def first_due(host: Host, now: float) -> float:
    """The next instant of the host's own phase, which is derived from its name alone."""
    interval_s = host.heartbeat.interval_s
    phase_s = zlib.crc32(host.name.encode()) / 2**32 * interval_s
    return phase_s + math.ceil((now - phase_s) / interval_s) * interval_s
