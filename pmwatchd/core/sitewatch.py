"""
What concerns the whole site as time passes: a pause, a storm, the observer's own health.

Looked at once a pass, and only while there is something to look at.
"""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.model import Alert
from pmwatchd.core.orders import SaveSite
from pmwatchd.core.site import Site, Suspension

LOOK_EVERY_S = 1.0
"""While a domain has silent hosts or the observer is ill, both are judged so often."""

ANNOUNCE_S = 300.0
"""The end of what a person set is announced so long before it."""


def attend(site: Site, now: float) -> tuple[float, float] | None:
    """
    Let time pass for the site.

    Returns from when to when nobody could have been heard, if that is surely over now.
    """
    site.pause = _expire(site, "pause", site.pause, now)
    site.override = _expire(site, "override", site.override, now)
    deaf = _judge_observer(site, now)
    judge_storms(site, now)
    site.due_at = _due_at(site, now)
    return deaf


def saved(site: Site) -> SaveSite:
    """Return what a restart has to know."""
    pause, override = site.pause, site.override
    return SaveSite(
        paused_until=pause.expires_at if pause else None,
        paused_for_s=pause.for_s if pause else None,
        paused_by=pause.by if pause else "",
        paused_reason=pause.reason if pause else "",
        override_until=override.expires_at if override else None,
        override_for_s=override.for_s if override else None,
        override_by=override.by if override else "",
        override_reason=override.reason if override else "",
    )


def announce_at(now: float, until_at: float) -> float:
    """When the end of something is announced: in good time, but not at its beginning."""
    return max(until_at - ANNOUNCE_S, now + (until_at - now) / 2)


def _expire(site: Site, name: str, word: Suspension | None, now: float) -> Suspension | None:
    if word is None:
        return None
    if now >= word.until_at:
        site.tell(f"{name}.ended", by="pmwatchd", reason="its time is over")
        return None
    if now >= word.announce_at and not word.announced:
        site.tell(f"{name}.end_announced", until=word.expires_at.isoformat())
        return replace(word, announced=True)
    return word


def _judge_observer(site: Site, now: float) -> tuple[float, float] | None:
    """Judge our own health and tell it; return the time in which nobody could be heard."""
    observer = site.observer
    observer.hear(now, hosts_up=site.hears(now))
    was_ill = observer.ill
    deaf = observer.judge(now, _alone(site, now), started_at=site.started_at)
    if observer.ill:
        if not was_ill:
            site.tell("observer.ill", reason=observer.ill)
        site.raise_alert(Alert.OBSERVER_ILL, observer.ill, now)
    elif was_ill:
        site.tell("observer.well", took_s=round(now - observer.ill_since_at, 3))
        site.clear_alert(Alert.OBSERVER_ILL)
    return deaf


def _alone(site: Site, now: float) -> str:
    """Return why nothing at all answers, for two intervals of some host that is missed, or ""."""
    observer = site.observer
    if observer.heard_at == now or not site.missed:
        return ""
    within_s = min(2 * site.hosts[name].heartbeat.interval_s for name in site.missed)
    if now - max(observer.heard_at, site.started_at) <= within_s:
        return ""
    return observer.isolated(now, observer.heard_at, others_up=False)


def judge_storms(site: Site, now: float) -> None:
    """Count who is silent, and raise or clear what that means."""
    site.storms = site.census.storms(site.rules.safety.storm, now)
    if site.storms and site.override is None:
        reason = "; ".join(storm.reason for storm in site.storms.values())
        site.raise_alert(Alert.STORM, reason, now)
    else:
        site.clear_alert(Alert.STORM)


def _due_at(site: Site, now: float) -> float | None:
    instants = [
        at
        for word in (site.pause, site.override)
        if word is not None
        for at in (word.until_at, *([] if word.announced else [word.announce_at]))
    ]
    if site.rounds.due_at is not None:
        instants.append(site.rounds.due_at)
    unheard = site.missed and site.observer.heard_at < now
    if site.observer.ill or unheard or site.storms or site.census.troubled:
        instants.append(now + LOOK_EVERY_S)
    return min(instants, default=None)
