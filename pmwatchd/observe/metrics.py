"""
The metrics: counters and durations made from records, everything else from snapshots.

Label values come from closed lists; what is not in its list is counted as
``unknown`` rather than lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version as installed_version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pmwatchd.core.model import (
    Action,
    AgentResult,
    Cause,
    FenceAction,
    HoldName,
    Outcome,
    ProbeResult,
    ProxyResult,
)
from pmwatchd.core.orders import Record, Told
from pmwatchd.core.views import HostView
from pmwatchd.observe.phases import Phase, Phases
from pmwatchd.observe.snapshot import Snapshot
from pmwatchd.observe.tally import Tally
from pmwatchd.ports import Desk

PHASES_S = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800)
AGENTS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60)
UNKNOWN = "unknown"


class Metrics:
    """
    Registers every series and keeps them; a teller and a meter.

    Args:
        desk: The engine's desk, or None while there is none yet.
        per_host: One series per host is wanted.
        version: What ``build_info`` shows; that of the installed package unless given.
        wall: Seconds since the epoch, only for showing.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        desk: Callable[[], Desk | None],
        *,
        per_host: bool,
        version: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._wall = wall
        self._phases = Phases()
        self._types_known = False
        self._declare(registry)
        build = Gauge(
            "pmwatchd_build_info", "The running version; always 1.", ["version"], registry=registry
        )
        build.labels(version or installed_version("pmwatchd")).set(1)
        self._begin_at_zero()
        self._tally = Tally()
        registry.register(self._tally)
        registry.register(
            Snapshot(
                desk,
                per_host=per_host,
                wall=wall,
                see=self._begin_types_at_zero,
            )
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        """One heartbeat of one host came to an end."""
        self._tally.heartbeat(result, took_s)

    def start_delay(self, late_s: float) -> None:
        """A round of heartbeats began so much later than planned."""
        self._tally.start_delay(late_s)

    def commit(self, took_s: float) -> None:
        """The journal made a transaction durable."""
        self._tally.commit(took_s)

    def connected(self, proxies: int) -> None:
        """So many SSH connections to proxies are kept now."""
        self._tally.connected(proxies)

    def tell(self, told: Told) -> None:
        """Count one record."""
        record = told.record
        for phase, took_s in self._phases.after(told):
            self._phase_seconds.labels(phase.value).observe(took_s)
        match record.event:
            case "hold.began":
                self._holds_began.labels(_closed(record, "hold", HoldName)).inc()
            case "fence.would_have":
                self._would_have.inc()
            case "fence.agent_executed":
                self._count_execution(record)
            case "fence.proxy_failed":
                self._count_proxy(_text(record, "proxy"), _closed(record, "result", ProxyResult))
            case "fence.closed":
                self._operations.labels(
                    _closed(record, "action", Action),
                    _closed(record, "cause", Cause),
                    _closed(record, "outcome", Outcome),
                ).inc()
            case "inventory.loaded" | "config.reloaded":
                self._types_known = False
                self._count_reload(told.at)
            case "config.reload_failed" | "inventory.refused" | "secret.unreadable":
                self._reload_successful.set(0)

    def _declare(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "pmwatchd_fence_operations_total",
            "Fence operations that came to an end, by how they ended.",
            ["action", "cause", "outcome"],
            registry=registry,
        )
        self._phase_seconds = Histogram(
            "pmwatchd_fence_phase_duration_seconds",
            "How long each phase took: silence until non-responsive (detect), from there to the "
            "operation (hold), to its first off (off_sent), to the proofs, to the answer (booted).",
            ["phase"],
            buckets=PHASES_S,
            registry=registry,
        )
        self._agent_executions = Counter(
            "pmwatchd_agent_executions_total",
            "Executions of fence agents that are over, by how they ended; withdrawn: never sent.",
            ["type", "action", "result"],
            registry=registry,
        )
        self._agent_seconds = Histogram(
            "pmwatchd_agent_execution_duration_seconds",
            "How long an execution of a fence agent took, proxy included.",
            ["type", "action"],
            buckets=AGENTS_S,
            registry=registry,
        )
        self._proxy_executions = Counter(
            "pmwatchd_proxy_executions_total",
            "Agents that a proxy was asked to run; ok: it ran it, whatever the agent then said.",
            ["proxy", "result"],
            registry=registry,
        )
        self._holds_began = Counter(
            "pmwatchd_holds_began_total",
            "Times that a host began to be held back from fencing.",
            ["hold"],
            registry=registry,
        )
        self._would_have = Counter(
            "pmwatchd_would_have_fenced_total",
            "Times that a host would have been fenced if safety.automatic were true.",
            registry=registry,
        )
        self._reload_successful = Gauge(
            "pmwatchd_config_last_reload_successful",
            "1 if the last load of the inventory was accepted.",
            registry=registry,
        )
        self._reload_success_at = Gauge(
            "pmwatchd_config_last_reload_success_timestamp_seconds",
            "When an inventory was last accepted; 0: never.",
            registry=registry,
        )

    def _begin_at_zero(self) -> None:
        for phase in Phase:
            self._phase_seconds.labels(phase.value)
        for hold in HoldName:
            self._holds_began.labels(hold.value)
        for action in Action:
            for cause in Cause:
                for outcome in Outcome:
                    self._operations.labels(action.value, cause.value, outcome.value)

    def _begin_types_at_zero(self, hosts: Sequence[HostView]) -> None:
        """The agent types are known from the inventory; looked for once after each load."""
        if self._types_known:
            return
        self._types_known = bool(hosts)
        types = {agent.type for view in hosts for agent in view.host.power_management.agents}
        for agent_type in types:
            for action in FenceAction:
                self._agent_seconds.labels(agent_type, action.value)
                for result in AgentResult:
                    self._agent_executions.labels(agent_type, action.value, result.value)

    def _count_execution(self, record: Record) -> None:
        action = _closed(record, "action", FenceAction)
        result = _closed(record, "result", AgentResult)
        agent_type = self._agent_type(record)
        self._agent_executions.labels(agent_type, action, result).inc()
        took_s = record.fields.get("took_s")
        if isinstance(took_s, (int, float)) and result != AgentResult.WITHDRAWN:
            self._agent_seconds.labels(agent_type, action).observe(took_s)
        # one that was lost after the start is told as fence.proxy_failed, too, and counted there
        lost = record.fields.get("proxy_result") == ProxyResult.LOST
        if record.fields.get("proxy") is not None and not lost:
            self._count_proxy(_text(record, "proxy"), ProxyResult.OK.value)

    def _count_proxy(self, proxy: str, result: str) -> None:
        for known in ProxyResult:  # a proxy is known from its first use
            self._proxy_executions.labels(proxy, known.value)
        self._proxy_executions.labels(proxy, result).inc()

    def _count_reload(self, at: datetime) -> None:
        self._reload_successful.set(1)
        self._reload_success_at.set(at.timestamp())

    def _agent_type(self, record: Record) -> str:
        if record.fields.get("type") is not None:
            return _text(record, "type")
        desk = self._desk()
        view = desk.host(record.host) if desk and record.host else None
        if view is None:
            return UNKNOWN
        name = record.fields.get("agent")
        agents = view.host.power_management.agents
        return next((agent.type for agent in agents if agent.name == name), UNKNOWN)


def _text(record: Record, name: str) -> str:
    return str(record.fields.get(name, UNKNOWN))


def _closed(record: Record, name: str, known: type[StrEnum]) -> str:
    value = record.fields.get(name)
    return str(value) if value in {member.value for member in known} else UNKNOWN
