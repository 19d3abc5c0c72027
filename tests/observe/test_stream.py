"""The event stream waits for nobody."""

from __future__ import annotations

from pmwatchd.observe.stream import EventStream, Signal
from tests.observe.fleet import told


async def test_every_subscriber_gets_every_record_in_order() -> None:
    stream = EventStream()
    first, second = told("fence.opened", sequence=1), told("fence.closed", sequence=2)
    with stream.subscribe() as one, stream.subscribe() as other:
        stream.tell(first)
        stream.tell(second)

        assert [await one.next(), await one.next()] == [first, second]
        assert [await other.next(), await other.next()] == [first, second]


async def test_a_slow_subscriber_is_told_that_it_missed_and_hears_what_follows() -> None:
    stream = EventStream(queue_max=3)
    records = [told("fence.closed", sequence=number) for number in range(1, 6)]
    with stream.subscribe() as slow:
        for record in records:
            stream.tell(record)

        assert [await slow.next() for _ in range(3)] == [Signal.MISSED, records[3], records[4]]


async def test_a_slow_subscriber_does_not_cost_the_others_anything() -> None:
    stream = EventStream(queue_max=2)
    with stream.subscribe(), stream.subscribe() as quick:
        for number in range(1, 10):
            record = told("fence.closed", sequence=number)
            stream.tell(record)

            assert await quick.next() == record


async def test_a_subscription_ends_with_its_block() -> None:
    stream = EventStream()
    with stream.subscribe():
        assert len(stream) == 1

    assert len(stream) == 0


async def test_closing_ends_every_subscription_also_later_ones() -> None:
    stream = EventStream()
    with stream.subscribe() as early:
        stream.close()
        with stream.subscribe() as late:
            assert await early.next() is Signal.CLOSED
            assert await late.next() is Signal.CLOSED
