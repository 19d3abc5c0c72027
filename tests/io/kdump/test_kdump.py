"""
Crash dumps, heard at a real port.

What is not claimed: that a datagram is from whom it seems to be.  A forged
one makes us wait like a real one; see the test of that name.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from pathlib import Path

import pytest

from pmwatchd.core.events import DumpHeard, Event
from pmwatchd.core.orders import Record
from pmwatchd.errors import PmwatchdError
from pmwatchd.io.kdump import DumpListener
from pmwatchd.io.kdump.listener import TOLD_EVERY_S
from tests.io.kdump.scene import (
    MESSAGE,
    PATIENCE_S,
    host,
    listening,
    needs_ipv6,
    sender,
    until,
)

SENDERS = ("/usr/libexec/fence-agents/fence_kdump_send", "/usr/libexec/fence_kdump_send")
SENDER = next((path for path in SENDERS if Path(path).exists()), None)


@pytest.mark.parametrize("order", ["<", ">"])
async def test_a_host_is_heard_in_either_byte_order(order: str) -> None:
    async with listening(host()) as scene:
        scene.send(struct.pack(f"{order}II", 0x1B302A40, 1))
        await until(lambda: scene.heard)

        assert scene.heard == [DumpHeard("node1", scene.now)]
        assert scene.told == []


@pytest.mark.parametrize(
    ("at", "to"),
    [
        ("127.0.0.1", "127.0.0.1"),
        pytest.param("::", "127.0.0.1", marks=needs_ipv6, id="ipv4 where ipv6 listens"),
        pytest.param("::", "::1", marks=needs_ipv6),
        pytest.param("::1", "::1", marks=needs_ipv6),
    ],
)
async def test_the_real_sender_is_heard(at: str, to: str) -> None:
    if SENDER is None:
        pytest.skip("fence_kdump_send is missing: apt install fence-agents")
    async with listening(host(address=to), at=at) as scene:
        words = (SENDER, "-p", str(scene.port), "-c", "1", "-i", "1", to)
        process = await asyncio.create_subprocess_exec(*words)
        await until(lambda: scene.heard)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0

        assert scene.heard == [DumpHeard("node1", scene.now)]
        assert scene.told == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        MESSAGE[:-1],
        MESSAGE + b"\0",
        MESSAGE * 3,
        struct.pack("=II", 0x1B302A40, 2),
        struct.pack("=II", 0x1B302A41, 1),
        struct.pack("<I", 0x1B302A40) + struct.pack(">I", 1),
        b"x" * 60_000,
    ],
)
async def test_anything_but_the_message_is_counted_and_nothing_else(garbage: bytes) -> None:
    async with listening(host()) as scene:
        scene.send(garbage)
        await until(lambda: scene.told)

        assert scene.heard == []
        assert scene.refused() == (0, 1, 0)


async def test_a_sender_whom_nobody_watches_is_ignored_and_named() -> None:
    async with listening(host()) as scene:
        scene.send(MESSAGE, source="127.0.0.2")
        await until(lambda: scene.told)

        assert scene.heard == []
        [record] = scene.told
        assert (record.event, record.journalled) == ("kdump.refused", False)
        assert record.fields == {"unknown": 1, "garbage": 0, "surplus": 0, "sender": "127.0.0.2"}


async def test_a_host_without_kdump_is_ignored() -> None:
    async with listening(host(kdump=False)) as scene:
        scene.send(MESSAGE)
        await until(lambda: scene.told)

        assert scene.heard == []
        assert scene.refused() == (1, 0, 0)


async def test_a_forged_datagram_from_a_known_address_is_taken_for_the_host_s() -> None:
    """The message is not authenticated: whoever can send from the address makes us wait."""
    async with listening(host(address="127.0.0.9")) as scene:
        scene.send(MESSAGE, source="127.0.0.9")
        await until(lambda: scene.heard)

        assert scene.heard == [DumpHeard("node1", scene.now)]


async def test_whom_to_hear_changes_at_run_time() -> None:
    async with listening(host()) as scene:
        scene.send(MESSAGE)
        await until(lambda: scene.heard)

        scene.watch(host("node2", "127.0.0.2"), host("node1", "127.0.0.3"))
        scene.send(MESSAGE, source="127.0.0.2")
        scene.send(MESSAGE)
        await until(lambda: scene.told)
        assert scene.hosts_heard == ["node1", "node2"]
        assert scene.refused() == (1, 0, 0)

        scene.now += TOLD_EVERY_S
        scene.send(MESSAGE, source="127.0.0.3")
        await until(lambda: len(scene.heard) == 3)
        assert scene.heard[-1] == DumpHeard("node1", scene.now)


async def test_a_reload_does_not_make_a_host_heard_twice_in_a_second() -> None:
    async with listening(host()) as scene:
        scene.send(MESSAGE)
        await until(lambda: scene.heard)
        scene.watch(host(), host("node2", "127.0.0.2"))
        scene.send(MESSAGE)
        await until(lambda: scene.told)

        assert len(scene.heard) == 1


@pytest.mark.parametrize(
    ("at", "shown"),
    [("127.0.0.1", "127.0.0.1:{port}"), pytest.param("::1", "[::1]:{port}", marks=needs_ipv6)],
)
async def test_a_port_that_is_taken_is_an_error_that_names_the_key_and_the_address(
    at: str, shown: str
) -> None:
    listener = DumpListener(listen=_never, clock=time.monotonic, tell=_never)
    with sender(at) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PmwatchdError) as raised:
            await listener.bind(at, port)

    assert f"kdump.listen: cannot listen on {shown.format(port=port)}" in str(raised.value)
    assert os.strerror(98) in str(raised.value)
    listener.close()


async def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    listener = DumpListener(listen=_never, clock=time.monotonic, tell=_never)

    with pytest.raises(PmwatchdError, match=r"kdump\.listen: cannot listen on 192\.0\.2\.1:7410"):
        await listener.bind("192.0.2.1", 7410)


async def test_a_bug_in_who_listens_ends_it() -> None:
    def fail(_: Event) -> None:
        raise ZeroDivisionError

    async with listening(host(), listen=fail) as scene:
        assert scene.running is not None
        scene.send(MESSAGE)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(scene.running, PATIENCE_S)


async def test_the_port_is_free_again_when_it_has_ended() -> None:
    async with listening(host()) as scene:
        assert scene.running is not None
        scene.send(MESSAGE)
        await until(lambda: scene.heard)
        scene.running.cancel()
        await asyncio.gather(scene.running, return_exceptions=True)

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_one:
            next_one.bind(("127.0.0.1", scene.port))


async def test_it_does_not_listen_without_a_port() -> None:
    listener = DumpListener(listen=_never, clock=time.monotonic, tell=_never)

    with pytest.raises(RuntimeError):
        await listener.run()


def _never(said: Event | Record) -> None:
    raise AssertionError(said)
