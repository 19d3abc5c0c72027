"""
A person's words for the whole site: pause, resume, and that a storm is none.

Each ends by itself.  A promise that a restart would forget is not given; a leave
to fence is taken back at once all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pmwatchd.core import sitewatch
from pmwatchd.core.events import (
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    ResumeRequested,
    SiteEvent,
)
from pmwatchd.core.orders import Accepted, Answer, Refused, SaveSite
from pmwatchd.core.site import Site, Suspension


def answer(site: Site, event: SiteEvent, now: float) -> Answer:
    """Do what a person asked for, or refuse."""
    if not site.journal_writable and not isinstance(event, OverrideEndRequested):
        reason = "the journal is not writable, so it would not survive a restart"
        return Answer(event.request, Refused(type="journal-unwritable", reason=reason))
    match event:
        case PauseRequested():
            site.pause = _begin(site, "pause", event, now)
        case OverrideRequested():
            site.override = _begin(site, "override", event, now)
        case ResumeRequested() if site.pause is None:
            reason = "automatic fencing is not paused"
            return Answer(event.request, Refused(type="not-paused", reason=reason))
        case ResumeRequested():
            site.pause = None
            site.tell("pause.ended", by=event.by, reason="resume")
        case OverrideEndRequested() if site.override is None:
            reason = "no storm is overridden"
            return Answer(event.request, Refused(type="not-overridden", reason=reason))
        case _:
            site.override = None
            site.tell("override.ended", by=event.by, reason="override storm --end")
    return Answer(event.request, Accepted())


def recall(site: Site, memory: SaveSite, until_at: Callable[[datetime], float], now: float) -> None:
    """Take up what a person set before this start; only the wall clock has ended it."""
    if memory.paused_until is not None:
        site.pause = _suspension(
            memory.paused_by,
            memory.paused_reason,
            memory.paused_until,
            for_s=memory.paused_for_s,
            until_at=bounded(until_at(memory.paused_until), memory.paused_for_s, now),
            now=now,
        )
    if memory.override_until is not None:
        site.override = _suspension(
            memory.override_by,
            memory.override_reason,
            memory.override_until,
            for_s=memory.override_for_s,
            until_at=bounded(until_at(memory.override_until), memory.override_for_s, now),
            now=now,
        )


def bounded(ends_at: float, for_s: float | None, now: float) -> float:
    """A wall clock that was set back makes nothing last longer than it was given for."""
    return ends_at if for_s is None else min(ends_at, now + for_s)


def _begin(
    site: Site, name: str, event: PauseRequested | OverrideRequested, now: float
) -> Suspension:
    site.tell(f"{name}.began", by=event.by, reason=event.reason, until=event.expires_at.isoformat())
    return _suspension(
        event.by,
        event.reason,
        event.expires_at,
        for_s=event.for_s,
        until_at=now + event.for_s,
        now=now,
    )


def _suspension(
    by: str,
    reason: str,
    expires_at: datetime,
    *,
    for_s: float | None,
    until_at: float,
    now: float,
) -> Suspension:
    return Suspension(
        by=by,
        reason=reason,
        until_at=until_at,
        expires_at=expires_at,
        announce_at=sitewatch.announce_at(now, until_at),
        for_s=for_s,
    )
