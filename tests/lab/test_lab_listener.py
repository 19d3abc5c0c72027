from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from pmwatchd.lab.listener import Listener


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener("127.91.1.3")
    yield listener
    listener.close()


def connects(listener: Listener) -> bool:
    try:
        socket.create_connection((listener.address, listener.port), timeout=0.1).close()
    except TimeoutError:
        return False
    return True


async def test_a_living_host_accepts(listener: Listener) -> None:
    assert connects(listener)


async def test_a_dead_host_is_silent_and_does_not_refuse(listener: Listener) -> None:
    listener.fall_silent()

    # A refused connection would raise: it is a sign of life.
    assert [connects(listener) for _ in range(3)] == [False, False, False]


async def test_a_host_that_is_back_answers_at_the_same_port(listener: Listener) -> None:
    listener.fall_silent()
    listener.fall_silent()
    listener.answer()

    assert connects(listener)
