"""
A person's commands: the same operation, journal and proof as automatic ones.

Each is answered by one ``Answer`` in the pass that took it in, except the
reading of a power status, which is answered when every agent has replied.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pmwatchd.core import inspection, operate, sitewatch, tell, upkeep, verdict
from pmwatchd.core.events import (
    AckRequested,
    AgentReplied,
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.fence_off import LOOK_AGAIN_S, LOOK_PATIENCE_S
from pmwatchd.core.holds import BINDING, judge
from pmwatchd.core.machine import Machine, Maintenance
from pmwatchd.core.model import (
    Action,
    Alert,
    Cause,
    Host,
    Outcome,
    PowerStatus,
    ProbeResult,
)
from pmwatchd.core.operation import Cancelled, Operation, Vouched
from pmwatchd.core.orders import (
    Accepted,
    Answer,
    Order,
    PowerRead,
    ProbeHost,
    Record,
    Refused,
    SaveOperation,
    Value,
)
from pmwatchd.core.site import Site
from pmwatchd.core.watch import Up


@dataclass(slots=True, kw_only=True)
class Query:
    """
    A person asked what the power switches read.

    Attributes:
        waiting: Agents that have not replied yet.
        asked_at: When; what the host says from then on counts.
        vouch: The person's word that depends on the answer, if it is about one.
        probed: What the host itself had to say to that.
        again_at: When it is asked once more, for a fault of our own told nothing.
    """

    id: str
    request: int
    host: Host
    asked_at: float
    waiting: set[str]
    power: dict[str, PowerStatus] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    vouch: VouchRequested | None = None
    probed: ProbeResult | None = None
    again_at: float | None = None

    @property
    def complete(self) -> bool:
        """Everything that was asked for has come."""
        return not self.waiting and (self.vouch is None or self.probed is not None)


def power(site: Site, machine: Machine, event: PowerRequested, now: float) -> Answer:
    """Open an operation, join the identical one, or refuse."""
    running = machine.operation
    if running is not None and running.action is event.action and _will_do(running):
        return Answer(event.request, Accepted(operation=running.id, joined=True))
    if not machine.host.power_management.agents:
        reason = f"{machine.name} has no fence agent"
        return Answer(event.request, Refused(type="held", reason=reason))
    if running is not None:
        return Answer(event.request, _busy(machine, running.id))
    about = site.circumstances(machine)
    binding = [held for held in judge(about, now) if held.name in BINDING]
    if binding:
        reason = "; ".join(f"{held.name}: {held.reason}" for held in binding)
        return Answer(event.request, Refused(type="held", reason=reason))
    if event.action is not Action.OFF:
        machine.given_up = frozenset()
    operation = operate.open_operation(
        site, machine, event.action, Cause.PERSON, by=event.by, reason=event.reason, now=now
    )
    return Answer(event.request, Accepted(operation=operation))


def _will_do(running: Operation) -> bool:
    """Whether it still does what it was opened for: it neither restores nor is a mere word."""
    return running.restoring is None and not running.word_only


def _busy(machine: Machine, operation: str) -> Refused:
    reason = f"operation {operation} of {machine.name} is running"
    return Refused(type="host-busy", reason=reason, operation=operation)


def cancel(site: Site, machine: Machine, event: CancelRequested, now: float) -> Answer:
    """End a backoff or the pursuit of *on*; an off under way cannot be taken back."""
    running = machine.operation
    if running is not None:
        if not running.brings_back:
            return Answer(event.request, _busy(machine, running.id))
        operate.fence_step(site, machine, Cancelled(event.by, event.reason), now)
        return Answer(event.request, Accepted(operation=running.id))
    if machine.retry_at is not None:
        machine.retry_at = None
        return Answer(event.request, Accepted())
    if machine.pursued or machine.ownerless:
        machine.note_missing(machine.missing - machine.ownerless)
        machine.given_up = machine.missing
        upkeep.mended(site, machine, now)
        return Answer(event.request, Accepted())
    reason = f"{machine.name} has no operation, no backoff and no missing supply to cancel"
    return Answer(event.request, Refused(type="nothing-to-cancel", reason=reason))


def waits_for_agents(orphan: SaveOperation, event: PowerRequested | VouchRequested) -> Answer:
    """Refuse while an operation of a former start is open that no agent can carry on."""
    reason = (
        f"operation {orphan.id} of {orphan.host} is open and waits for fence agents in the"
        " inventory; put them back, or give it up with power cancel"
    )
    refused = Refused(type="host-busy", reason=reason, operation=orphan.id)
    return Answer(event.request, refused)


def abandon(
    site: Site, machine: Machine, orphan: SaveOperation, event: CancelRequested, now: float
) -> Answer:
    """Give up an operation of a former start that no agent can carry on."""
    operate.abandon(site, machine, orphan, Cancelled(event.by, event.reason), now)
    return Answer(event.request, Accepted(operation=orphan.id))


def forsake(orphan: SaveOperation | None, event: CancelRequested) -> tuple[Order, ...]:
    """Give up what is owed to a host that is not watched any more, and its operation if any."""
    if orphan is None:
        return (Answer(event.request, Accepted()),)
    fields: dict[str, Value] = {
        "outcome": Outcome.CANCELLED,
        "action": orphan.action,
        "cause": orphan.cause,
        "reason": event.reason or "power cancel",
        "by": event.by,
    }
    return (
        replace(orphan, outcome=Outcome.CANCELLED),
        Record(event="fence.closed", host=orphan.host, operation=orphan.id, fields=fields),
        Answer(event.request, Accepted(operation=orphan.id)),
    )


def maintain(site: Site, machine: Machine, event: MaintenanceRequested, now: float) -> Answer:
    """Take a host out of automatic fencing; a promise that could be forgotten is not given."""
    if not site.journal_writable:
        reason = "the journal is not writable, so the maintenance would not survive a restart"
        return Answer(event.request, Refused(type="journal-unwritable", reason=reason))
    keeper = machine.maintenance
    if keeper is not None and keeper.kept_off:
        reason = f"{machine.name} is in maintenance already, kept off by {keeper.by}"
        return Answer(event.request, Refused(type="kept-off", reason=reason))
    until_at = None if event.for_s is None else now + event.for_s
    keeper = Maintenance(
        by=event.by,
        reason=event.reason,
        until_at=until_at,
        expires_at=event.expires_at,
        announce_at=None if until_at is None else sitewatch.announce_at(now, until_at),
    )
    upkeep.begin_maintenance(site, machine, keeper, now)
    return Answer(event.request, Accepted())


def acknowledge(site: Site, machine: Machine, event: AckRequested) -> Answer:
    """Let a parked host be fenced again."""
    if not machine.parked:
        reason = f"{machine.name} is not parked"
        return Answer(event.request, Refused(type="not-parked", reason=reason))
    if not site.journal_writable:
        reason = "the journal is not writable, so a restart would park it again"
        return Answer(event.request, Refused(type="journal-unwritable", reason=reason))
    machine.parked, machine.fenced = False, 0
    upkeep.clear(site, machine, Alert.PARKED)
    site.tell("host.acknowledged", machine, by=event.by, reason=event.reason)
    return Answer(event.request, Accepted())


def end_maintenance(
    site: Site, machine: Machine, event: MaintenanceEndRequested, now: float
) -> Answer:
    """Put a host back under automatic fencing."""
    if machine.maintenance is None:
        reason = f"{machine.name} is not in maintenance"
        return Answer(event.request, Refused(type="not-in-maintenance", reason=reason))
    upkeep.end_maintenance(site, machine, by=event.by, reason="maintenance end", now=now)
    return Answer(event.request, Accepted())


def ask(
    site: Site, machine: Machine, event: StatusRequested | VouchRequested, now: float
) -> Query | Answer:
    """Read every agent of a host once, and before a person's word also ask the host itself."""
    agents = machine.host.power_management.agents
    if isinstance(event, StatusRequested) and not agents:
        reason = f"{machine.name} has no fence agent"
        return Answer(event.request, Refused(type="held", reason=reason))
    vouch = event if isinstance(event, VouchRequested) else None
    query = Query(
        id=f"query_{event.request}",
        request=event.request,
        host=machine.host,
        asked_at=now,
        waiting={agent.name for agent in agents},
        vouch=vouch,
    )
    if vouch is not None:
        _probe(site, query)
    site.read_power(machine.host, query.id, now)
    return query


def _probe(site: Site, query: Query) -> None:
    site.orders.append(ProbeHost(host=query.host, operation=query.id, turn=0))


def probed(query: Query, result: ProbeResult, now: float) -> None:
    """Take in what the host said; a fault of our own is no silence, and it is asked once more."""
    patient = now < query.asked_at + LOOK_PATIENCE_S
    if result is ProbeResult.LOCAL_FAULT and patient:
        query.again_at = now + LOOK_AGAIN_S
    else:
        query.probed = result


def ask_again(site: Site, query: Query, now: float) -> None:
    """Ask the host once more when that is due."""
    if query.again_at is not None and now >= query.again_at:
        query.again_at = None
        _probe(site, query)


def replied(site: Site, query: Query, event: AgentReplied, now: float) -> None:
    """Take in one agent's reading."""
    site.orders += tell.reply(query.host, None, event)
    site.learn(query.host, event, now)
    query.waiting.discard(event.agent)
    query.power.setdefault(event.agent, event.reply.power)
    if event.reply.power is PowerStatus.UNKNOWN:
        query.reasons[event.agent] = event.reply.text or str(event.reply.result)


def overhear(query: Query, event: AgentReplied) -> None:
    """Whatever an agent was read on for: no person's word stands against it."""
    if query.vouch and query.host.name == event.host and event.reply.power is PowerStatus.ON:
        query.power[event.agent] = PowerStatus.ON


def conclude(site: Site, machine: Machine | None, query: Query, now: float) -> Answer:
    """Answer a question for which everything has come."""
    if query.vouch is not None:
        return Answer(query.request, _vouch(site, machine, query, query.vouch, now))
    if machine is not None and _is_outdated(machine, query):
        reason = "an operation began or ended while this was read; ask again"
        return Answer(
            query.request,
            PowerRead(
                power=PowerStatus.UNKNOWN,
                agents=dict.fromkeys(query.power, PowerStatus.UNKNOWN),
                reasons=dict.fromkeys(query.power, reason),
            ),
        )
    if machine is not None and machine.operation is None:
        on = {name for name, power in query.power.items() if power is PowerStatus.ON}
        machine.note_missing(machine.missing - query.host.outlets(on))
        inspection.acquit(site, machine, query.host.outlets(on), now)
        if not machine.missing:
            upkeep.mended(site, machine, now)
        if on == set(query.power):
            machine.left_off = False
            upkeep.clear(site, machine, Alert.LEFT_OFF)
    agents = {a.name: query.power[a.name] for group in query.host.groups for a in group}
    merged = verdict.of_groups(query.host, query.power)
    return Answer(
        query.request, PowerRead(power=merged, agents=agents, reasons=dict(query.reasons))
    )


def _is_outdated(machine: Machine, query: Query) -> bool:
    """Whether some of it may have been read before the power was switched."""
    running = machine.operation
    began = running is not None and running.opened_at >= query.asked_at
    return began or machine.operated_at >= query.asked_at


def _vouch(
    site: Site, machine: Machine | None, query: Query, word: VouchRequested, now: float
) -> Accepted | Refused:
    """Take a person's word for the off, unless the host or an agent says otherwise."""
    if machine is None:
        return Refused(type="unknown-host", reason=f"{word.host} is not watched any more")
    answered_at = machine.last_answer_at
    answers = isinstance(machine.watch, Up) or query.probed is ProbeResult.ALIVE
    if answers or (answered_at is not None and answered_at >= query.asked_at):
        return Refused(type="host-answers", reason=f"{word.host} answers, so it is not off")
    on = sorted(name for name, power in query.power.items() if power is PowerStatus.ON)
    if on:
        reason = f"not off: {', '.join(on)} of {word.host} reads on"
        return Refused(type="agent-reads-on", reason=reason)
    if not site.journal_writable:
        reason = "the journal is not writable, so a restart would forget this word"
        return Refused(type="journal-unwritable", reason=reason)
    running = machine.operation
    vouched = Vouched(word.by, word.reason)
    if running is None:
        operation = operate.open_operation(
            site,
            machine,
            Action.OFF,
            Cause.PERSON,
            by=word.by,
            reason=word.reason,
            now=now,
            vouched=vouched,
        )
        return Accepted(operation=operation)
    if running.brings_back:
        return _busy(machine, running.id)
    operate.fence_step(site, machine, vouched, now)
    return Accepted(operation=running.id)
