"""The loop: in which order it hears what waits in its inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pmwatchd.core.events import (
    Answered,
    CancelRequested,
    HeartbeatsHeard,
    InventoryLoaded,
    MaintenanceEndRequested,
    PowerRequested,
    Silent,
)
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import Action, Host, Liveness
from pmwatchd.core.orders import Accepted, Record, Refused, Told
from pmwatchd.engine import Engine
from pmwatchd.errors import JournalUnwritableError
from pmwatchd.ports import Entry, Row
from tests.core.scene import RULES, agent, host

NODE7, NODE8 = host("node7", agent()), host("node8", agent())


@dataclass
class StillClock:
    """Time stands still, so that it decides nothing here."""

    def now(self) -> float:
        return 1000.0

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class SlowBook:
    """A journal whose commits last until they are let go on."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, _entries: Sequence[Entry]) -> None:
        self.begun.set()
        await self.go_on.wait()

    async def records(self, **_wanted: object) -> list[Row]:
        return []

    async def operations(self, **_wanted: object) -> list[Row]:
        return []


@dataclass
class Story:
    """What was told, in order."""

    events: list[str] = field(default_factory=list)

    def tell(self, told: Told) -> None:
        self.events.append(told.record.event)


def loaded(*hosts: Host) -> InventoryLoaded:
    return InventoryLoaded({one.name: one for one in hosts}, RULES)


def answered(target: Host) -> HeartbeatsHeard:
    return HeartbeatsHeard((Answered(target.name, 1000.0),))


def silent(target: Host) -> HeartbeatsHeard:
    return HeartbeatsHeard((), (Silent(target.name, None),))


def liveness(engine: Engine, name: str) -> Liveness:
    view = engine.host(name)
    assert view is not None
    return view.liveness


@asynccontextmanager
async def writing(story: Story | None = None) -> AsyncIterator[Engine]:
    """
    Yield an engine that waits for its journal.

    What is put into its inbox meanwhile is heard together, and has been at the end.
    """
    book = SlowBook()
    engine = Engine(
        fleet=Fleet(epoch=1, now=1000.0, wall=StillClock().wall()),
        journal=book,
        carry_out=lambda _act: None,
        tellers=(story or Story(),),
        clock=StillClock(),
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(engine.run())
        engine.put(loaded(NODE7))
        engine.tell(Record(event="api.command"))
        await book.begun.wait()
        yield engine
        book.go_on.set()
        await engine.ask(lambda n: MaintenanceEndRequested(request=n, host="node7", by="ann"))
        running.cancel()


async def test_the_first_answer_of_a_new_host_is_not_lost() -> None:
    async with writing() as engine:
        engine.put(loaded(NODE7, NODE8))
        engine.put(answered(NODE8))

    assert liveness(engine, "node8") is Liveness.UP


async def test_an_answer_at_an_old_address_does_not_count_at_the_new_one() -> None:
    async with writing() as engine:
        engine.put(answered(NODE7))
        engine.put(loaded(replace(NODE7, address="10.0.9.9")))

    assert liveness(engine, "node7") is Liveness.UNKNOWN


async def test_what_was_heard_keeps_its_order() -> None:
    async with writing() as engine:
        engine.put(answered(NODE7))
        engine.put(silent(NODE7))

    assert liveness(engine, "node7") is Liveness.CONNECTING


async def test_an_answer_is_heard_before_what_came_before_it() -> None:
    story = Story()
    async with writing(story) as engine:
        engine.tell(Record(event="proxy.closed"))
        engine.put(answered(NODE7))

    assert story.events[-2:] == ["watch.answered", "proxy.closed"]


@dataclass
class FullBook(SlowBook):
    """A journal that takes nothing from now on, once it is full."""

    full: bool = False

    async def commit(self, _entries: Sequence[Entry]) -> None:
        if self.full:
            raise JournalUnwritableError("the disk is full")


async def test_a_word_about_an_operation_that_cannot_be_kept_is_refused_though_it_holds() -> None:
    book = FullBook()
    engine = Engine(
        fleet=Fleet(epoch=1, now=1000.0, wall=StillClock().wall()),
        journal=book,
        carry_out=lambda _act: None,
        tellers=(),
        clock=StillClock(),
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(engine.run())
        engine.put(loaded(NODE7))

        def on(number: int) -> PowerRequested:
            return PowerRequested(request=number, host="node7", action=Action.ON, by="ann")

        first = await engine.ask(on)
        book.full = True
        joined = await engine.ask(on)
        cancelled = await engine.ask(lambda n: CancelRequested(request=n, host="node7", by="ann"))
        running.cancel()

    assert isinstance(first, Accepted)
    assert joined == Accepted(operation=first.operation, joined=True)
    assert isinstance(cancelled, Refused)
    assert cancelled.type == "journal-unwritable"
    assert "it holds now" in cancelled.reason
