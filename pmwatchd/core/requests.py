"""
A person's commands: the same operation, journal and proof as automatic ones.

Each is answered by one ``Answer`` in the pass that took it in, except the
reading of a power status, which is answered when every agent has replied.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pmwatchd.core import tell, treatment, verdict
from pmwatchd.core.events import (
    AgentReplied,
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PowerRequested,
    StatusRequested,
)
from pmwatchd.core.holds import BINDING, judge
from pmwatchd.core.machine import Machine, Maintenance
from pmwatchd.core.model import Alert, Cause, FenceAction, Host, PowerStatus
from pmwatchd.core.operation import Cancelled, Phase
from pmwatchd.core.orders import Accepted, Answer, PowerRead, Refused, RunAgent
from pmwatchd.core.site import Site


@dataclass(slots=True, kw_only=True)
class Query:
    """
    A person asked what the power switches read.

    Attributes:
        waiting: Agents that have not replied yet.
    """

    id: str
    request: int
    host: Host
    waiting: set[str]
    power: dict[str, PowerStatus] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def power(site: Site, machine: Machine, event: PowerRequested, now: float) -> Answer:
    """Open an operation, join the identical one, or refuse."""
    running = machine.operation
    if running is not None and running.action is event.action:
        return Answer(event.request, Accepted(operation=running.id, joined=True))
    if not machine.host.power_management.agents:
        reason = f"{machine.name} has no fence agent"
        return Answer(event.request, Refused(type="held", reason=reason))
    if running is not None:
        return Answer(event.request, _busy(machine, running.id))
    about = machine.circumstances(site.startup_ends_at, journal_writable=site.journal_writable)
    binding = [held for held in judge(about, now) if held.name in BINDING]
    if binding:
        reason = "; ".join(f"{held.name}: {held.reason}" for held in binding)
        return Answer(event.request, Refused(type="held", reason=reason))
    operation = treatment.open_operation(
        site, machine, event.action, Cause.PERSON, by=event.by, reason=event.reason, now=now
    )
    return Answer(event.request, Accepted(operation=operation))


def _busy(machine: Machine, operation: str) -> Refused:
    reason = f"operation {operation} of {machine.name} is running"
    return Refused(type="host-busy", reason=reason, operation=operation)


def cancel(site: Site, machine: Machine, event: CancelRequested, now: float) -> Answer:
    """End a backoff or the pursuit of *on*; an off under way cannot be taken back."""
    running = machine.operation
    if running is not None:
        if running.phase not in (Phase.ON, Phase.RESTING):
            return Answer(event.request, _busy(machine, running.id))
        treatment.fence_step(site, machine, Cancelled(event.by, event.reason), now)
        return Answer(event.request, Accepted(operation=running.id))
    if machine.retry_at is not None:
        machine.retry_at = None
        return Answer(event.request, Accepted())
    reason = f"{machine.name} has no operation and no backoff to cancel"
    return Answer(event.request, Refused(type="nothing-to-cancel", reason=reason))


def maintain(site: Site, machine: Machine, event: MaintenanceRequested, now: float) -> Answer:
    """Take a host out of automatic fencing; a promise that could be forgotten is not given."""
    if not site.journal_writable:
        reason = "the journal is not writable, so the maintenance would not survive a restart"
        return Answer(event.request, Refused(type="journal-unwritable", reason=reason))
    until_at = None if event.for_s is None else now + event.for_s
    keeper = Maintenance(
        by=event.by, reason=event.reason, until_at=until_at, expires_at=event.expires_at
    )
    treatment.begin_maintenance(site, machine, keeper, now)
    return Answer(event.request, Accepted())


def end_maintenance(site: Site, machine: Machine, event: MaintenanceEndRequested) -> Answer:
    """Put a host back under automatic fencing."""
    if machine.maintenance is None:
        reason = f"{machine.name} is not in maintenance"
        return Answer(event.request, Refused(type="not-in-maintenance", reason=reason))
    treatment.end_maintenance(site, machine, by=event.by, reason="maintenance end")
    return Answer(event.request, Accepted())


def ask_status(site: Site, machine: Machine, event: StatusRequested, now: float) -> Query | Answer:
    """Read every agent of a host once."""
    agents = machine.host.power_management.agents
    if not agents:
        reason = f"{machine.name} has no fence agent"
        return Answer(event.request, Refused(type="held", reason=reason))
    query = Query(
        id=f"status_{event.request}",
        request=event.request,
        host=machine.host,
        waiting={agent.name for agent in agents},
    )
    for agent in agents:
        order = RunAgent(
            host=machine.name,
            operation=query.id,
            turn=0,
            agent=agent,
            action=FenceAction.STATUS,
        )
        site.orders.append(site.with_chain(order, machine.host, now))
    return query


def status_replied(
    site: Site, machine: Machine | None, query: Query, event: AgentReplied, now: float
) -> Answer | None:
    """Take in one agent's reading; the answer follows the last one."""
    site.orders += tell.reply(query.host, None, event)
    site.learn(query.host, event, now)
    query.waiting.discard(event.agent)
    query.power[event.agent] = event.reply.power
    if event.reply.power is PowerStatus.UNKNOWN:
        query.reasons[event.agent] = event.reply.text or str(event.reply.result)
    if query.waiting:
        return None
    all_on = set(query.power.values()) == {PowerStatus.ON}
    if machine is not None and machine.operation is None and all_on:
        treatment.clear(site, machine, Alert.DEGRADED_POWER)
    agents = {a.name: query.power[a.name] for group in query.host.groups for a in group}
    read = PowerRead(power=_of_host(query), agents=agents, reasons=dict(query.reasons))
    return Answer(query.request, read)


def _of_host(query: Query) -> PowerStatus:
    """Judge as an operation would: the first group that can be read decides."""
    groups = ([query.power[agent.name] for agent in group] for group in query.host.groups)
    merged = (verdict.merge(readings) for readings in groups)
    return next(
        (power for power in merged if power is not PowerStatus.UNKNOWN), PowerStatus.UNKNOWN
    )
