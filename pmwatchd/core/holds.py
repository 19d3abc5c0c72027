"""
May it be fenced?

Every hold that applies, by name, in words.  All of them are shown; any one
stops automatic fencing.  A person's command is stopped only by those in
:data:`BINDING`.  Judged again and again: nothing here remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pmwatchd.core.model import HoldName, Host

_RANK = {name: number for number, name in enumerate(HoldName)}

BINDING = frozenset({HoldName.OPERATION_RUNNING, HoldName.SELF, HoldName.JOURNAL_UNWRITABLE})
"""Even a person's command waits for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """
    Everything that is weighed for one host.

    Attributes:
        seen: It has answered since this daemon started.
        startup_ends_at: Until then an unseen host is not fenced.
        operation: Id of another operation of this host, if one runs.
        quiet_until: No new operation before, because the last one proved an off.
        retry_at: No new operation before, because the last one failed.
        miswired: Why its agents are thought to switch another machine, or "".
        parked: How often it was fenced in a short time, or 0 when it is not parked.
    """

    host: Host
    seen: bool
    startup_ends_at: float
    journal_writable: bool = True
    maintenance: str | None = None
    operation: str | None = None
    quiet_until: float | None = None
    retry_at: float | None = None
    miswired: str = ""
    parked: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One hold that applies now; *until_at* where time alone ends it."""

    name: HoldName
    reason: str
    until_at: float | None = None


def in_order(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Return verdicts in the order of the rules."""
    return tuple(sorted(verdicts, key=lambda verdict: _RANK[verdict.name]))


def judge(about: Circumstances, now: float) -> tuple[Verdict, ...]:
    """Return all holds that apply, in the order of the rules."""
    return tuple(_applying(about, now))


def _applying(about: Circumstances, now: float) -> Iterator[Verdict]:
    power = about.host.power_management
    if about.maintenance is not None:
        yield Verdict(HoldName.MAINTENANCE, about.maintenance)
    if not power.enabled:
        yield Verdict(HoldName.UNPROTECTED, "power management is switched off for this host")
    elif not power.agents:
        yield Verdict(HoldName.UNPROTECTED, "the host has no fence agent")
    if not about.seen and now < about.startup_ends_at:
        reason = "the host has not answered since the daemon started"
        yield Verdict(HoldName.STARTUP, reason, about.startup_ends_at)
    if about.operation is not None:
        yield Verdict(HoldName.OPERATION_RUNNING, f"operation {about.operation} is running")
    if about.quiet_until is not None and now < about.quiet_until:
        reason = "an operation has proven it off a short while ago"
        yield Verdict(HoldName.QUIET_TIME, reason, about.quiet_until)
    if about.retry_at is not None and now < about.retry_at:
        yield Verdict(HoldName.BACKOFF, "the last operation failed", about.retry_at)
    if about.parked:
        reason = f"it was fenced {about.parked} times in a short time: a person must look at it"
        yield Verdict(HoldName.PARKED, reason)
    if about.miswired:
        yield Verdict(HoldName.MISWIRED, about.miswired)
    if about.host.engine:
        yield Verdict(HoldName.SELF, "this daemon runs on the host")
    if not about.journal_writable:
        reason = "no intent can be made durable: the journal is not writable"
        yield Verdict(HoldName.JOURNAL_UNWRITABLE, reason)
