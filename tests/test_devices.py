"""Turns at power switches: behaviour.md section 6."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pmwatchd.devices import ASK_AGAIN_S, DeviceQueue, TextOnly, goes_by_name
from pmwatchd.errors import WithdrawnError

DEVICE = "10.0.0.1:623"


class Time:
    """A clock that stands still, and sleepers that wake when it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.now + duration_s, event))
        await event.wait()

    def set(self, now: float) -> None:
        self.now = now
        for at, event in self._sleepers:
            if at <= now:
                event.set()


class Book:
    """Names and their addresses; a look-up of a slow one ends when the test says so."""

    def __init__(self) -> None:
        self.entries: dict[str, set[str]] = {}
        self.asked: list[tuple[str, float | None]] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:
        self.asked.append((name, within_s))
        await self.answers.wait()
        return frozenset(self.entries.get(name, ()))


class Bench:
    """Callers of one queue, and what happened in which order."""

    def __init__(self) -> None:
        self.time = Time()
        self.book = Book()
        self.queue = DeviceQueue(names=self.book, clock=self.time.clock, sleep=self.time.sleep)
        self.story: list[str] = []
        self._release: dict[str, asyncio.Event] = {}
        self._withdrawn: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def call(
        self, name: str, *, device: str = DEVICE, urgent: bool = False, interval_s: float = 0.0
    ) -> None:
        self._release[name] = asyncio.Event()
        turn = self._turn(name, device, urgent=urgent, interval_s=interval_s)
        self._tasks[name] = asyncio.create_task(turn)
        await self.settle()

    async def end(self, name: str) -> None:
        self._release[name].set()
        await self.settle()

    async def withdraw(self, name: str) -> None:
        """Its turn has come too late."""
        self._withdrawn.add(name)
        await self.end(name)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await self.settle()

    async def at(self, now: float) -> None:
        self.time.set(now)
        await self.settle()

    @staticmethod
    async def settle() -> None:
        """Let every task that can run do so."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def _turn(self, name: str, device: str, *, urgent: bool, interval_s: float) -> None:
        turn = self.queue.turn(device, urgent=urgent, interval_s=interval_s, again_within_s=10.0)
        with contextlib.suppress(WithdrawnError):
            async with turn:
                self.story.append(f"+{name}")
                await self._release[name].wait()
                self.story.append(f"-{name}")
                if name in self._withdrawn:
                    raise WithdrawnError


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_one_execution_at_a_time_per_device(bench: Bench) -> None:
    await bench.call("first")
    await bench.call("second")
    assert bench.story == ["+first"]

    await bench.end("first")
    assert bench.story == ["+first", "-first", "+second"]


async def test_devices_do_not_wait_for_each_other(bench: Bench) -> None:
    await bench.call("here")
    await bench.call("there", device="10.0.0.2:623")

    assert bench.story == ["+here", "+there"]


async def test_off_and_on_go_before_polls_and_equals_in_the_order_they_came(bench: Bench) -> None:
    await bench.call("running")
    await bench.call("poll")
    await bench.call("later poll")
    await bench.call("off", urgent=True)
    await bench.call("on", urgent=True)
    for name in ("running", "off", "on", "poll"):
        await bench.end(name)

    started = [word for word in bench.story if word.startswith("+")]
    assert started == ["+running", "+off", "+on", "+poll", "+later poll"]


async def test_executions_are_apart_by_the_interval_since_the_previous_ended(bench: Bench) -> None:
    await bench.call("first", interval_s=2.0)
    await bench.at(10.0)
    await bench.end("first")
    await bench.call("second", interval_s=2.0)
    await bench.at(11.9)
    assert bench.story == ["+first", "-first"]

    await bench.at(12.0)
    assert bench.story == ["+first", "-first", "+second"]


async def test_off_overtakes_a_poll_that_waits_for_the_interval(bench: Bench) -> None:
    await bench.call("first")
    await bench.end("first")
    await bench.call("poll", interval_s=2.0)
    await bench.at(1.0)
    await bench.call("off", urgent=True, interval_s=2.0)
    await bench.at(2.0)
    assert bench.story == ["+first", "-first", "+off"]

    await bench.at(5.0)
    await bench.end("off")
    await bench.at(7.0)
    assert bench.story[-2:] == ["-off", "+poll"]


async def test_polls_do_not_delay_an_off_for_ever_whose_look_grew_old_in_the_interval(
    bench: Bench,
) -> None:
    await bench.call("reading", interval_s=12.0)
    await bench.end("reading")
    await bench.call("off", urgent=True, interval_s=12.0)
    await bench.call("poll of another host", interval_s=12.0)
    await bench.at(12.0)
    await bench.withdraw("off")
    await bench.at(14.0)  # its next look is over
    await bench.call("off again", urgent=True, interval_s=12.0)

    assert bench.story[-1] == "+off again"


async def test_polls_wait_no_longer_than_an_off_that_was_withdrawn_may_take_to_come_back(
    bench: Bench,
) -> None:
    await bench.call("off", urgent=True, interval_s=12.0)
    await bench.withdraw("off")
    await bench.call("poll", interval_s=12.0)
    await bench.at(9.9)
    assert bench.story == ["+off", "-off"]

    await bench.at(10.0)
    assert bench.story == ["+off", "-off", "+poll"]


async def test_where_no_interval_is_kept_polls_wait_for_no_off_that_was_withdrawn(
    bench: Bench,
) -> None:
    await bench.call("off", urgent=True)
    await bench.withdraw("off")
    await bench.call("poll")

    assert bench.story[-1] == "+poll"


@pytest.mark.parametrize("cancelled", ["first", "second"])
async def test_a_cancelled_caller_leaves_the_turn_to_the_next(bench: Bench, cancelled: str) -> None:
    await bench.call("first")
    await bench.call("second", urgent=True)
    await bench.call("third")
    await bench.cancel(cancelled)
    for name in ("first", "second"):
        await bench.end(name)

    assert bench.story[-1] == "+third"


async def test_a_caller_cancelled_in_its_pause_leaves_the_turn_to_the_next(bench: Bench) -> None:
    await bench.call("first")
    await bench.end("first")
    await bench.call("second", interval_s=60.0)
    await bench.call("third")
    await bench.cancel("second")

    assert bench.story[-1] == "+third"


async def test_a_turn_that_fails_is_given_back() -> None:
    bench = Bench()
    with pytest.raises(ZeroDivisionError):
        async with bench.queue.turn(DEVICE, urgent=True, interval_s=0.0):
            raise ZeroDivisionError
    await bench.call("next")

    assert bench.story == ["+next"]


async def test_a_device_where_a_former_start_may_still_be_at_work_gives_no_turn(
    bench: Bench,
) -> None:
    bench.queue.hold(DEVICE, until_at=40.0)
    await bench.call("first", urgent=True)
    await bench.at(39.9)
    assert bench.story == []
    await bench.at(40.0)

    assert bench.story == ["+first"]


async def test_a_name_and_the_address_behind_it_are_one_device(bench: Bench) -> None:
    bench.book.entries = {"bmc7": {"10.0.0.1"}}
    await bench.call("by name", device="bmc7:623")
    await bench.call("by address", device="10.0.0.1:623")
    await bench.call("another port", device="10.0.0.1:443")
    assert bench.story == ["+by name", "+another port"]

    await bench.end("by name")
    await bench.call("by name again", device="bmc7:623")
    assert bench.story[2:] == ["-by name", "+by address"]

    await bench.end("by address")
    assert bench.story[-1] == "+by name again"


async def test_two_names_with_one_address_in_common_are_one_device(bench: Bench) -> None:
    bench.book.entries = {"pdu-a": {"10.0.0.1", "10.0.0.2"}, "pdu-b": {"10.0.0.2", "10.0.0.3"}}
    await bench.call("a", device="pdu-a:161")
    await bench.call("b", device="pdu-b:161")
    assert bench.story == ["+a"]

    await bench.end("a")
    assert bench.story[-1] == "+b"


async def test_a_name_without_known_addresses_counts_by_its_text(bench: Bench) -> None:
    await bench.call("first", device="bmc7:623")
    await bench.call("second", device="bmc7:623")
    await bench.call("other", device="bmc8:623")

    assert bench.story == ["+first", "+other"]


async def test_a_literal_address_is_looked_up_nowhere_and_its_spellings_are_one_device(
    bench: Bench,
) -> None:
    await bench.call("first", device="fd00::a:623")
    await bench.call("second", device="fd00:0:0:0:0:0:0:a:623")
    await bench.call("v4", device="10.0.0.1:")
    await bench.call("mapped", device="::ffff:10.0.0.1:")

    assert bench.story == ["+first", "+v4"]
    assert bench.book.asked == []
    assert not goes_by_name("10.0.0.1:623")
    assert goes_by_name("bmc7:623")


async def test_a_turn_lets_a_look_up_take_a_second_at_most(bench: Bench) -> None:
    await bench.call("off", device="bmc7:623", urgent=True)

    assert bench.book.asked == [("bmc7", 1.0)]


async def test_turns_at_devices_that_overlap_come_to_an_end_off_before_polls(bench: Bench) -> None:
    bench.book.entries = {"ab": {"10.0.0.1", "10.0.0.2"}, "bc": {"10.0.0.2", "10.0.0.3"}}
    bench.book.entries["ca"] = {"10.0.0.3", "10.0.0.1"}
    await bench.call("b", device="10.0.0.2:623")
    for name in ("ab", "bc", "ca"):
        await bench.call(f"poll {name}", device=f"{name}:623")
    for name in ("ca", "bc", "ab"):
        await bench.call(f"off {name}", device=f"{name}:623", urgent=True)
    # nobody keeps a part while the rest is busy, and what goes first keeps its place
    assert bench.story == ["+b", "+off ca"]

    for name in ("off ca", "b", "off bc", "off ab", "poll ab", "poll bc", "poll ca"):
        await bench.end(name)
    started = [word for word in bench.story if word.startswith("+")]
    assert started[2:] == ["+off bc", "+off ab", "+poll ab", "+poll bc", "+poll ca"]


async def test_the_interval_counts_whatever_the_device_was_called(bench: Bench) -> None:
    bench.book.entries = {"bmc7": {"10.0.0.1"}}
    await bench.call("first", device="bmc7:623")
    await bench.end("first")
    await bench.call("second", device="10.0.0.1:623", interval_s=2.0)
    assert bench.story == ["+first", "-first"]

    await bench.at(2.0)
    assert bench.story[-1] == "+second"


async def test_a_caller_cancelled_while_it_waits_for_one_of_its_addresses_blocks_none(
    bench: Bench,
) -> None:
    bench.book.entries = {"bmc7": {"10.0.0.1", "10.0.0.2"}}
    await bench.call("busy", device="10.0.0.1:623")
    await bench.call("both", device="bmc7:623")
    await bench.call("free", device="10.0.0.2:623")
    assert bench.story == ["+busy"]

    await bench.cancel("both")
    assert bench.story == ["+busy", "+free"]


async def test_a_hold_counts_for_every_address_as_soon_as_it_is_known(bench: Bench) -> None:
    bench.book.entries = {"bmc7": {"10.0.0.1", "fd00::1"}}
    bench.book.answers.clear()
    bench.queue.hold("bmc7:623", until_at=40.0)
    holding = asyncio.create_task(bench.queue.hold_addresses("bmc7:623", until_at=40.0))
    await bench.settle()
    assert bench.book.asked == [("bmc7", None)]  # however long it takes

    bench.book.answers.set()
    await holding
    await bench.call("v4", device="10.0.0.1:623")
    await bench.call("v6", device="fd00::1:623")
    await bench.call("name", device="bmc7:623")
    await bench.at(39.9)
    assert bench.story == []

    await bench.at(40.0)
    await bench.end("v4")
    await bench.end("v6")
    assert bench.story == ["+v4", "+v6", "-v4", "-v6", "+name"]


async def test_a_hold_counts_for_addresses_that_the_resolver_did_not_know_at_first(
    bench: Bench,
) -> None:
    bench.queue.hold("bmc7:623", until_at=40.0)
    holding = asyncio.create_task(bench.queue.hold_addresses("bmc7:623", until_at=40.0))
    await bench.settle()
    bench.book.entries = {"bmc7": {"10.0.0.1"}}
    await bench.at(ASK_AGAIN_S)
    await holding

    await bench.call("v4", device="10.0.0.1:623")
    await bench.at(39.9)
    assert bench.story == []

    await bench.at(40.0)
    assert bench.story == ["+v4"]


async def test_nobody_is_asked_for_addresses_once_a_hold_is_over(bench: Bench) -> None:
    holding = asyncio.create_task(bench.queue.hold_addresses("bmc7:623", until_at=1.5))
    for at in (0.0, 1.0, 1.5):
        await bench.at(at)
    await holding

    assert bench.book.asked == [("bmc7", None)] * 3


async def test_a_hold_of_an_address_counts_for_all_its_spellings(bench: Bench) -> None:
    bench.queue.hold("fd00:0:0:0:0:0:0:1:623", until_at=40.0)
    await bench.call("first", device="fd00::1:623")

    assert bench.story == []


async def test_a_hold_by_name_counts_at_once(bench: Bench) -> None:
    bench.queue.hold("bmc7:623", until_at=40.0)
    await bench.call("first", device="bmc7:623")
    assert bench.story == []

    await bench.at(40.0)
    assert bench.story == ["+first"]


async def test_where_nobody_is_asked_a_device_is_what_it_is_called() -> None:
    assert await TextOnly().addresses("bmc7", within_s=1.0) == frozenset()
