"""
From the engine's pictures and the journal's rows to plain JSON values.

A secret has no way through here: of an agent's password nothing is shown, of
its options only the names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from pmwatchd.core.model import FenceAgent, HostStatus
from pmwatchd.core.orders import PowerRead
from pmwatchd.core.views import (
    Hold,
    HostView,
    KeeperView,
    MaintenanceView,
    OperationView,
    RaisedAlert,
)
from pmwatchd.errors import Fault
from pmwatchd.observe.lines import rfc3339
from pmwatchd.ports import Desk, Reloaded, Row

Json = dict[str, object]
NOBODY: Mapping[str, object] = {"by": None, "reason": None, "until": None}
WallOf = Callable[[float], datetime]

EXECUTED = "fence.agent_executed"
STEP_FIELDS = (
    "group",
    "agent",
    "proxy",
    "action",
    "attempt",
    "result",
    "power",
    "took_s",
    "exit_code",
    "reason",
)


def host(view: HostView, wall_of: WallOf) -> Json:
    """One host."""
    target = view.host
    return {
        "name": target.name,
        "address": target.address,
        "cluster": target.cluster,
        "datacenter": target.datacenter,
        "labels": dict(target.labels),
        "status": view.status.value,
        "liveness": view.liveness.value,
        "since": rfc3339(wall_of(view.since_at)),
        "last_answer_at": _shown(view.last_answer_at, wall_of),
        "holds": [_hold(hold, wall_of) for hold in view.holds],
        "alerts": [_condition(alert, wall_of) for alert in view.alerts],
        "operation": view.operation,
        "maintenance": _maintenance(view.maintenance, wall_of),
        "engine": target.engine,
        "automatic": target.automatic,
        "power_management": {
            "enabled": target.power_management.enabled,
            "kdump": target.power_management.kdump,
            "proxies": list(target.power_management.proxies),
            "agents": [agent(one) for one in target.power_management.agents],
        },
    }


def agent(one: FenceAgent) -> Json:
    """How a power switch is reached, without what opens it."""
    return {
        "name": one.name,
        "type": one.type,
        "order": one.order,
        "address": one.address,
        "ipport": one.ipport,
        "plug": one.plug,
        "username": one.username,
        "proxies": None if one.proxies is None else list(one.proxies),
        "switches": one.switches.value,
        "options": sorted(one.options),
    }


def state(row: Row) -> str:
    """Whether an operation still runs, in one word."""
    return "open" if row.get("outcome") is None else "closed"


def operation_row(row: Row, running: OperationView | None) -> Json:
    """One operation from the journal; *running* is the engine's picture of it, if any."""
    outcome = row.get("outcome")
    phase = running.phase if running and outcome is None else None
    return {
        **{name: row[name] for name in ("id", "host", "action", "cause", "by", "reason")},
        "state": state(row),
        "phase": phase,
        "outcome": None if outcome is None else str(outcome),
        "opened_at": rfc3339(row["opened_at"]),
        "closed_at": rfc3339(row.get("closed_at")),
    }


def operation(view: OperationView, wall_of: WallOf) -> Json:
    """One operation as the engine has it, where the journal does not know it yet."""
    row = asdict(view) | {
        "opened_at": wall_of(view.opened_at),
        "closed_at": None if view.closed_at is None else wall_of(view.closed_at),
    }
    return operation_row(row, view)


def steps(records: Iterable[Row]) -> list[Json]:
    """The executions of agents among the records of an operation."""
    return [
        {"at": rfc3339(row["at"]), **{name: row.get(name) for name in STEP_FIELDS}}
        for row in records
        if row["event"] == EXECUTED
    ]


def power_read(name: str, read: PowerRead) -> Json:
    """What the agents of a host read."""
    return {
        "host": name,
        "power": read.power.value,
        "agents": {agent_name: power.value for agent_name, power in read.agents.items()},
        "reasons": dict(read.reasons),
    }


def reloaded(result: Reloaded) -> Json:
    """What a reload did."""
    return {
        "added": list(result.added),
        "changed": list(result.changed),
        "removed": list(result.removed),
        "warnings": list(result.warnings),
    }


def faults(found: Sequence[Fault]) -> list[Mapping[str, object]]:
    """Every fault of a configuration."""
    return [
        {
            "file": fault.file,
            "key": fault.key,
            "reason": fault.reason,
            "remedy": fault.remedy,
            "host": fault.host,
        }
        for fault in found
    ]


def fleet(desk: Desk, version: str) -> Json:
    """The fleet at a glance."""
    views = desk.hosts()
    health, site = desk.health(), desk.site()
    statuses = Counter(view.status.value for view in views)
    return {
        "version": version,
        "ready": health.ready,
        "journal_writable": health.journal_writable,
        "automatic": site.automatic,
        "pause": keeper(site.paused, desk.wall_of),
        "override": {"storm": keeper(site.override, desk.wall_of)},
        "hosts": {status.value: statuses.get(status.value, 0) for status in HostStatus},
        "holds": Counter(hold.name.value for view in views for hold in view.holds),
        "alerts": Counter(
            alert.name.value
            for alert in (*desk.alerts(), *(one for view in views for one in view.alerts))
        ),
        "site_alerts": [_condition(alert, desk.wall_of) for alert in desk.alerts()],
        "operations_open": sum(one.closed_at is None for one in desk.operations()),
    }


def keeper(view: KeeperView | None, wall_of: WallOf) -> Json | None:
    """A person's word for the whole site, or None where there is none."""
    if view is None:
        return None
    return {"by": view.by, "reason": view.reason, "until": _shown(view.until_at, wall_of)}


def _hold(hold: Hold, wall_of: WallOf) -> Json:
    return _condition(hold, wall_of) | {"until": _shown(hold.until_at, wall_of)}


def _condition(condition: Hold | RaisedAlert, wall_of: WallOf) -> Json:
    return {
        "name": condition.name.value,
        "since": rfc3339(wall_of(condition.since_at)),
        "reason": condition.reason,
    }


def _maintenance(view: MaintenanceView | None, wall_of: WallOf) -> Json | None:
    if view is None:
        return None
    return {"by": view.by, "reason": view.reason, "until": _shown(view.until_at, wall_of)}


def _shown(at: float | None, wall_of: WallOf) -> str | None:
    return None if at is None else rfc3339(wall_of(at))
