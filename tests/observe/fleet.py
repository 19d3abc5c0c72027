"""A scripted desk with hosts, for what is only shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from pmwatchd.core.events import PersonEvent
from pmwatchd.core.model import (
    Action,
    Alert,
    Cause,
    FenceAgent,
    Heartbeat,
    HoldName,
    Host,
    HostStatus,
    Liveness,
    Outcome,
    PowerManagement,
    Probe,
    ProbeType,
)
from pmwatchd.core.orders import Accepted, PowerRead, Record, Refused, Told, Value
from pmwatchd.core.views import Hold, HostView, OperationView, RaisedAlert, SiteView
from pmwatchd.ports import Health

START = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = "canary-7f3a"


def host(name: str, **changes: object) -> Host:
    agent = FenceAgent(
        name="bmc",
        type="ipmilan",
        address=f"{name}-bmc.example.org",
        username="fence",
        password=SecretStr(CANARY),
        options={"lanplus": "1", "snmp_priv_passwd": SecretStr(CANARY)},
    )
    plain = Host(
        name=name,
        address=f"{name}.example.org",
        cluster="blue",
        datacenter="east",
        heartbeat=Heartbeat(probes=(Probe(type=ProbeType.TCP, address=name, port=22),)),
        power_management=PowerManagement(agents=(agent,), proxies=("cluster", "dc", "engine")),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def up(name: str, **changes: object) -> HostView:
    view = HostView(
        host=host(name),
        status=HostStatus.UP,
        liveness=Liveness.UP,
        since_at=10.0,
        last_answer_at=20.0,
        holds=(),
        alerts=(),
        operation=None,
        maintenance=None,
    )
    return replace(view, **changes)  # type: ignore[arg-type]


def silent(name: str) -> HostView:
    return up(
        name,
        status=HostStatus.NON_RESPONSIVE,
        liveness=Liveness.NON_RESPONSIVE,
        last_answer_at=None,
        holds=(Hold(name=HoldName.STARTUP, since_at=5.0, reason="300 s after the start"),),
        alerts=(RaisedAlert(name=Alert.UNFENCED, since_at=6.0, reason="no proxy"),),
    )


def operation(key: str = "op_1", *, outcome: Outcome | None = None) -> OperationView:
    return OperationView(
        id=key,
        host="node1",
        action=Action.RESTART,
        cause=Cause.AUTOMATIC,
        by="",
        reason="silent for 60 s",
        phase="powering_off",
        opened_at=30.0,
        closed_at=None if outcome is None else 40.0,
        outcome=outcome,
    )


def told(
    event: str,
    *,
    sequence: int | None = 1,
    after_s: float = 0.0,
    on: str | None = "node1",
    fields: Mapping[str, Value] | None = None,
) -> Told:
    record = Record(event=event, host=on, operation="op_1", fields=fields or {})
    return Told(record, START + timedelta(seconds=after_s), sequence)


@dataclass
class ScriptedDesk:
    """Shows what the test put there and notes what it is asked."""

    views: list[HostView] = field(default_factory=list)
    running: list[OperationView] = field(default_factory=list)
    raised: tuple[RaisedAlert, ...] = ()
    answer: Accepted | Refused | PowerRead | None = None
    condition: Health = field(
        default_factory=lambda: Health(ready=True, journal_writable=True, last_pass_age_s=0.5)
    )
    asked: list[PersonEvent] = field(default_factory=list)
    said: SiteView = field(default_factory=SiteView)
    silent_shares: dict[tuple[str, str], float] = field(default_factory=dict)

    def hosts(self) -> list[HostView]:
        return self.views

    def host(self, name: str) -> HostView | None:
        return next((view for view in self.views if view.host.name == name), None)

    def operations(self) -> list[OperationView]:
        return self.running

    def alerts(self) -> tuple[RaisedAlert, ...]:
        return self.raised

    def site(self) -> SiteView:
        return self.said

    def shares(self) -> Mapping[tuple[str, str], float]:
        return self.silent_shares

    async def ask(self, make: Callable[[int], PersonEvent]) -> Accepted | Refused | PowerRead:
        self.asked.append(make(7))
        return self.answer or Accepted()

    def wall_of(self, at: float) -> datetime:
        return START + timedelta(seconds=at)

    def health(self) -> Health:
        return self.condition
