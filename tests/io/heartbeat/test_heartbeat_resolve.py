"""Names and addresses."""

from __future__ import annotations

import asyncio
import socket

from pmwatchd.core.model import ProbeResult
from pmwatchd.io.heartbeat.resolve import REFRESH_S, RETRY_S, Address, Resolver
from tests.io.heartbeat.scene import accepting, host, running, tcp

# RFC 6761 reserves the name; the second label is too long to be encoded, so nobody is asked.
NOT_A_NAME = "node1." + "x" * 70 + ".invalid"


class Asking:
    """A resolver whose look-ups can be awaited."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self.resolver = Resolver(self._ended.set)

    async def ended(self, now: float) -> list[str]:
        await asyncio.wait_for(self._ended.wait(), 10)
        self._ended.clear()
        return self.resolver.take(now)


async def test_an_address_is_its_own_answer() -> None:
    resolver = Resolver(lambda: None)

    assert resolver.address("192.0.2.7", 0.0) == Address(socket.AF_INET, "192.0.2.7")
    assert resolver.address("2001:db8::7", 0.0) == Address(socket.AF_INET6, "2001:db8::7")
    assert not resolver.is_asking("192.0.2.7")


async def test_a_name_is_known_after_its_look_up() -> None:
    asking = Asking()

    assert asking.resolver.address("localhost", 0.0) is None
    assert asking.resolver.is_asking("localhost")
    assert await asking.ended(1.0) == ["localhost"]
    address = asking.resolver.address("localhost", 1.0)
    assert address is not None
    assert address.ip in ("127.0.0.1", "::1")


async def test_a_name_is_asked_for_once_at_a_time() -> None:
    asking = Asking()
    for _ in range(5):
        asking.resolver.address("localhost", 0.0)

    assert await asking.ended(1.0) == ["localhost"]
    assert asking.resolver.take(1.0) == []


async def test_a_name_that_failed_is_asked_for_again_later() -> None:
    asking = Asking()
    asking.resolver.address(NOT_A_NAME, 0.0)
    await asking.ended(1.0)

    assert asking.resolver.address(NOT_A_NAME, 1.0) is None
    assert not asking.resolver.is_asking(NOT_A_NAME)
    asking.resolver.address(NOT_A_NAME, 1.0 + RETRY_S)
    assert asking.resolver.is_asking(NOT_A_NAME)
    await asking.ended(2.0 + RETRY_S)


async def test_a_known_address_stays_in_use_while_it_is_looked_up_again() -> None:
    asking = Asking()
    asking.resolver.address("localhost", 0.0)
    await asking.ended(0.0)
    before = asking.resolver.address("localhost", 1.0)

    assert asking.resolver.address("localhost", REFRESH_S) == before
    assert asking.resolver.is_asking("localhost")
    assert await asking.ended(REFRESH_S) == ["localhost"]


async def test_a_name_nobody_watches_is_forgotten() -> None:
    asking = Asking()
    asking.resolver.address("localhost", 0.0)
    await asking.ended(0.0)
    asking.resolver.keep({"192.0.2.7"})

    assert asking.resolver.address("localhost", 1.0) is None
    await asking.ended(1.0)


async def test_a_host_can_be_watched_by_name() -> None:
    with accepting() as port:
        async with running() as scene:
            assert await scene.scheduler.probe(host(tcp(port, "localhost"))) is ProbeResult.ALIVE


async def test_a_name_that_cannot_be_resolved_is_a_local_fault() -> None:
    async with running() as scene:
        result = await scene.scheduler.probe(host(tcp(22, NOT_A_NAME)))

    assert result is ProbeResult.LOCAL_FAULT
