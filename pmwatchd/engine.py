"""
THE LOOP: inbox -> fleet.step -> journal -> orders; sleeps until the earliest deadline.

One task, one writer of state.  What the core orders is made durable in one
transaction first, then told, then carried out.  Nothing here decides.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pmwatchd.core.events import (
    AgentReplied,
    CanaryHeard,
    DeadlineReached,
    DumpHeard,
    Event,
    HeartbeatsHeard,
    InventoryLoaded,
    JournalFailed,
    JournalRecovered,
    ObserverPaused,
    PersonEvent,
)
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import AgentResult, FenceAction, Reply
from pmwatchd.core.orders import (
    Accepted,
    Act,
    Answer,
    AskWitness,
    CheckAlive,
    FenceSoftly,
    HoldDevice,
    Order,
    PowerRead,
    ProbeHost,
    Recall,
    Record,
    Refused,
    ReportNext,
    RunAgent,
    SaveHost,
    SaveOperation,
    SaveSite,
    Told,
)
from pmwatchd.core.views import HostView, OperationView, RaisedAlert, SiteView
from pmwatchd.errors import JournalUnwritableError
from pmwatchd.ports import Clock, Entry, Health, Journal, Teller

PASS_EVERY_S = 1.0
"""The loop turns at least so often: it feeds the watchdog and notices when it was stopped."""

BREATH_S = 0.001
"""Least pause for a deadline, so that one which nothing answers cannot spin the loop."""

PENDING_MAX = 20_000
"""Records kept in memory while the journal is not writable; the oldest go first."""


@dataclass(slots=True)
class _Pending:
    """What waits for a journal that is not writable: the last word on each thing, and records."""

    saves: dict[tuple[type, str], Entry] = field(default_factory=dict)
    records: list[Entry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.saves or self.records)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep entries until they can be made durable."""
        for entry in entries:
            match entry.order:
                case SaveOperation(id=name) | SaveHost(host=name):
                    self.saves[type(entry.order), name] = entry
                case SaveSite():
                    self.saves[SaveSite, ""] = entry
                case Told():
                    self.records.append(entry)
        del self.records[:-PENDING_MAX]

    def entries(self) -> list[Entry]:
        """Return everything that waits."""
        return [*self.records, *self.saves.values()]


@dataclass(frozen=True, slots=True)
class _Committed:
    """
    What became of the durable part of a pass.

    Attributes:
        failed: The journal is not writable; what was ordered waits in memory.
        unopened: Operations whose opening is not durable; they never came to be.
    """

    failed: bool = False
    unopened: frozenset[str] = frozenset()


class Engine:
    """
    The one place where state changes.

    Args:
        carry_out: The runner's door; called only with acts whose records are durable.
        last_answer_at: When a host last answered; kept by the listener.
        tellers: Log, metrics, event stream; each sees the same record.
        sequence: Number of the last record in the journal.
        progressed: Called once a pass; feeds the watchdog.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        journal: Journal,
        carry_out: Callable[[Act], None],
        tellers: Sequence[Teller],
        clock: Clock,
        last_answer_at: Callable[[str], float | None] = lambda _name: None,
        sequence: int = 0,
        durable: frozenset[str] = frozenset(),
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._fleet = fleet
        self._journal = journal
        self._carry_out = carry_out
        self._tellers = tellers
        self._clock = clock
        self._last_answer_at = last_answer_at
        self._sequence = sequence
        self._durable = set(durable)
        self._progressed = progressed
        self._inbox: list[Event | Record] = []
        self._arrived = asyncio.Event()
        self._requests = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Accepted | Refused | PowerRead]] = {}
        self._pending = _Pending()
        self._passed_at: float | None = None
        self._looked_at: float | None = None
        self._lag_s = 0.0
        self._stopping = False
        self._refusing = False

    def put(self, event: Event) -> None:
        """Put a fact into the inbox."""
        self._deliver(event)

    async def run(self) -> None:
        """Turn until cancelled, or until :meth:`stop` was called and the inbox is empty."""
        while self._inbox or not self._stopping:
            events = await self._gather()
            await self._pass(events)

    def refuse(self) -> None:
        """Take no more commands of people: the end has begun, and a later start is another day."""
        self._refusing = True

    def stop(self) -> None:
        """End :meth:`run` once everything in the inbox is durable; no new act is given."""
        self._stopping = True
        self._deliver(Record(event="daemon.stopped"))

    async def _gather(self) -> list[Event | Record]:
        """Wait for facts or for the earliest deadline, and say when we were late."""
        now = self._clock.now()
        looked_at = now if self._looked_at is None else self._looked_at
        wake_at = now + PASS_EVERY_S
        due_at = self._fleet.next_deadline()
        if due_at is not None:
            wake_at = min(wake_at, max(due_at, now + BREATH_S))
        # An event and a timer cost a fraction of a queue and a timeout, and this turns often.
        timer = asyncio.get_running_loop().call_later(max(0.0, wake_at - now), self._arrived.set)
        await self._arrived.wait()
        timer.cancel()
        self._arrived.clear()
        events, self._inbox = self._inbox, []
        # What lies in the inbox already is heard before anything that it may stop; answers not
        # across a change of the inventory, or it would be lost, or count for another address.
        events.sort(key=lambda event: not isinstance(event, _HEARD_FIRST))
        self._looked_at = self._clock.now()
        # since the last look, not since this wait began: a pause likes to hit the commit
        self._lag_s = max(0.0, self._looked_at - looked_at - PASS_EVERY_S)
        if self._lag_s > PASS_EVERY_S:
            events.insert(0, ObserverPaused(self._lag_s))
        events.append(DeadlineReached())
        return events

    async def _pass(self, events: Sequence[Event | Record]) -> None:
        orders: list[Order] = []
        for event in events:
            if isinstance(event, Record):
                orders.append(event)
            else:
                orders += self._fleet.step(event, self._clock.now())
        if orders or self._pending:
            await self._obey(orders)
        self._passed_at = self._clock.now()
        self._progressed()

    async def _obey(self, orders: Sequence[Order]) -> None:
        """Make durable, then tell, then act, then answer."""
        entries = [self._entry(order) for order in orders if isinstance(order, _DURABLE)]
        committed = await self._commit(entries)
        self._tell_all(_without(entries, committed.unopened))
        for order in orders:
            match order:
                case RunAgent() | ProbeHost() if order.operation in committed.unopened:
                    pass
                case RunAgent(action=FenceAction.OFF) if committed.failed:
                    self.put(_not_sent(order))
                case RunAgent() | Recall() | ProbeHost() | ReportNext() | HoldDevice():
                    self._carry_out(order)
                case AskWitness() | CheckAlive() | FenceSoftly():
                    self._carry_out(order)
                case Answer():
                    self._answer(order, committed)
                case _:
                    pass

    def _entry(self, order: Record | SaveOperation | SaveHost | SaveSite) -> Entry:
        at = self._clock.wall()
        if not isinstance(order, Record):
            return Entry(at=at, order=order)
        if not order.journalled:
            return Entry(at=at, order=Told(order, at))
        self._sequence += 1
        return Entry(at=at, order=Told(order, at, self._sequence))

    def _tell_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.order, Told):
                for teller in self._tellers:
                    teller.tell(entry.order)

    async def _commit(self, entries: Sequence[Entry]) -> _Committed:
        """
        Commit with whatever waits.

        An operation whose opening could not be made durable never comes to be;
        one that was open before is carried to its end (hold ``journal_unwritable``).
        """
        kept = [e for e in entries if not isinstance(e.order, Told) or e.order.sequence is not None]
        waited = bool(self._pending)
        if not kept and not waited:
            return _Committed()
        saved = [e.order for e in kept if isinstance(e.order, SaveOperation)]
        try:
            await self._journal.commit([*self._pending.entries(), *kept])
        except JournalUnwritableError as error:
            unopened = frozenset(operation.id for operation in saved) - self._durable
            self._pending.add(_without(kept, unopened))
            if unopened or not waited:
                self._journal_failed(unopened, str(error))
            return _Committed(failed=True, unopened=unopened)
        self._durable |= {operation.id for operation in saved}
        self._durable -= {operation.id for operation in saved if operation.outcome is not None}
        if waited:
            self._pending = _Pending()
            self.put(JournalRecovered())
        return _Committed()

    def _journal_failed(self, unopened: frozenset[str], reason: str) -> None:
        """Tell the core at once; what it orders waits for the journal as well."""
        failed = Record(event="journal.failed", fields={"reason": reason}, journalled=False)
        orders = self._fleet.step(JournalFailed(unopened, reason), self._clock.now())
        entries = [self._entry(order) for order in (failed, *orders) if isinstance(order, _DURABLE)]
        self._tell_all(entries)
        self._pending.add(entries[1:])

    def _answer(self, answer: Answer, committed: _Committed) -> None:
        waiting = self._waiting.pop(answer.request, None)
        if waiting is None or waiting.done():
            return
        result = answer.result
        if isinstance(result, Accepted) and result.operation in committed.unopened:
            reason = "the journal is not writable, so no new operation is begun"
            result = Refused(type="journal-unwritable", reason=reason)
        elif isinstance(result, Accepted) and not result.joined and committed.failed:
            reason = "the journal is not writable: it holds now, and a restart would forget it"
            result = Refused(type="journal-unwritable", reason=reason, operation=result.operation)
        waiting.set_result(result)

    # the desk: what the API sees ---------------------------------------------------------

    async def ask(self, make: Callable[[int], PersonEvent]) -> Accepted | Refused | PowerRead:
        """Put a person's event into the inbox and wait for the answer to it."""
        if self._refusing:
            return Refused(type="stopping", reason="the daemon is about to end")
        request = next(self._requests)
        waiting: asyncio.Future[Accepted | Refused | PowerRead] = asyncio.Future()
        self._waiting[request] = waiting
        self.put(make(request))
        try:
            return await waiting
        finally:
            self._waiting.pop(request, None)

    def tell(self, record: Record) -> None:
        """Tell something that the core does not know of, like a person's command or a proxy."""
        self._deliver(record)

    def _deliver(self, event: Event | Record) -> None:
        self._inbox.append(event)
        self._arrived.set()

    def host(self, name: str) -> HostView | None:
        """One host, or None when it is not watched."""
        view = self._fleet.host(name)
        return view and self._heard(view)

    def hosts(self) -> list[HostView]:
        """Every host, by name."""
        return [self._heard(view) for view in self._fleet.hosts()]

    def _heard(self, view: HostView) -> HostView:
        """Fill in the last answer, which the fleet is told only when something changes."""
        at = self._last_answer_at(view.host.name)
        return view if at is None else replace(view, last_answer_at=at)

    def site(self) -> SiteView:
        """What concerns all hosts: automatic or not, a pause, an override."""
        return self._fleet.site()

    def shares(self) -> Mapping[tuple[str, str], float]:
        """The share of silent hosts, by domain."""
        return self._fleet.shares()

    def operations(self) -> list[OperationView]:
        """Operations that are open, and the last that ended since this start, newest first."""
        return self._fleet.operations()

    def alerts(self) -> tuple[RaisedAlert, ...]:
        """Alerts of the whole site."""
        return self._fleet.alerts()

    def wall_of(self, at: float) -> datetime:
        """A monotonic instant as wall-clock time, for showing."""
        return self._clock.wall() + timedelta(seconds=at - self._clock.now())

    def health(self) -> Health:
        """How the daemon is."""
        now = self._clock.now()
        open_at = [o.opened_at for o in self._fleet.operations() if o.closed_at is None]
        return Health(
            ready=self._passed_at is not None,
            journal_writable=not self._pending,
            last_pass_age_s=0.0 if self._passed_at is None else now - self._passed_at,
            oldest_open_at=self.wall_of(min(open_at)) if open_at else None,
            loop_lag_s=self._lag_s,
        )


def _without(entries: Sequence[Entry], unopened: frozenset[str]) -> list[Entry]:
    """Leave out the story of operations that never came to be."""
    return [entry for entry in entries if _operation_of(entry) not in unopened]


def _operation_of(entry: Entry) -> str | None:
    match entry.order:
        case SaveOperation():
            return entry.order.id
        case Told():
            return entry.order.record.operation
        case _:
            return None


def _not_sent(order: RunAgent) -> AgentReplied:
    """
    Answer an ``off`` whose intent is not durable: it is not sent.

    A crash would not know of it.  Everything else of an open operation is
    carried on, because leaving a host off is worse.
    """
    text = "the journal is not writable, so off is not sent"
    reply = Reply(result=AgentResult.NO_PROXY, text=text)
    return AgentReplied(
        order.host, order.operation, order.turn, order.agent.name, order.action, reply
    )


_HEARD_FIRST = (InventoryLoaded, HeartbeatsHeard, CanaryHeard, DumpHeard)
_DURABLE = (Record, SaveOperation, SaveHost, SaveSite)
