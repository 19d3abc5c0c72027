"""Addresses of names: one device however it is called, behaviour.md section 6."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pmwatchd.devices import DeviceQueue
from pmwatchd.io.names import REFRESH_S, RETRY_S, SystemNames


class NameServer:
    """Answers what the test says, and hangs while the gate is shut."""

    def __init__(self) -> None:
        self.answer: frozenset[str] | Exception = frozenset({"10.0.0.1"})
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.now = 1000.0
        self.names = SystemNames(clock=lambda: self.now, ask=self.ask)

    def ask(self, name: str) -> frozenset[str]:
        self.asked.append(name)
        assert self.gate.wait(timeout=20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def known(self, *, within_s: float | None = 5.0) -> frozenset[str]:
        return await self.names.addresses("bmc7", within_s=within_s)

    async def ended(self) -> None:
        """Wait for the end of the look-up that is under way."""
        look_up = self.names._known["bmc7"].look_up
        assert look_up is not None
        await asyncio.wait([look_up])


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.gate.set()
    server.names.close()


async def test_a_name_has_all_the_addresses_that_the_system_knows() -> None:
    names = SystemNames(clock=lambda: 0.0)
    try:
        assert "127.0.0.1" in await names.addresses("localhost", within_s=None)
        assert await names.addresses("x" * 70 + ".invalid", within_s=None) == frozenset()
    finally:
        names.close()


async def test_a_device_called_by_the_systems_name_of_its_address_is_that_device() -> None:
    names = SystemNames(clock=lambda: 0.0)
    queue = DeviceQueue(names=names, clock=lambda: 0.0, sleep=asyncio.sleep)
    try:
        async with queue.turn("localhost:623", urgent=True, interval_s=0.0):
            with pytest.raises(TimeoutError):
                async with (
                    asyncio.timeout(0.05),
                    queue.turn("127.0.0.1:623", urgent=True, interval_s=0.0),
                ):
                    pass
        async with queue.turn("127.0.0.1:623", urgent=True, interval_s=0.0):
            pass
    finally:
        names.close()


async def test_a_resolver_that_hangs_is_waited_for_once_and_not_for_long(
    server: NameServer,
) -> None:
    server.gate.clear()
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    assert await server.known(within_s=0.1) == frozenset()
    assert 0.09 < loop.time() - began_at < 5.0

    server.now += 0.1  # the look-up has had its time
    began_at = loop.time()
    async with asyncio.timeout(5.0):
        for _ in range(100):
            assert await server.known(within_s=0.1) == frozenset()
    assert loop.time() - began_at < 0.1
    assert server.asked == ["bmc7"]

    server.gate.set()
    assert await server.known(within_s=None) == {"10.0.0.1"}


async def test_a_name_that_is_known_is_not_asked_for_again_for_a_while(server: NameServer) -> None:
    await server.known()
    server.now += REFRESH_S - 1
    assert await server.known() == {"10.0.0.1"}
    assert server.asked == ["bmc7"]


async def test_what_is_known_is_had_at_once_and_refreshed_behind_it(server: NameServer) -> None:
    await server.known()
    server.answer = frozenset({"10.0.0.2", "fd00::2"})
    server.now += REFRESH_S

    assert await server.known() == {"10.0.0.1"}
    await server.ended()
    assert await server.known() == {"10.0.0.2", "fd00::2"}
    assert server.asked == ["bmc7", "bmc7"]


async def test_the_last_known_addresses_stay_valid_while_look_ups_fail(server: NameServer) -> None:
    await server.known()
    server.answer = OSError("no name server")
    for number in range(3):
        server.now += REFRESH_S
        assert await server.known() == {"10.0.0.1"}
        await server.ended()
        assert len(server.asked) == number + 2

    assert await server.known() == {"10.0.0.1"}


@pytest.mark.parametrize(
    "failure", [OSError("not found"), UnicodeEncodeError("idna", "x", 0, 1, "label too long")]
)
async def test_a_name_that_cannot_be_found_is_asked_for_again_soon(
    server: NameServer, failure: Exception
) -> None:
    server.answer = failure
    assert await server.known() == frozenset()
    assert await server.known() == frozenset()
    assert len(server.asked) == 1

    server.answer = frozenset({"10.0.0.1"})
    server.now += RETRY_S
    assert await server.known() == {"10.0.0.1"}


async def test_several_who_ask_at_once_share_a_look_up(server: NameServer) -> None:
    assert set(await asyncio.gather(*(server.known() for _ in range(5)))) == {
        frozenset({"10.0.0.1"})
    }
    assert len(server.asked) == 1
