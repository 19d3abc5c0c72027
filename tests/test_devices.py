"""Turns at power switches: behaviour.md section 6."""

from __future__ import annotations

import asyncio

import pytest

from pmwatchd.devices import DeviceQueue

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


class Bench:
    """Callers of one queue, and what happened in which order."""

    def __init__(self) -> None:
        self.time = Time()
        self.queue = DeviceQueue(clock=self.time.clock, sleep=self.time.sleep)
        self.story: list[str] = []
        self._release: dict[str, asyncio.Event] = {}
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
        async with self.queue.turn(device, urgent=urgent, interval_s=interval_s):
            self.story.append(f"+{name}")
            await self._release[name].wait()
            self.story.append(f"-{name}")


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
