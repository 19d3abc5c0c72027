"""
What all machines of one site share, and the place where one pass collects its orders.

Made by the fleet and handed to the functions that treat one machine, so that
each of them can be called, and tested, with a small site of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pmwatchd.core import proxies
from pmwatchd.core.events import AgentReplied
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert, FenceAction, Host, Rules
from pmwatchd.core.operation import Operation
from pmwatchd.core.orders import Order, Record, RunAgent, Value
from pmwatchd.core.views import RaisedAlert

ENDED_KEPT = 200
"""Ended operations that can be shown without asking the journal."""


@dataclass(slots=True, kw_only=True)
class Site:
    """
    The shared part of the fleet's state.

    Attributes:
        epoch: Number of this start; makes operation ids unique.
        load: Tells how many executions run now, by proxy name.
        serving: Hosts that may run agents for others now.
        orders: What this pass has ordered so far.
    """

    epoch: int
    started_at: float
    rules: Rules = field(default_factory=Rules)
    load: Callable[[], Mapping[str, int]] = dict
    hosts: dict[str, Host] = field(default_factory=dict)
    serving: dict[str, Host] = field(default_factory=dict)
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
        return self.started_at + self.rules.startup_hold_s

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
        neighbours = proxies.Neighbours(
            eligible=self.serving, watched=self.hosts, memory=self.paths, load=self.load()
        )
        found = proxies.chain(
            target, order.agent, neighbours, self.rules, now, without=order.without
        )
        return replace(order, chain=found, limits=self.rules.fencing.limits(order.action))

    def read_power(self, host: Host, question: str, now: float) -> None:
        """Order one reading of every agent, for a question that is no operation."""
        for agent in host.power_management.agents:
            order = RunAgent(
                host=host.name,
                operation=question,
                turn=0,
                agent=agent,
                action=FenceAction.STATUS,
            )
            self.orders.append(self.complete(order, host, now))

    def learn(self, host: Host, event: AgentReplied, now: float) -> None:
        """Remember which proxies reached the device of an agent."""
        for agent in host.power_management.agents:
            if agent.name == event.agent:
                self.paths.learn(agent, event.reply, now)

    def raise_alert(self, alert: Alert, reason: str, now: float) -> None:
        """Raise an alert of the whole site, once."""
        if alert not in self.alerts:
            self.tell("alert.raised", alert=alert, reason=reason)
            self.alerts[alert] = RaisedAlert(name=alert, since_at=now, reason=reason)

    def clear_alert(self, alert: Alert) -> None:
        """Clear an alert of the whole site."""
        if self.alerts.pop(alert, None) is not None:
            self.tell("alert.cleared", alert=alert)
