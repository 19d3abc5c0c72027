"""The event stream: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse

from pmwatchd.api import events
from pmwatchd.core.orders import Told
from pmwatchd.ports import Entry
from tests.api.room import Room, record_row
from tests.observe.fleet import START, told

WITHIN_S = 5


class Follower:
    """A client that reads server-sent events."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def block(self) -> list[str]:
        """The lines up to the next empty one; none at all at the end of the stream."""
        lines = []
        async with asyncio.timeout(WITHIN_S):
            while line := (await self.answer.content.readline()).decode().rstrip("\n"):
                lines.append(line)
        return lines

    async def sequences(self, count: int) -> list[int | None]:
        """The sequences of the next records; id and data agree."""
        found: list[int | None] = []
        while len(found) < count:
            fields = dict(line.split(": ", 1) for line in await self.block() if line[0] != ":")
            sequence = json.loads(fields["data"]).get("sequence")
            assert fields.get("id") == (None if sequence is None else str(sequence))
            found.append(sequence)
        return found


@asynccontextmanager
async def following(
    room: Room, query: str = "", headers: Mapping[str, str] | None = None
) -> AsyncIterator[Follower]:
    async with room.client.get(f"/api/v1/events{query}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        follower = Follower(answer)
        assert await follower.block() == [": begun"]
        yield follower


async def happened(room: Room, *records: Told) -> None:
    """As the engine does it: durable first, then told."""
    for record in records:
        await room.journal.commit([Entry(at=START, order=record)])
        room.stream.tell(record)


async def test_without_a_place_it_begins_with_what_comes_now(room: Room) -> None:
    await happened(room, told("fence.opened", sequence=1))
    async with following(room) as follower:
        await happened(room, told("fence.off_proven", sequence=2))

        assert await follower.sequences(1) == [2]


async def test_a_record_in_the_stream_reads_as_in_the_log(room: Room) -> None:
    async with following(room) as follower:
        await happened(room, told("fence.closed", sequence=5, fields={"outcome": "done"}))
        place, data = await follower.block()

    assert place == "id: 5"
    assert json.loads(data.removeprefix("data: ")) == {
        "timestamp": "2026-01-01T00:00:00.000Z",
        "level": "info",
        "event": "fence.closed",
        "message": "Operation op_1 on node1 has ended: done",
        "sequence": 5,
        "host": "node1",
        "operation": "op_1",
        "outcome": "done",
    }


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=1", {}),
        ("", {"Last-Event-ID": "1"}),
        ("", {"Last-Event-ID": f"{1:05000}"}),
        ("?after=0", {"Last-Event-ID": "1"}),
    ],
)
async def test_a_client_that_comes_back_gets_what_it_missed_and_then_what_follows(
    room: Room, query: str, headers: dict[str, str]
) -> None:
    room.journal.kept = [record_row(1), record_row(2), record_row(3)]
    async with following(room, query, headers) as follower:
        await happened(room, told("fence.closed", sequence=4))

        assert await follower.sequences(3) == [2, 3, 4]


async def test_a_long_absence_is_read_in_pages(room: Room) -> None:
    count = events.PAGE + 10
    room.journal.kept = [record_row(number) for number in range(1, count + 1)]
    async with following(room, "?after=0") as follower:
        assert await follower.sequences(count) == list(range(1, count + 1))


async def test_a_slow_client_reads_the_rest_from_the_journal(room: Room) -> None:
    async with following(room, "?after=0") as follower:
        # more than its queue holds, without a pause in which it could be emptied
        for number in range(1, 51):
            record = told("fence.closed", sequence=number)
            room.journal.kept.append(record_row(number))
            room.stream.tell(record)

        assert await follower.sequences(50) == list(range(1, 51))


async def test_a_gap_in_the_stream_is_filled_from_the_journal(room: Room) -> None:
    async with following(room, "?after=0") as follower:
        await happened(room, told("fence.opened", sequence=1))
        assert await follower.sequences(1) == [1]
        room.journal.kept.append(record_row(2))
        await happened(room, told("fence.closed", sequence=3))

        assert await follower.sequences(2) == [2, 3]


async def test_a_record_that_is_not_kept_has_no_place(room: Room) -> None:
    async with following(room, "?after=0") as follower:
        await happened(room, told("fence.opened", sequence=1))
        room.stream.tell(told("proxy.connected", sequence=None))

        assert await follower.sequences(2) == [1, None]


async def test_a_quiet_stream_is_kept_alive(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEPALIVE_S", 0.01)
    async with following(room) as follower:
        assert await follower.block() == [": keepalive"]
        await happened(room, told("fence.opened", sequence=1))
        blocks = [await follower.block()]
        while blocks[-1] == [": keepalive"]:
            blocks.append(await follower.block())

    assert blocks[-1][0] == "id: 1"


async def test_the_stream_ends_when_the_daemon_stops(room: Room) -> None:
    async with following(room) as follower:
        room.stream.close()

        assert await follower.block() == []


async def test_a_journal_that_fails_ends_the_stream_so_that_the_client_comes_back(
    room: Room,
) -> None:
    room.journal.fails = True
    async with following(room, "?after=0") as follower:
        assert await follower.block() == []


async def test_a_client_that_is_gone_is_forgotten(room: Room) -> None:
    async with following(room):
        assert len(room.stream) == 1
    async with asyncio.timeout(WITHIN_S):
        while len(room.stream):
            room.stream.tell(told("proxy.connected", sequence=None))
            await asyncio.sleep(0)


async def test_there_is_a_limit_to_followers(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FOLLOWERS_MAX", 1)
    async with following(room):
        assert (await room.ask("GET", "/events", status=503))["type"] == "too-many-followers"


@pytest.mark.parametrize("place", ["x", "-1", "²", "9" * 30, "0" * 30 + "9" * 30])
async def test_a_place_that_is_no_sequence_is_refused(room: Room, place: str) -> None:
    answer = await room.client.get(
        "/api/v1/events", headers={"Last-Event-ID": place.encode().decode("latin-1")}
    )

    assert answer.status == 400
