from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest

from pmwatchd.lab.dump import DumpSender, free_port


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.93.1.1", free_port("127.93.1.1")))
        ear.setblocking(False)
        yield ear


async def test_a_dump_is_told_over_and_over_in_the_message_of_fence_kdump(
    ear: socket.socket,
) -> None:
    sender = DumpSender("127.93.1.3", ear.getsockname())
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        heard = [await loop.sock_recvfrom(ear, 64) for _ in range(2)]
    sender.stop()

    assert [struct.unpack("=II", message) for message, _ in heard] == [(0x1B302A40, 1)] * 2
    assert {address for _, (address, _) in heard} == {"127.93.1.3"}


async def test_a_dump_that_nobody_listens_to_is_written_all_the_same() -> None:
    sender = DumpSender("127.93.1.3", ("127.93.1.1", free_port("127.93.1.1")))
    sender._send()
    sender._send()

    sender.stop()
