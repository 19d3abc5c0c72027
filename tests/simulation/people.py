"""Persons who command at random, and what they were promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, TypeGuard

from pmwatchd.core.events import (
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import Action, HoldName, Outcome
from pmwatchd.core.orders import Accepted, PowerRead, Refused
from pmwatchd.core.views import HostView
from tests.simulation.outputs import HUSH

if TYPE_CHECKING:
    from tests.simulation.site import Site

Answer = Accepted | Refused | PowerRead
KEPT_OFF = Action.OFF, Outcome.DONE
"""An operation that ended so leaves its host in maintenance, by the word of a person."""


@dataclass(slots=True)
class _Promise:
    """
    Until then a host is left alone; the end of a timed one is also known by the wall clock.

    Attributes:
        before: What it took the place of while the journal took nothing: a restart may forget it.
    """

    until_at: float
    expires_at: datetime | None = None
    before: _Promise | None = None

    def may_become(self, until_at: float, expires_at: datetime | None) -> None:
        """Another is asked for in its place, and until that is answered either may hold."""
        self.until_at = min(self.until_at, until_at)
        if expires_at is not None:
            self.expires_at = min(self.expires_at or expires_at, expires_at)


class People:
    """
    What persons wanted and said, by host.

    Attributes:
        wants_off: Their word was *off*, *cancel* or *confirm-off*: such a host may stay off.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._kept: dict[str, _Promise] = {}
        self._offs: dict[str, str] = {}
        self._vouched_at: dict[str, float] = {}
        self._words: Counter[str] = Counter()
        self._numbers = count()
        self._ended: dict[str, int] = {}
        self._pause: _Promise | None = None
        self._resumed = -1
        self.wants_off: set[str] = set()

    def maintains(self, host: str) -> bool:
        """Whether a person was promised that this host is left alone, and has not ended it."""
        track = self.site.witness.tracks.get(self._offs.get(host, ""))
        kept_off = track is not None and (track.action, track.outcome) == KEPT_OFF
        promise = self._kept.get(host)
        return kept_off or (promise is not None and self.site.world.now < promise.until_at)

    def paused(self) -> bool:
        """Whether a person was promised that nobody is fenced, and has not ended it."""
        return self._pause is not None and self.site.world.now < self._pause.until_at

    def pause_promised(self, asked: int, until_at: float, expires_at: datetime) -> None:
        """A pause was answered; unless its end was asked for before that, it holds."""
        if asked > self._resumed:
            self._pause = _Promise(until_at, expires_at)

    def pause_asked(self, until_at: float, expires_at: datetime) -> None:
        """A pause takes the place of one that was promised before."""
        if self._pause is not None:
            self._pause.may_become(until_at, expires_at)

    def pause_ended(self) -> None:
        """Nothing is promised any more."""
        self._pause, self._resumed = None, self.number()

    def number(self) -> int:
        """Number one more question."""
        return next(self._numbers)

    def budget_is_spent(self, view: HostView) -> bool:
        """Whether a host waits for the hour to pass, and so many were truly fenced in it."""
        spent = self.site.witness.held.hourly_spent()
        return spent and HoldName.BUDGET in {hold.name for hold in view.holds}

    def bring_back(self, host: str) -> None:
        """Restart what may stay silent for long by the rules."""
        self.power(host, Action.RESTART)

    def may_keep(self, host: str) -> bool:
        """Whether any word that takes a host out of automatic fencing was not refused."""
        return self._words[host] > 0

    def vouched_at(self, host: str) -> float:
        """When somebody last said that a host is off."""
        return self._vouched_at.get(host, -1e9)

    def restarted(self) -> None:
        """A daemon starts: what it keeps of a timed maintenance is its end on the wall clock."""
        now, wall = self.site.world.now, self.site.calendar.wall()
        promises = [*self._kept.values(), *([self._pause] if self._pause else [])]
        for promise in promises:
            if promise.before is not None:
                promise.may_become(promise.before.until_at, promise.before.expires_at)
            if promise.expires_at is not None:
                left_s = (promise.expires_at - wall).total_seconds()
                promise.until_at = min(promise.until_at, now + left_s)

    def power(self, host: str, action: Action) -> None:
        """Ask for a power action."""
        if action is not Action.OFF:
            self._released(host)

        def answered(answer: Answer) -> None:
            if not isinstance(answer, Accepted):
                return
            if action is not Action.OFF:
                self.wants_off.discard(host)
                return
            self.wants_off.add(host)
            self._offs[host] = answer.operation or ""

        self.ask(
            f"power {action} {host}",
            lambda number: PowerRequested(request=number, host=host, action=action, by="ann"),
            answered,
            keeps=host if action is Action.OFF else None,
        )

    def cancel(self, host: str) -> None:
        """Ask to end a backoff or the pursuit of *on*."""

        def answered(answer: Answer) -> None:
            if _holds(answer):
                if answer.operation is not None:
                    self.wants_off.add(host)
                self.site.witness.life.failed_at.pop(host, None)

        self.ask(
            f"power cancel {host}",
            lambda number: CancelRequested(request=number, host=host, by="bob"),
            answered,
            keeps=host,
        )

    def maintain(self, host: str, for_s: float | None) -> None:
        """Ask for maintenance."""
        now, wall = self.site.world.now, self.site.calendar.wall()
        asked = self.number()
        self._words[host] += 1  # one that cannot be journalled is refused, and holds for now
        expires_at = None if for_s is None else wall + timedelta(seconds=for_s)
        if host in self._kept:
            self._kept[host].may_become(now + (for_s or 1e9), expires_at)

        def answered(answer: Answer) -> None:
            holds_now = isinstance(answer, Refused) and _holds(answer)  # it replaces a promise
            if self._ended.get(host, -1) > asked:
                return  # its end was asked for before this was answered
            before = self._kept.get(host) if holds_now else None
            if isinstance(answer, Accepted) or before is not None:
                self._kept[host] = _Promise(now + (for_s or 1e9), expires_at, before)

        self.ask(
            f"maintenance {host} for {for_s}",
            lambda number: MaintenanceRequested(
                request=number,
                host=host,
                by="cid",
                reason="work",
                for_s=for_s,
                expires_at=expires_at,
            ),
            answered,
        )

    def release(self, host: str) -> None:
        """Ask to end a maintenance."""
        self._released(host)
        self._ended[host] = self.number()
        self.ask(
            f"maintenance end {host}",
            lambda number: MaintenanceEndRequested(request=number, host=host, by="cid"),
            lambda _answer: None,
        )

    def vouch(self, host: str) -> None:
        """Say that a host is off, whether it is true or not."""
        self._vouched_at[host] = self.site.world.now

        def answered(answer: Answer) -> None:
            if _holds(answer):
                track = self.site.witness.tracks.get(answer.operation or "")
                if track is not None and track.action is Action.OFF:
                    self.wants_off.add(host)
                    self._offs[host] = track.id

        self.ask(
            f"confirm-off {host}",
            lambda number: VouchRequested(
                request=number, host=host, by="eve", reason="I pulled the plug"
            ),
            answered,
            keeps=host,
        )

    def status(self, host: str) -> None:
        """Ask what the switches read."""
        self.ask(
            f"power status {host}",
            lambda number: StatusRequested(request=number, host=host, by="dan"),
            lambda _answer: None,
        )

    def _released(self, host: str) -> None:
        """From the moment of asking on, nothing is promised any more."""
        self._kept.pop(host, None)
        self._offs.pop(host, None)

    def ask(
        self,
        words: str,
        make: Callable[[int], PersonEvent],
        answered: Callable[[Answer], None] = lambda _answer: None,
        *,
        keeps: str | None = None,
    ) -> None:
        """Ask; *keeps* names the host that this takes out of automatic fencing if accepted."""
        site = self.site
        site.story.note("person", "{}", words)
        if site.daemon is None:
            return
        if keeps is not None:
            self._words[keeps] += 1

        def heard(answer: Answer) -> None:
            site.story.note("person", "{}: {}", words, answer)
            if HUSH in str(answer):
                site.witness.broke("secrets", f"the answer to {words} shows one: {answer}")
            if keeps is not None and not _holds(answer):
                self._words[keeps] -= 1
            answered(answer)

        site.daemon.ask(make, heard)


def _holds(answer: Answer) -> TypeGuard[Accepted | Refused]:
    """Whether a word holds: accepted, or "it holds now, and a restart would forget it"."""
    refused = isinstance(answer, Refused) and "it holds now" in answer.reason
    return refused or isinstance(answer, Accepted)


def command(site: Site, rng: Random) -> None:
    """Let a person do something."""
    host = rng.choice(sorted(site.layout.hosts))
    people = site.people
    match rng.randrange(8):
        case 0:
            people.power(host, Action.OFF)
        case 1:
            people.power(host, Action.ON)
        case 2:
            people.power(host, Action.RESTART)
        case 3:
            people.cancel(host)
        case 4:
            people.maintain(host, rng.choice([None, 60.0, 200.0]))
        case 5:
            people.release(host)
        case _:
            people.status(host)


def vouch(site: Site, rng: Random) -> None:
    """Let a person say that a host is off: mostly one that is, sometimes one that only hangs."""
    hosts = sorted(site.layout.hosts)
    machines = site.iron.machines
    dark = [name for name in hosts if not machines[name].powered]
    silent = [name for name in hosts if not machines[name].answers]
    truthful = rng.random() < 0.6
    site.people.vouch(rng.choice((dark if truthful else silent) or hosts))
