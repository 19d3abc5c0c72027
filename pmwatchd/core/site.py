"""
What all machines of one site share, and the place where one pass collects its orders.

Made by the fleet and handed to the functions that treat one machine, so that
each of them can be called, and tested, with a small site of its own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pmwatchd.core import budget, proxies, rounds, storm
from pmwatchd.core import watch as watching
from pmwatchd.core.events import AgentReplied
from pmwatchd.core.holds import Circumstances
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert, Candidate, FenceAction, FenceAgent, Heartbeat, Host
from pmwatchd.core.observer import Observer
from pmwatchd.core.operation import Operation
from pmwatchd.core.orders import Order, Record, RunAgent, Value
from pmwatchd.core.rules import Rules
from pmwatchd.core.views import RaisedAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """
    What a person set for the whole site, for a time.

    Attributes:
        expires_at: Its end for the journal, as wall-clock time.
        for_s: For so long it was given, or None where that is not known any more.
        announced: That it is about to end was told.
    """

    by: str
    reason: str
    until_at: float
    expires_at: datetime
    announce_at: float
    for_s: float | None
    announced: bool = False


ENDED_KEPT = 200
"""Ended operations that can be shown without asking the journal."""


@dataclass(slots=True, kw_only=True)
class Site:
    """
    The shared part of the fleet's state.

    Attributes:
        epoch: Number of this start; makes operation ids unique.
        load: Tells how many executions run now, by proxy name.
        last_answer_at: Tells when a host answered last; a healthy one is told of only once.
        called: Names of hosts by whatever else they are called.
        serving: Hosts that may run agents for others now.
        answering: Hosts that answer.
        fencing: Hosts that an automatic operation switches off now; each takes a slot.
        wanting: Hosts that nothing but the budget holds.
        storms: Domains in a storm, as of this pass.
        missed: Hosts that do not answer, within their grace or beyond it.
        mute: When a witness could not be asked last.
        rounds: Whose agents are read next while it answers.
        powered: When a host of a domain was, or will be, powered on last, and which.
        claims: Outlets that operations of removed hosts still switch, and which.
        due_at: When something of the whole site is to be looked at again.
        orders: What this pass has ordered so far.
    """

    epoch: int
    started_at: float
    rules: Rules = field(default_factory=Rules)
    load: Callable[[], Mapping[str, int]] = dict
    last_answer_at: Callable[[str], float | None] = lambda _name: None
    hosts: dict[str, Host] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    serving: dict[str, Host] = field(default_factory=dict)
    answering: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)
    fencing: set[str] = field(default_factory=set)
    wanting: dict[str, budget.Rank] = field(default_factory=dict)
    census: storm.Census = field(default_factory=storm.Census)
    storms: dict[storm.Domain, storm.Storm] = field(default_factory=dict)
    observer: Observer = field(default_factory=Observer)
    budget: budget.Budget = field(default_factory=budget.Budget)
    pause: Suspension | None = None
    override: Suspension | None = None
    mute: dict[str, float] = field(default_factory=dict)
    rounds: rounds.Rounds = field(default_factory=rounds.Rounds)
    powered: dict[storm.Domain, tuple[float, str]] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    due_at: float | None = None
    paths: proxies.PathMemory = field(default_factory=proxies.PathMemory)
    alerts: dict[Alert, RaisedAlert] = field(default_factory=dict)
    ended: deque[Operation] = field(default_factory=lambda: deque(maxlen=ENDED_KEPT))
    journal_writable: bool = True
    operations: int = 0
    checks: int = 0
    orders: list[Order] = field(default_factory=list)

    @property
    def startup_ends_at(self) -> float:
        """Until then a host that was not seen since this start is not fenced."""
        return self.started_at + self.rules.safety.startup_hold_s

    def circumstances(self, machine: Machine) -> Circumstances:
        """Gather what is weighed before a host is fenced."""
        about = machine.circumstances(self.startup_ends_at, journal_writable=self.journal_writable)
        if machine.gone or about.operation is not None:
            return about
        return replace(about, operation=self.claimed(machine)) if self.claims else about

    def claimed(self, machine: Machine) -> str | None:
        """Return the operation of a removed host that still switches an outlet of this one."""
        agents = machine.host.power_management.agents if self.claims else ()
        return next((self.claims[a.outlet] for a in agents if a.outlet in self.claims), None)

    def others_heard(self, machine: Machine, since_at: float) -> bool:
        """Whether another host answers, and has done so since then; asks until one is found."""
        others = (name for name in self.answering if name != machine.name)
        return any(self._heard_at(name) > since_at for name in others)

    def hears(self, now: float) -> bool:
        """Whether a host answers, and not only until its next heartbeat tells otherwise."""
        if not self.missed:  # nobody is to be judged: healthy hosts are not looked through
            return bool(self.answering)
        return any(
            self._heard_at(name) >= now - _lately_s(self.hosts[name].heartbeat)
            for name in self.answering
        )

    def _heard_at(self, name: str) -> float:
        at = self.last_answer_at(name)
        return -math.inf if at is None else at

    def new_id(self) -> str:
        """Return the id of a new operation."""
        self.operations += 1
        return f"op_{self.epoch}_{self.operations}"

    def tell(self, event: str, machine: Machine | None = None, **fields: Value) -> None:
        """Order a record."""
        self.orders.append(
            Record(
                event=event,
                host=machine.name if machine else None,
                operation=machine.operation.id if machine and machine.operation else None,
                fields=fields,
            )
        )

    def complete(self, order: RunAgent, target: Host, now: float) -> RunAgent:
        """Complete an order with the machines that may carry it out, and with its limits."""
        return replace(
            order,
            chain=self.chain(order.agent, target, now, without=order.without),
            limits=self.rules.fencing.limits(order.action),
            not_before=self._power_on_at(order, target, now),
        )

    def _power_on_at(self, order: RunAgent, target: Host, now: float) -> float:
        """
        Space power-ons of one domain: many at once may trip a breaker (inrush current).

        All agents of one host are one power-on.
        """
        spacing = self.rules.safety.poweron_spacing
        domain = storm.domain(spacing.by, target)
        if order.action is not FenceAction.ON or not spacing.gap_s or domain is None:
            return 0.0
        last_at, last_host = self.powered.get(domain, (-math.inf, ""))
        same = last_host == target.name and now <= last_at
        at = last_at if same else max(now, last_at + spacing.gap_s)
        self.powered[domain] = (at, target.name)
        return at

    def chain(
        self,
        agent: FenceAgent,
        target: Host,
        now: float,
        *,
        without: Iterable[str] = (),
        among: Mapping[str, Host] | None = None,
    ) -> tuple[Candidate, ...]:
        """
        Return every machine that may do something for *target*, the best first.

        Args:
            among: Only these hosts, and what is named.
        """
        neighbours = proxies.Neighbours(
            eligible=self.serving if among is None else among,
            watched=self.hosts,
            memory=self.paths,
            called=self.called,
            load=self.load(),
        )
        return proxies.chain(target, agent, neighbours, self.rules, now, without=without)

    def read_power(
        self, host: Host, question: str, now: float, *, paths: int | None = None
    ) -> None:
        """Order one reading of every agent, by so many proxies, for what is no operation."""
        for agent in host.power_management.agents:
            order = RunAgent(
                host=host.name,
                operation=question,
                turn=0,
                agent=agent,
                action=FenceAction.STATUS,
            )
            completed = self.complete(order, host, now)
            self.orders.append(replace(completed, chain=completed.chain[:paths]))

    def learn(self, host: Host, event: AgentReplied, now: float) -> None:
        """Remember which proxies reached the device of an agent."""
        for agent in host.power_management.agents:
            if agent.name == event.agent:
                self.paths.learn(agent, event.reply, now)

    def raise_alert(self, alert: Alert, reason: str, now: float) -> None:
        """Raise an alert of the whole site, once; its reason may change."""
        raised = self.alerts.get(alert)
        if raised is None:
            self.tell("alert.raised", alert=alert, reason=reason)
        since_at = now if raised is None else raised.since_at
        self.alerts[alert] = RaisedAlert(name=alert, since_at=since_at, reason=reason)

    def clear_alert(self, alert: Alert) -> None:
        """Clear an alert of the whole site."""
        if self.alerts.pop(alert, None) is not None:
            self.tell("alert.cleared", alert=alert)


def _lately_s(heartbeat: Heartbeat) -> float:
    """Return how long ago a host that answers may have done so: its next time-out has to pass."""
    return watching.PAUSE_INTERVALS * heartbeat.interval_s + heartbeat.timeout_s
