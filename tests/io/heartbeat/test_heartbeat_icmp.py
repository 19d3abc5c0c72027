"""The icmp probe, on real raw sockets."""

from __future__ import annotations

import asyncio
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmwatchd.core.model import ProbeResult
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.io.heartbeat.icmp import V4, Echo, Echoes, checksum
from pmwatchd.io.heartbeat.resolve import Address
from pmwatchd.io.heartbeat.sign import SILENT, Sign
from tests.io.heartbeat.scene import host, icmp, in_a_network_of_its_own, is_root, running, until

needs_root = pytest.mark.skipif(not is_root(), reason="raw sockets and namespaces need root")
LOOPBACK = Address(socket.AF_INET, "127.0.0.1")

WATCH_WITHOUT_CAPABILITY = """
import time
from pmwatchd.core.model import Heartbeat, Host, Probe, ProbeType
from pmwatchd.errors import CapabilityError
from pmwatchd.io.heartbeat import Scheduler

probe = Probe(type=ProbeType.ICMP, address="127.0.0.1")
host = Host(name="node1", address="127.0.0.1", heartbeat=Heartbeat(probes=(probe,)))
scheduler = Scheduler(listen=print, meter=None, clock=time.monotonic)
try:
    scheduler.watch({"node1": host})
except CapabilityError as error:
    print(error)
print(scheduler.last_answer_at("node1"))
scheduler.close()
"""


@pytest.fixture
def epoll() -> Iterator[select.epoll]:
    with select.epoll() as opened:
        yield opened


def beat() -> Beat:
    return Beat(host(icmp()), began_at=0.0)


async def answered(echoes: Echoes, number: int) -> list[tuple[Echo, Sign]]:
    ends: list[tuple[Echo, Sign]] = []

    def read() -> bool:
        ends.extend(echoes.read())
        return len(ends) >= number

    await until(read)
    return ends


@needs_root
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
async def test_an_echo_reply_is_alive(address: str) -> None:
    async with running() as scene:
        assert await scene.scheduler.probe(host(icmp(address))) is ProbeResult.ALIVE


@needs_root
def test_a_host_that_does_not_reply_is_silent() -> None:
    async def ask() -> ProbeResult:
        Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")  # noqa: ASYNC240 - no disk
        async with running() as scene:
            return await scene.scheduler.probe(host(icmp(), timeout_s=0.2))

    assert in_a_network_of_its_own(lambda: asyncio.run(ask())) is ProbeResult.SILENT


@needs_root
def test_an_interface_that_is_down_is_a_local_fault() -> None:
    async def ask() -> ProbeResult:
        async with running() as scene:
            return await scene.scheduler.probe(host(icmp("192.0.2.1")))

    result = in_a_network_of_its_own(lambda: asyncio.run(ask()), lo_up=False)

    assert result is ProbeResult.LOCAL_FAULT


@needs_root
async def test_replies_that_we_dropped_are_never_silence(epoll: select.epoll) -> None:
    echoes = Echoes(V4, epoll, receive_buffer=1)
    asked = [echoes.ask(beat(), LOOPBACK) for _ in range(50)]
    await until(lambda: echoes.drops() > 0)
    heard = {echo for echo, _ in await answered(echoes, 1)}
    ends = [echo.end() for echo in asked if isinstance(echo, Echo) and echo not in heard]
    echoes.close()

    assert {(end.result, end.fault) for end in ends} == {
        (ProbeResult.LOCAL_FAULT, "replies_dropped")
    }


@needs_root
async def test_a_drop_before_a_request_does_not_excuse_its_silence(epoll: select.epoll) -> None:
    echoes = Echoes(V4, epoll, receive_buffer=1)
    for _ in range(50):
        echoes.ask(beat(), LOOPBACK)
    await until(lambda: echoes.drops() > 0)
    await answered(echoes, 1)
    later = echoes.ask(beat(), LOOPBACK)
    assert isinstance(later, Echo)
    end = later.end()
    echoes.close()

    assert end == SILENT


@needs_root
async def test_a_reply_from_another_address_is_nobodys(epoll: select.epoll) -> None:
    echoes = Echoes(V4, epoll)
    other, mine = echoes.ask(beat(), LOOPBACK), echoes.ask(beat(), LOOPBACK)
    assert isinstance(other, Echo)
    other.address = Address(socket.AF_INET, "127.0.0.2")
    ends = await answered(echoes, 1)
    echoes.close()

    assert [echo for echo, _ in ends] == [mine]


@needs_root
async def test_a_reply_with_another_sequence_number_is_nobodys(epoll: select.epoll) -> None:
    echoes = Echoes(V4, epoll)
    other, mine = echoes.ask(beat(), LOOPBACK), echoes.ask(beat(), LOOPBACK)
    assert isinstance(other, Echo)
    other.sequence += 7
    ends = await answered(echoes, 1)
    echoes.close()

    assert [echo for echo, _ in ends] == [mine]


@needs_root
async def test_replies_to_other_programs_are_nobodys(epoll: select.epoll) -> None:
    ours, theirs = Echoes(V4, epoll), Echoes(V4, epoll)
    mine = ours.ask(beat(), LOOPBACK)
    for _ in range(5):
        theirs.ask(beat(), LOOPBACK)
    ends = await answered(ours, 1)
    await answered(theirs, 5)
    assert ours.read() == []  # their replies were delivered to this socket as well
    ours.close()
    theirs.close()

    assert [echo for echo, _ in ends] == [mine]


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
def test_the_capability_that_is_missing_is_named_at_once() -> None:
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"] if is_root() else []
    told = subprocess.run(
        [*without, sys.executable, "-c", WATCH_WITHOUT_CAPABILITY],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert "AmbientCapabilities=CAP_NET_RAW" in told
    assert told.splitlines()[-1] == "None"


def test_a_packet_with_its_checksum_sums_up_to_nothing() -> None:
    packet = bytes.fromhex("08000000beef00010123456789abcdef")
    total = checksum(packet)

    assert checksum(packet[:2] + total.to_bytes(2, "big") + packet[4:]) == 0
