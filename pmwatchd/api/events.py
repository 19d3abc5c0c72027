"""
The events as they happen, over server-sent events.

What was missed comes from the journal, what follows from the stream; the
sequence joins them, so that no journalled record is lost or shown twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from pmwatchd.api.asked import SEQUENCE_MAX, Query
from pmwatchd.api.problems import ProblemError
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.orders import Told
from pmwatchd.errors import JournalError
from pmwatchd.observe.lines import line_of, line_of_row
from pmwatchd.observe.stream import Signal, Subscription
from pmwatchd.ports import Journal

FOLLOWERS_MAX = 100
KEEPALIVE_S = 15.0
PAGE = 1000

routes = web.RouteTableDef()


@dataclass(slots=True)
class Follower:
    """
    One client's place in the story.

    Attributes:
        last: Sequence of the last record that it has, or None: it begins with what comes now.
    """

    journal: Journal
    subscription: Subscription
    last: int | None

    async def lines(self) -> AsyncIterator[dict[str, object]]:
        """Every record after the last one, then each as it is told, until the stream ends."""
        async for line in self._from_journal():
            yield line
        while True:
            item = await self.subscription.next()
            if item is Signal.CLOSED:
                return
            if item is Signal.MISSED:
                async for line in self._from_journal():
                    yield line
            elif isinstance(item, Told):
                async for line in self._live(item):
                    yield line

    async def _live(self, told: Told) -> AsyncIterator[dict[str, object]]:
        sequence = told.sequence
        if sequence is None:  # not kept, so it has no place
            yield line_of(told)
            return
        if self.last is not None and sequence > self.last + 1:
            async for line in self._from_journal():
                yield line
        if self.last is None or sequence > self.last:
            self.last = sequence
            yield line_of(told)

    async def _from_journal(self) -> AsyncIterator[dict[str, object]]:
        if self.last is None:
            return
        while True:
            rows = await self.journal.records(after=self.last, limit=PAGE)
            for row in rows:
                self.last = int(str(row["sequence"]))
                yield line_of_row(row)
            if len(rows) < PAGE:
                return


@routes.get("/api/v1/events")
async def follow(request: web.Request) -> web.StreamResponse:
    """
    Server-sent events; ``id`` is the sequence in the journal.

    ``?after=`` or ``Last-Event-ID`` begins behind that record; without either
    it begins with what happens from now on.
    """
    shown = request.app[SHOWN]
    after = _after(request)
    if len(shown.stream) >= FOLLOWERS_MAX:
        raise ProblemError(503, "too-many-followers", "Too many clients follow the events.")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    with shown.stream.subscribe() as subscription:
        await response.prepare(request)
        await response.write(b": begun\n\n")  # now nothing will be missed
        follower = Follower(shown.journal, subscription, after)
        # headers are sent, so a failing journal can only end the stream; the client comes back
        with suppress(JournalError):
            await _send(response, follower)
    return response


async def _send(response: web.StreamResponse, follower: Follower) -> None:
    lines = aiter(follower.lines())
    waiting: asyncio.Task[dict[str, object] | None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.create_task(_next(lines))
            done, _ = await asyncio.wait({waiting}, timeout=KEEPALIVE_S)
            if not done:
                await response.write(b": keepalive\n\n")  # also finds out that a client is gone
                continue
            line = waiting.result()
            waiting = None
            if line is None:
                return
            await response.write(_event(line))
    finally:
        if waiting:
            waiting.cancel()


async def _next(lines: AsyncIterator[dict[str, object]]) -> dict[str, object] | None:
    return await anext(lines, None)


def _event(line: dict[str, object]) -> bytes:
    sequence = line.get("sequence")
    place = "" if sequence is None else f"id: {sequence}\n"
    return f"{place}data: {json.dumps(line, default=str)}\n\n".encode()


def _after(request: web.Request) -> int | None:
    query = Query(request, ("after",))
    header = request.headers.get("Last-Event-ID", "")
    if header:  # a client that comes back knows better than its first address
        number = header.lstrip("0")[:20]  # as many digits as tell whether it is too large
        if not (header.isascii() and header.isdecimal() and int(number or 0) <= SEQUENCE_MAX):
            raise ProblemError(400, "invalid", "Last-Event-ID must be a sequence.")
        return int(number or 0)
    after = query.number("after", default=-1)
    return None if after < 0 else after
