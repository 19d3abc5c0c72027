"""
The only aggregate: routes events to machines and collects their orders.

``step(event, now) -> orders`` with :meth:`Fleet.next_deadline` beside it is
all that the engine needs.  A healthy host costs nothing here: only machines
that wait for something (silent, booting, in an operation, in a maintenance)
are looked at when time passes, and only when they are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import assert_never

from pmwatchd.core import (
    consult,
    dumping,
    inspection,
    judgement,
    operate,
    pause,
    powerwatch,
    requests,
    sitewatch,
    soft,
    treatment,
    upkeep,
)
from pmwatchd.core import watch as watching
from pmwatchd.core.events import (
    AckRequested,
    AgentReplied,
    AliveChecked,
    CanaryHeard,
    CancelRequested,
    DeadlineReached,
    DumpHeard,
    Event,
    HeartbeatsHeard,
    HostEvent,
    HostProbed,
    InventoryLoaded,
    JournalFailed,
    JournalRecovered,
    MaintenanceEndRequested,
    MaintenanceRequested,
    ObserverPaused,
    PersonEvent,
    PowerRequested,
    SiteEvent,
    SoftFenced,
    StatusRequested,
    VouchRequested,
    WitnessSaid,
)
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert, PowerStatus
from pmwatchd.core.operation import Contradicted, Operation
from pmwatchd.core.orders import (
    Answer,
    Order,
    Record,
    Refused,
    SaveHost,
    SaveOperation,
    SaveSite,
)
from pmwatchd.core.roster import Roster
from pmwatchd.core.site import Site, Suspension
from pmwatchd.core.views import HostView, KeeperView, OperationView, RaisedAlert, SiteView


class Fleet:
    """
    All machines of one site.

    Args:
        epoch: Number of this start, from the journal.
        now: This start, on the monotonic clock.
        wall: This start, on the wall clock; ends only what a person set.
        memories: What the journal remembers of hosts.
        operations: Operations that a former start left open.
        load: Tells how many executions run now, by proxy name.
        last_answer_at: Tells when a host answered last; kept by the listener.
        site: What a person set for the whole site.
    """

    def __init__(
        self,
        *,
        epoch: int,
        now: float,
        wall: datetime,
        memories: Mapping[str, SaveHost] | None = None,
        operations: Iterable[SaveOperation] = (),
        load: Callable[[], Mapping[str, int]] = dict,
        last_answer_at: Callable[[str], float | None] = lambda _name: None,
        site: SaveSite | None = None,
    ) -> None:
        self._site = Site(epoch=epoch, started_at=now, load=load, last_answer_at=last_answer_at)
        self._saved_site = site or SaveSite()
        self._roster = Roster(self._site, wall, memories or {}, operations)
        self._machines = self._roster.machines
        pause.recall(self._site, self._saved_site, self._roster.until, now)
        self._due_at: dict[str, float] = {}
        self._queries: dict[str, requests.Query] = {}

    def step(self, event: Event, now: float) -> list[Order]:
        """Take in one event and return the orders that follow, durable ones included."""
        site = self._site
        site.orders = []
        match event:
            case HeartbeatsHeard():
                for answered in event.answered:
                    self._sense(answered.host, answered, now)
                for silent in event.silent:
                    self._sense(silent.host, silent, now)
                for unheard in event.unheard:
                    self._sense(unheard.host, unheard, now)
            case DeadlineReached():
                self._pass_time(now)
            case AgentReplied():
                self._replied(event, now)
            case HostProbed():
                self._probed(event, now)
            case ObserverPaused():
                self._paused(event, now)
            case InventoryLoaded():
                self._load(event, now)
            case CanaryHeard():
                site.observer.canaries[event.canary] = event.answers
            case WitnessSaid() | AliveChecked() | SoftFenced() | DumpHeard():
                self._told(event, now)
            case JournalFailed():
                self._journal_failed(event, now)
            case JournalRecovered():
                site.journal_writable = True
                site.clear_alert(Alert.JOURNAL_UNWRITABLE)
            case _:
                self._request(event, now)
        return site.orders

    def next_deadline(self) -> float | None:
        """When ``DeadlineReached`` has something to do, or None."""
        due_at = min(self._due_at.values(), default=None)
        asked_at = [query.again_at for query in self._queries.values()]
        instants = (due_at, self._site.due_at, *asked_at)
        return min((at for at in instants if at is not None), default=None)

    def _pass_time(self, now: float) -> None:
        """End a pass: everything that came with it was taken in."""
        site = self._site
        self._answer_queries(now)
        for name in inspection.turns(site, self._machines, now):
            self._due_at[name] = now
        cut_off = sitewatch.attend(site, now)
        if cut_off is not None:
            self._forgive(*cut_off, now)
        for name in sorted(site.fencing):
            judgement.recall(site, self._machines[name], now)
        for name in sorted(name for name, at in self._due_at.items() if at <= now):
            self._settle(self._machines[name], now)
        if site.wanting:
            judgement.grant(site, self._machines.__getitem__, now)
            for name in sorted(site.fencing):
                self._settle(self._machines[name], now)
        memory = sitewatch.saved(site)
        if memory != self._saved_site:
            self._saved_site = memory
            site.orders.append(memory)

    def _forgive(self, since_at: float, until_at: float, now: float) -> None:
        """Forget the silence of a time in which nobody could have been heard."""
        for name in sorted(self._machines):
            machine = self._machines[name]
            watch = watching.misheard(machine.host, machine.watch, since_at, until_at, now)
            upkeep.enter(self._site, machine, watch, now)
            self._due_at[name] = now

    # events ------------------------------------------------------------------------------

    def _sense(self, name: str, sign: treatment.Sign, now: float) -> None:
        machine = self._machines.get(name)
        if machine is not None:
            treatment.sensed(self._site, machine, sign, now)
            self._count(machine, now)
            self._due_at[name] = now  # not yet: an answer to come may stop what is due

    def _settle(self, machine: Machine, now: float) -> None:
        """Let time pass for one machine, save what changed, and note when it is due again."""
        treatment.attend(self._site, machine, now)
        self._save(machine, now)
        name = machine.name
        if machine.gone and machine.operation is None:
            self._forget(machine, now)
            return
        self._count(machine, now)
        if machine.serves and machine.host.as_proxy.enabled:
            self._site.serving[name] = machine.host
        else:
            self._site.serving.pop(name, None)
        due_at = treatment.deadline(self._site, machine, now)
        if due_at is None:
            self._due_at.pop(name, None)
        else:
            self._due_at[name] = due_at

    def _count(self, machine: Machine, now: float) -> None:
        """Note how a host stands among all, as soon as that is known."""
        site, name = self._site, machine.name
        site.census.note(machine.host, machine.standing, now)
        if machine.answers:
            site.answering.add(name)
        else:
            site.answering.discard(name)
        if machine.missed:
            site.missed.add(name)
        else:
            site.missed.discard(name)

    def _save(self, machine: Machine, now: float) -> None:
        memory = machine.memory(now)
        if memory != (machine.saved or SaveHost(host=machine.name)):
            machine.saved = memory
            self._site.orders.append(memory)

    def _replied(self, event: AgentReplied, now: float) -> None:
        query = self._queries.get(event.operation)
        machine = self._machines.get(event.host)
        if machine is not None and event.reply.power is PowerStatus.ON:
            operate.fence_step(self._site, machine, Contradicted(event.agent), now)
        if query is not None:
            requests.replied(self._site, query, event, now)
        elif machine and machine.operation and machine.operation.id == event.operation:
            operate.fence_step(self._site, machine, event, now)
        elif machine:
            powerwatch.replied(self._site, machine, event, now)
        for asked in self._queries.values():
            requests.overhear(asked, event)
        if machine is not None:
            self._settle(machine, now)

    def _probed(self, event: HostProbed, now: float) -> None:
        query = self._queries.get(event.operation)
        machine = self._machines.get(event.host)
        if query is not None:
            requests.probed(query, event.result, now)
            if machine is not None:
                asked, at = query.host, query.asked_at
                treatment.overheard(self._site, machine, event, now, asked=asked, alive_at=at)
        elif machine and machine.operation and machine.operation.id == event.operation:
            treatment.probed(self._site, machine, event, now)
        elif machine:
            inspection.probed(self._site, machine, event, now)
        if machine is not None:
            self._settle(machine, now)

    def _answer_queries(self, now: float) -> None:
        """
        Answer people's questions for which everything has come.

        When time passes, and not as soon as the last reply is taken in: one
        that came with it may say otherwise.
        """
        for query in self._queries.values():
            requests.ask_again(self._site, query, now)
        for query in [query for query in self._queries.values() if query.complete]:
            del self._queries[query.id]
            machine = self._machines.get(query.host.name)
            self._site.orders.append(requests.conclude(self._site, machine, query, now))
            if machine is not None:
                self._settle(machine, now)

    def _told(self, event: WitnessSaid | AliveChecked | SoftFenced | DumpHeard, now: float) -> None:
        """Take in what was said of a silent host, or by itself."""
        machine = self._machines.get(event.host)
        if machine is None:
            return
        match event:
            case WitnessSaid():
                consult.witnessed(self._site, machine, event, now)
            case AliveChecked():
                consult.checked(self._site, machine, event, now)
            case SoftFenced():
                soft.ended(self._site, machine, event, now)
            case _:
                dumping.heard(self._site, machine, event)
        self._due_at[machine.name] = now

    def _paused(self, event: ObserverPaused, now: float) -> None:
        """
        Doubt ourselves after a time in which heartbeats were not heard.

        Told once per illness and not journalled: on a slow disk each commit would
        be the pause that has to be told next.
        """
        if not any(watching.slept(one.host, event) for one in self._machines.values()):
            return
        observer = self._site.observer
        if not observer.dazed(now):
            fields = {"for_s": round(event.for_s, 3)}
            self._site.orders.append(
                Record(event="observer.paused", fields=fields, journalled=False)
            )
        observer.shaken(now)
        for name in sorted(self._machines):
            self._sense(name, event, now)

    def _journal_failed(self, event: JournalFailed, now: float) -> None:
        """Forget operations whose opening is not durable; they have not acted."""
        site = self._site
        site.journal_writable = False
        site.raise_alert(Alert.JOURNAL_UNWRITABLE, event.reason, now)
        for machine in self._machines.values():
            if machine.operation is not None and machine.operation.id in event.unopened:
                machine.operation = machine.saved_operation = None
                site.fencing.discard(machine.name)
                self._due_at[machine.name] = now

    # inventory ---------------------------------------------------------------------------

    def _load(self, event: InventoryLoaded, now: float) -> None:
        for machine in self._roster.begin(event):
            self._settle(machine, now)
        for machine in self._roster.take(event, now):
            self._settle(machine, now)

    def _forget(self, machine: Machine, now: float) -> None:
        """Nothing keeps a removed host any longer."""
        self._roster.forget(machine, now)
        self._due_at.pop(machine.name, None)

    # people ------------------------------------------------------------------------------

    def _request(self, event: PersonEvent, now: float) -> None:
        if isinstance(event, SiteEvent):
            self._site.orders.append(pause.answer(self._site, event, now))
            self._site.due_at = now
            return
        machine = self._machines.get(event.host)
        # An operation keeps a removed host until it ends, and a person may end it.
        ending = isinstance(event, CancelRequested)
        if isinstance(event, CancelRequested) and self._roster.is_left_behind(event.host):
            orphan = self._roster.give_up(event.host, now)
            self._site.orders += requests.forsake(orphan, event)
            return
        if machine is None or (machine.gone and not ending):
            refused = Refused(type="unknown-host", reason=f"no host {event.host} is watched")
            self._site.orders.append(Answer(event.request, refused))
            return
        answer = self._answer(machine, event, now)
        self._settle(machine, now)
        if answer is not None:
            self._site.orders.append(answer)

    def _answer(self, machine: Machine, event: HostEvent, now: float) -> Answer | None:
        site = self._site
        orphan = self._roster.orphans.get(machine.name)
        match event:
            case CancelRequested() if orphan is not None:
                self._roster.give_up(machine.name, now)
                return requests.abandon(site, machine, orphan, event, now)
            case PowerRequested() | VouchRequested() if orphan is not None:
                return requests.waits_for_agents(orphan, event)
            case PowerRequested():
                return requests.power(site, machine, event, now)
            case CancelRequested():
                return requests.cancel(site, machine, event, now)
            case MaintenanceRequested():
                return requests.maintain(site, machine, event, now)
            case MaintenanceEndRequested():
                return requests.end_maintenance(site, machine, event, now)
            case AckRequested():
                return requests.acknowledge(site, machine, event)
            case StatusRequested() | VouchRequested():
                asked = requests.ask(site, machine, event, now)
                if isinstance(asked, Answer):
                    return asked
                self._queries[asked.id] = asked
                return None
            case _:
                assert_never(event)

    # pictures ----------------------------------------------------------------------------

    def host(self, name: str) -> HostView | None:
        """Return a picture of one host."""
        machine = self._machines.get(name)
        return machine.view() if machine else None

    def hosts(self) -> list[HostView]:
        """Return pictures of all hosts, by name."""
        return [self._machines[name].view() for name in sorted(self._machines)]

    def operations(self) -> list[OperationView]:
        """Return open operations and those that ended lately, the newest first."""
        running = [m.operation for m in self._machines.values() if m.operation is not None]
        running += self._site.ended
        running.sort(key=lambda operation: operation.opened_at, reverse=True)
        return [_operation_view(operation) for operation in running]

    def site(self) -> SiteView:
        """Return a picture of what concerns all hosts."""
        site = self._site
        return SiteView(
            automatic=site.rules.safety.automatic,
            paused=_keeper_view(site.pause),
            override=_keeper_view(site.override),
        )

    def shares(self) -> dict[tuple[str, str], float]:
        """Return the share of silent hosts, by domain."""
        shares = self._site.census.shares()
        return {(d.by, d.value): silent / all_ for d, (silent, all_) in shares.items() if all_}

    def alerts(self) -> tuple[RaisedAlert, ...]:
        """Return the alerts of the whole site."""
        return tuple(self._site.alerts.values())


def _keeper_view(word: Suspension | None) -> KeeperView | None:
    if word is None:
        return None
    return KeeperView(by=word.by, reason=word.reason, until_at=word.until_at)


def _operation_view(operation: Operation) -> OperationView:
    return OperationView(
        id=operation.id,
        host=operation.host.name,
        action=operation.action,
        cause=operation.cause,
        by=operation.by,
        reason=operation.reason,
        phase=operation.phase,
        opened_at=operation.opened_at,
        closed_at=operation.closed_at,
        outcome=operation.outcome,
    )
