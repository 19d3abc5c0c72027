"""What the API is tested with: scripted ports behind a real HTTP server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from pmwatchd.api.app import build_app
from pmwatchd.core.orders import Record, Told
from pmwatchd.errors import JournalError
from pmwatchd.observe.metrics import Metrics
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Entry, Reloaded, Row
from tests.observe.fleet import START, ScriptedDesk

JSON = dict[str, object]


def record_row(sequence: int, event: str = "fence.opened", **fields: object) -> Row:
    return {
        "sequence": sequence,
        "at": "2026-01-01T00:00:05.000000Z",
        "event": event,
        "host": "node1",
        "operation": "op_1",
        **fields,
    }


def operation_row(key: str, *, outcome: str | None = None) -> Row:
    return {
        "id": key,
        "host": "node1",
        "action": "restart",
        "cause": "automatic",
        "by": "",
        "reason": "silent",
        "opened_at": "2026-01-01T00:00:05.000000Z",
        "closed_at": None if outcome is None else "2026-01-01T00:00:25.000000Z",
        "outcome": outcome,
    }


@dataclass
class ScriptedJournal:
    """Holds what the test put there and notes what it is asked for."""

    kept: list[Row] = field(default_factory=list)
    opened: list[Row] = field(default_factory=list)
    asked: list[dict[str, object]] = field(default_factory=list)
    fails: bool = False

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Keep the records; the API never calls it, the test does."""
        for entry in entries:
            if isinstance(entry.order, Told):
                told = entry.order
                self.kept.append(
                    {
                        "sequence": told.sequence,
                        "at": told.at.isoformat(),
                        "event": told.record.event,
                        "host": told.record.host,
                        "operation": told.record.operation,
                        **told.record.fields,
                    }
                )

    async def records(
        self,
        *,
        after: int = 0,
        host: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Row]:
        if self.fails:
            raise JournalError("the disk is gone")
        self.asked.append(
            {"after": after, "host": host, "operation": operation, "since": since, "limit": limit}
        )
        return [row for row in self.kept if int(str(row["sequence"])) > after][:limit]

    async def operations(
        self,
        *,
        host: str | None = None,
        since: datetime | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        self.asked.append({"host": host, "since": since, "operation": operation, "limit": limit})
        return [row for row in self.opened if operation in (None, row["id"])][:limit]


class Room:
    """The API with everything behind it scripted, and a client in front of it."""

    def __init__(self) -> None:
        self.desk = ScriptedDesk()
        self.journal = ScriptedJournal()
        self.stream = EventStream(queue_max=10)
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, lambda: self.desk, per_host=True)
        self.told: list[Record] = []
        self.reloaded = Reloaded()
        self.allowed: list[bool] = []
        self.app: web.Application = build_app(
            desk=self.desk,
            journal=self.journal,
            stream=self.stream,
            registry=self.registry,
            reload=self._reload,
            version="9.9",
            tell=self.told.append,
            wall=lambda: START,
        )
        self.client: TestClient[web.Request, web.Application]

    async def __aenter__(self) -> Self:
        self.client = TestClient(TestServer(self.app))
        await self.client.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.client.close()

    async def ask(
        self, method: str, path: str, body: object = None, *, status: int = 200
    ) -> dict[str, object]:
        """Send a request, make sure of the status and return the document."""
        answer = await self.client.request(method, f"/api/v1{path}", json=body)
        text = await answer.text()
        assert answer.status == status, text
        document: dict[str, object] = await answer.json(content_type=None)
        if status >= 400:
            assert answer.content_type == "application/problem+json"
        return document

    async def _reload(self, allow_removal: bool) -> Reloaded:  # noqa: FBT001 - the port's shape
        self.allowed.append(allow_removal)
        return self.reloaded
