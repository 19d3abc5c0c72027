"""A daemon whose engine and journal are scripted; its API and its socket are the real ones."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from pmwatchd.api.app import build_app
from pmwatchd.api.server import serve
from pmwatchd.core.events import (
    AckRequested,
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    PersonEvent,
    PowerRequested,
    ResumeRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import (
    Action,
    Cause,
    FenceAgent,
    Heartbeat,
    Host,
    HostStatus,
    Liveness,
    Outcome,
    PowerManagement,
)
from pmwatchd.core.orders import Accepted, PowerRead, Record, Refused, Told
from pmwatchd.core.views import (
    HostView,
    MaintenanceView,
    OperationView,
    RaisedAlert,
    SiteView,
)
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Entry, Health, Reloaded, Row
from tests.cli.keepers import heard

BEGAN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
Answer = Accepted | Refused | PowerRead


def view(name: str, status: HostStatus = HostStatus.UP, *, cluster: str = "blue") -> HostView:
    """A host with one agent, in this status."""
    liveness = Liveness.UP if status is not HostStatus.NON_RESPONSIVE else Liveness.NON_RESPONSIVE
    agent = FenceAgent(name="bmc", type="ipmilan", address=f"{name}-bmc", username="fence")
    return HostView(
        host=Host(
            name=name,
            address=f"10.0.0.{name.removeprefix('node')}",
            heartbeat=Heartbeat(probes=()),
            cluster=cluster,
            labels={"rack": "r1"},
            power_management=PowerManagement(agents=(agent,), proxies=("cluster", "dc", "engine")),
        ),
        status=status,
        liveness=liveness,
        since_at=0.0,
        last_answer_at=60.0,
        holds=(),
        alerts=(),
        operation=None,
        maintenance=None,
    )


def operation(key: str, host: str, action: Action, outcome: Outcome | None) -> OperationView:
    """An operation of a person, open or ended after twelve seconds."""
    return OperationView(
        id=key,
        host=host,
        action=action,
        cause=Cause.PERSON,
        by="ann",
        reason="fan noise",
        phase="off_sent",
        opened_at=100.0,
        closed_at=None if outcome is None else 112.0,
        outcome=outcome,
    )


@dataclass
class Script:
    """
    The engine, the journal and the reload, as the test wants them.

    Attributes:
        answers: What a person's event about a host is answered with; the rest is refused.
        asked: Every event that arrived.
        looked: How often somebody wanted to know about operations.
        outcomes: How an operation that the command begins ends; None: it stays open.
    """

    views: dict[str, HostView] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    outcomes: dict[str, Outcome | None] = field(default_factory=dict)
    asked: list[PersonEvent] = field(default_factory=list)
    began: list[OperationView] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    result: Reloaded = field(default_factory=Reloaded)
    allowed: list[bool] = field(default_factory=list)
    looked: int = 0
    site_alerts: tuple[RaisedAlert, ...] = ()
    said: SiteView = field(default_factory=SiteView)
    silent: asyncio.Event | None = None

    def hosts(self) -> list[HostView]:
        """Every host."""
        return list(self.views.values())

    def host(self, name: str) -> HostView | None:
        """One host."""
        return self.views.get(name)

    def operations(self) -> list[OperationView]:
        """Operations that were begun."""
        self.looked += 1
        return list(self.began)

    def alerts(self) -> tuple[RaisedAlert, ...]:
        """Alerts that concern no single host."""
        return self.site_alerts

    def site(self) -> SiteView:
        """What people said for the whole site."""
        return self.said

    def shares(self) -> dict[tuple[str, str], float]:
        """Nothing is silent."""
        return {}

    def wall_of(self, at: float) -> datetime:
        """An instant of the script."""
        return BEGAN + timedelta(seconds=at)

    def health(self) -> Health:
        """All is well."""
        return Health(ready=True, journal_writable=True, last_pass_age_s=0.0)

    async def ask(self, make: Callable[[int], PersonEvent]) -> Answer:
        """Answer as scripted."""
        event = make(1)
        self.asked.append(event)
        if self.silent is not None:
            await self.silent.wait()
        match event:
            case MaintenanceRequested(host=name, by=by, reason=reason, for_s=for_s):
                maintenance = MaintenanceView(by=by, reason=reason, until_at=for_s)
                self.views[name] = replace(self.views[name], maintenance=maintenance)
                return Accepted()
            case MaintenanceEndRequested(host=name):
                self.views[name] = replace(self.views[name], maintenance=None)
                return Accepted()
            case (
                PauseRequested() | ResumeRequested() | OverrideRequested() | OverrideEndRequested()
            ):
                self.said, answer = heard(self.said, event)
                return answer
            case AckRequested(host=name):
                parked = Refused(type="not-parked", reason=f"{name} is not parked")
                return self.answers.get(name, parked)
            case (
                StatusRequested(host=name) | CancelRequested(host=name) | VouchRequested(host=name)
            ):
                return self.answers[name]
            case PowerRequested(host=name, action=action):
                begun = self.answers.get(name) or Accepted(operation=f"op_{name}")
                if isinstance(begun, Accepted) and begun.operation:
                    outcome = self.outcomes.get(name, Outcome.DONE)
                    self.began.append(operation(begun.operation, name, action, outcome))
                return begun

    async def reload(self, allow_removal: bool) -> Reloaded:  # noqa: FBT001 - the API calls it so
        """Do what the script says."""
        self.allowed.append(allow_removal)
        return self.result


@dataclass
class Shelf:
    """The journal: the records of the script, and its operations."""

    script: Script

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Nothing is written here."""
        del entries

    async def records(
        self,
        *,
        after: int = 0,
        host: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Row]:
        """Records of the script."""
        del since
        found: list[Row] = [
            row
            for row in self.script.rows
            if int(str(row["sequence"])) > after
            and host in (None, row.get("host"))
            and operation in (None, row.get("operation"))
        ]
        return found[:limit]

    async def operations(
        self,
        *,
        host: str | None = None,
        since: datetime | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """Operations of the script."""
        del since
        found: list[Row] = [
            {
                "id": one.id,
                "host": one.host,
                "action": one.action.value,
                "cause": one.cause.value,
                "by": one.by,
                "reason": one.reason,
                "opened_at": self.script.wall_of(one.opened_at),
                "closed_at": None if one.closed_at is None else self.script.wall_of(one.closed_at),
                "outcome": None if one.outcome is None else one.outcome.value,
            }
            for one in reversed(self.script.began)
            if host in (None, one.host) and operation in (None, one.id)
        ]
        return found[:limit]


@dataclass
class ScriptedDaemon:
    """The API on a socket, in a thread of its own."""

    socket: Path
    script: Script = field(default_factory=Script)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _stream: EventStream = field(default_factory=EventStream)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What ``--url`` wants."""
        return f"unix:{self.socket}"

    def start(self) -> None:
        """Listen, and return when it does."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._wait(self._open())

    def stop(self) -> None:
        """End it."""
        if self._thread is None:
            return
        if self.script.silent is not None:
            self._loop.call_soon_threadsafe(self.script.silent.set)
        self._wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = None

    def tell(self, sequence: int, event: str, **fields: str) -> None:
        """Tell and keep one record, as the engine does."""
        host = fields.pop("host", None)
        self.script.rows.append(
            {"sequence": sequence, "at": BEGAN, "event": event, "host": host, **fields}
        )
        told = Told(Record(event=event, host=host, fields=dict(fields)), BEGAN, sequence)
        self._loop.call_soon_threadsafe(self._stream.tell, told)

    def followers(self) -> int:
        """How many listen to the events now."""
        return len(self._stream)

    def be_silent(self) -> None:
        """Take requests from now on and answer none."""
        self.script.silent = asyncio.Event()

    async def _open(self) -> None:
        script = self.script
        app = build_app(
            desk=script,
            journal=Shelf(script),
            stream=self._stream,
            registry=CollectorRegistry(),
            reload=script.reload,
            version="0.1.0",
            tell=lambda _record: None,
        )
        await self._stack.enter_async_context(serve(app, socket_path=self.socket))

    def _wait(self, work: Awaitable[object]) -> None:
        async def done() -> None:
            await work

        future: Future[None] = asyncio.run_coroutine_threadsafe(done(), self._loop)
        future.result(timeout=10)


@dataclass(frozen=True)
class Said:
    """What one command line said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return the one document on stdout."""
        return json.loads(self.out)


Run = Callable[..., Said]
