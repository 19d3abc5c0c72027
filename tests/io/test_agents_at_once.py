"""Several executions that need the metadata of one agent at once ask it once."""

from __future__ import annotations

import asyncio

import pytest

from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.io.agents import Catalogue
from pmwatchd.ports import Completed
from tests.io.test_agents_catalogue import AGENT, GARBAGE, NEW, NODE2, STATUS, Site


@pytest.mark.parametrize("says", [NEW, GARBAGE[0]])
async def test_several_at_once_ask_once_and_share_the_answer(says: Completed) -> None:
    site = Site(says)
    site.proxies.open.clear()
    several = [asyncio.create_task(site.execute(AGENT, STATUS, NODE2)) for _ in range(5)]
    await settled()
    site.proxies.open.set()
    await asyncio.gather(*several)

    assert len(site.proxies.asked) == 1
    assert len(set(site.proxies.told)) == 1
    assert len(site.proxies.told) == 5


async def test_a_proxy_that_fails_for_one_fails_for_all_that_wait() -> None:
    site = Site(ProxyError(ProxyResult.HOST_KEY, "another key"))
    site.proxies.open.clear()
    several = [asyncio.create_task(site.execute(AGENT, STATUS, NODE2)) for _ in range(3)]
    await settled()
    site.proxies.open.set()
    ended = await asyncio.gather(*several, return_exceptions=True)

    assert [getattr(one, "result", None) for one in ended] == [ProxyResult.HOST_KEY] * 3
    assert len(site.proxies.asked) == 1


async def test_when_the_one_that_asks_is_cancelled_another_asks() -> None:
    site = Site(NEW)
    site.proxies.open.clear()
    first, second = (asyncio.create_task(site.execute(AGENT, STATUS, NODE2)) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    site.proxies.open.set()

    async with asyncio.timeout(5):
        assert (await second).exit_code == 0
    assert first.cancelled()
    assert len(site.proxies.asked) == 2


async def test_one_that_waits_and_is_cancelled_disturbs_nobody() -> None:
    site = Site(NEW)
    site.proxies.open.clear()
    first, second = (asyncio.create_task(site.execute(AGENT, STATUS, NODE2)) for _ in range(2))
    await settled()
    second.cancel()
    await settled()
    site.proxies.open.set()

    assert (await first).exit_code == 0
    assert second.cancelled()
    assert len(site.proxies.asked) == 1


async def test_a_bug_of_the_one_that_asks_is_not_given_to_the_others() -> None:
    catalogue = Catalogue(tell=print)
    opened = asyncio.Event()

    async def bug() -> Metadata:
        await opened.wait()
        raise ZeroDivisionError

    async def answer() -> Metadata:
        return Metadata(frozenset({"action"}))

    first = asyncio.create_task(catalogue.look_up(NODE2, "toy", bug))
    await settled()
    second = asyncio.create_task(catalogue.look_up(NODE2, "toy", answer))
    await settled()
    opened.set()

    async with asyncio.timeout(5):
        assert await second == Metadata(frozenset({"action"}))
    with pytest.raises(ZeroDivisionError):
        await first


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
