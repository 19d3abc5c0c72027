r"""
Is it alive?

::

                 silent                grace over
    Up --------------------> Connecting ---------> NonResponsive
     ^  \__ answered, unheard __/   |                   |
     |                              | answered          | answered
     +------------------------------+-------------------+
     ^                                       powered on |
     |   answered                                       v
     +------------------------------------------------ Booting
    Unknown --answered--> Up            boot_timeout over: Connecting

The wait is data: :func:`deadline` names when time alone changes something,
and nothing here holds a timer.  One miss is one silent heartbeat, all probes
of the host combined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import assert_never

from pmwatchd.core.events import Answered, DeadlineReached, ObserverPaused, Silent, Unheard
from pmwatchd.core.model import Host, Liveness

PAUSE_INTERVALS = 2
"""An observer that was away for more heartbeat intervals than this has not listened."""

UNNOTICED_S = 15.0
"""It may take so long, and a heartbeat of the host, until what is wrong with us is noticed."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Has not answered at its present address with its present probes; never fenced."""

    since_at: float
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Up:
    """
    The last heartbeat was answered.

    Attributes:
        base_at: Silence before it does not count: it was not known to be silent, or nobody
            listened.
    """

    since_at: float
    base_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class Connecting:
    """
    Silent, within its grace period.

    Attributes:
        base_at: The grace period counts from here: the last answer, or a pardon.
        failures: Consecutive silent heartbeats since then.
    """

    since_at: float
    base_at: float
    failures: int = 0


@dataclass(frozen=True, slots=True)
class NonResponsive:
    """Silent beyond its grace period."""

    since_at: float
    base_at: float


@dataclass(frozen=True, slots=True)
class Booting:
    """
    Boots; its silence is ignored until it answers or *until_at* passes.

    Attributes:
        ours: An operation has powered it on; else it boots by itself, after a crash dump.
    """

    since_at: float
    until_at: float
    ours: bool = True


Watch = Unknown | Up | Connecting | NonResponsive | Booting
Sign = Answered | Silent | Unheard | DeadlineReached | ObserverPaused

_LIVENESS = {
    Unknown: Liveness.UNKNOWN,
    Up: Liveness.UP,
    Connecting: Liveness.CONNECTING,
    NonResponsive: Liveness.NON_RESPONSIVE,
    Booting: Liveness.BOOTING,
}


def liveness(watch: Watch) -> Liveness:
    """Return the word for a state."""
    return _LIVENESS[type(watch)]


def step(host: Host, watch: Watch, sign: Sign, now: float) -> Watch:
    """Advance the watch over one host by one sign."""
    match sign:
        case Answered():
            # what is told now may have come before a time in which nobody listened
            return watch if isinstance(watch, Up) else Up(now, base_at=now)
        case Silent():
            return _miss(host, watch, sign, now)
        case Unheard():  # nobody can say that it is up; that it is silent neither
            return Connecting(now, base_at=now) if isinstance(watch, Up) else watch
        case ObserverPaused():
            return _pardon(host, watch, sign, now)
        case DeadlineReached():
            return _tick(host, watch, now)
        case _:
            assert_never(sign)


def power_on(host: Host, now: float, *, ours: bool = True) -> Booting:
    """Return the state of a host that an operation has just proven on, or that boots by itself."""
    return Booting(now, until_at=now + host.boot_timeout_s, ours=ours)


def redefined(host: Host, watch: Watch, now: float) -> Watch:
    """Give a host that is now allowed a longer silence the rest of it."""
    match watch:
        case NonResponsive():
            longer = Connecting(watch.since_at, watch.base_at, failures=host.grace.failures)
            return longer if now < grace_ends_at(host, longer) else watch
        case _:
            return watch


def slept(host: Host, pause: ObserverPaused) -> bool:
    """Whether heartbeats of this host were missed in a pause, and not only heard a little late."""
    return pause.for_s > PAUSE_INTERVALS * host.heartbeat.interval_s


def unheard(host: Host, watch: Watch, now: float) -> Watch:
    """Begin anew with a host that nobody listened to for a while."""
    if isinstance(watch, Booting):
        return power_on(host, now, ours=watch.ours)
    return _pardon(host, watch, ObserverPaused(math.inf), now)


def misheard(host: Host, watch: Watch, since_at: float, until_at: float, now: float) -> Watch:
    """
    Forget the silence of a time in which nobody could have been heard.

    What fell silent in it, or just before it was noticed, begins anew; an older
    silence goes on where it was.  Its last heartbeat was unanswered all the same.
    """
    unnoticed_s = UNNOTICED_S + host.heartbeat.interval_s
    match watch:
        case Connecting() | NonResponsive() if watch.base_at >= until_at:
            return watch
        case Connecting() | NonResponsive() if watch.base_at < since_at - unnoticed_s:
            older = replace(watch, base_at=watch.base_at + until_at - since_at)
            return redefined(host, older, now)
        case Booting():
            lost_s = max(0.0, until_at - max(since_at, watch.since_at))
            return replace(watch, until_at=watch.until_at + lost_s)
        case Connecting():
            return Connecting(watch.since_at, base_at=until_at, failures=min(1, watch.failures))
        case NonResponsive():
            return Connecting(now, base_at=until_at, failures=1)
        case Up():
            return replace(watch, base_at=max(watch.base_at, until_at))
        case _:
            return unheard(host, watch, now)


def deadline(host: Host, watch: Watch) -> float | None:
    """When time alone changes the state, or None."""
    match watch:
        case Booting():
            return watch.until_at
        case Connecting() if watch.failures >= host.grace.failures:
            return grace_ends_at(host, watch)
        case _:
            return None


def never_answered(host: Host, watch: Watch, now: float) -> bool:
    """Whether a host that is not known has been silent for as long as one that is may be."""
    match watch:
        case Unknown() if watch.failures >= host.grace.failures:
            return now >= watch.since_at + host.grace.period_s + host.extra_grace_s
        case _:
            return False


def grace_ends_at(host: Host, watch: Connecting) -> float:
    """When the grace period is over, should the host stay silent."""
    return watch.base_at + host.grace.period_s + host.extra_grace_s


def _miss(host: Host, watch: Watch, sign: Silent, now: float) -> Watch:
    match watch:
        case Unknown():
            return replace(watch, failures=watch.failures + 1)
        case Up():
            answered_at = watch.since_at if sign.last_answer_at is None else sign.last_answer_at
            base_at = _without_deafness(max(watch.base_at, answered_at), sign)
            return _tick(host, Connecting(now, base_at, failures=1), now)
        case Connecting():
            base_at = _without_deafness(watch.base_at, sign)
            counted = replace(watch, base_at=base_at, failures=watch.failures + 1)
            return _tick(host, counted, now)
        case Booting():
            return _tick(host, watch, now)
        case NonResponsive():  # part of it may have been no silence of its own
            younger = replace(watch, base_at=_without_deafness(watch.base_at, sign))
            return redefined(host, younger, now)
        case _:
            assert_never(watch)


def _without_deafness(base_at: float, sign: Silent) -> float:
    """Forget the time in which only local faults came, and no more: one now and then is usual."""
    if base_at >= sign.deaf_until:
        return base_at
    return base_at + sign.deaf_until - max(base_at, sign.deaf_since)


def _tick(host: Host, watch: Watch, now: float) -> Watch:
    """Grace ends only when BOTH limits are reached (count OR time: oVirt BZ2071468)."""
    match watch:
        case Connecting() if watch.failures >= host.grace.failures:
            return NonResponsive(now, watch.base_at) if now >= grace_ends_at(host, watch) else watch
        case Booting() if now >= watch.until_at:
            return Connecting(now, base_at=now)
        case _:
            return watch


def _pardon(host: Host, watch: Watch, pause: ObserverPaused, now: float) -> Watch:
    """Forget silence that was counted while nobody listened."""
    if not slept(host, pause):
        return watch
    match watch:
        case Connecting():
            return Connecting(watch.since_at, base_at=now)
        case NonResponsive():
            return Connecting(now, base_at=now)
        case Unknown():
            return Unknown(now)
        case Booting():
            return replace(watch, until_at=watch.until_at + pause.for_s)
        case Up():
            return replace(watch, base_at=now)
        case _:
            assert_never(watch)
