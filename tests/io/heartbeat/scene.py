"""What the tests of heartbeats stand on: real sockets, an ear, a clock that can jump."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pmwatchd.core.events import Answered, CanaryHeard, HeartbeatsHeard, Silent, Unheard
from pmwatchd.core.model import Heartbeat, Host, Probe, ProbeResult, ProbeType
from pmwatchd.io.heartbeat import Scheduler
from tests.kit.ports import free_port

T = TypeVar("T")

PATIENCE_S = 10.0
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


@dataclass
class Counts:
    """A meter that counts."""

    results: Counter[ProbeResult] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        assert took_s >= 0
        self.results[result] += 1

    def start_delay(self, late_s: float) -> None:
        self.delays.append(late_s)

    def commit(self, took_s: float) -> None:
        raise NotImplementedError

    def connected(self, proxies: int) -> None:
        raise NotImplementedError


@dataclass
class Clock:
    """The real clock, and what a test adds to it."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class Ear:
    """Hears reports one event at a time."""

    def __init__(self) -> None:
        self.reports: list[HeartbeatsHeard] = []
        self.canaries: asyncio.Queue[CanaryHeard] = asyncio.Queue()
        self._events: asyncio.Queue[Answered | Silent | Unheard] = asyncio.Queue()

    def __call__(self, heard: HeartbeatsHeard | CanaryHeard) -> None:
        if isinstance(heard, CanaryHeard):
            self.canaries.put_nowait(heard)
            return
        self.reports.append(heard)
        for answered in heard.answered:
            self._events.put_nowait(answered)
        for silent in heard.silent:
            self._events.put_nowait(silent)
        for unheard in heard.unheard:
            self._events.put_nowait(unheard)

    async def next(self) -> Answered | Silent | Unheard:
        async with asyncio.timeout(PATIENCE_S):
            return await self._events.get()

    async def next_canary(self) -> CanaryHeard:
        async with asyncio.timeout(PATIENCE_S):
            return await self.canaries.get()

    @property
    def is_quiet(self) -> bool:
        return self._events.empty()


@dataclass
class Scene:
    """A scheduler that runs, and all that it talks to."""

    scheduler: Scheduler
    ear: Ear
    counts: Counts
    clock: Clock
    running: asyncio.Task[None]

    def watch(self, *hosts: Host) -> None:
        self.scheduler.watch({host.name: host for host in hosts})

    async def heartbeats(self, result: ProbeResult, number: int) -> None:
        """Wait for so many more heartbeats that end like this."""
        wanted = self.counts.results[result] + number
        await until(lambda: self.counts.results[result] >= wanted)


@asynccontextmanager
async def running(
    listen: Callable[[HeartbeatsHeard | CanaryHeard], None] | None = None,
) -> AsyncIterator[Scene]:
    ear, counts, clock = Ear(), Counts(), Clock()
    scheduler = Scheduler(listen=listen or ear, meter=counts, clock=clock)
    task = asyncio.create_task(scheduler.run())
    try:
        yield Scene(scheduler, ear, counts, clock, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition at the border of the kernel."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody announces what the kernel does
            await asyncio.sleep(0.005)


def tcp(port: int, address: str = "127.0.0.1") -> Probe:
    return Probe(type=ProbeType.TCP, address=address, port=port)


def ssh(port: int) -> Probe:
    return Probe(type=ProbeType.SSH, address="127.0.0.1", port=port)


def icmp(address: str = "127.0.0.1") -> Probe:
    return Probe(type=ProbeType.ICMP, address=address)


def host(
    *probes: Probe,
    name: str = "node1",
    interval_s: float = 0.1,
    timeout_s: float = 5.0,
    require_all: bool = False,
    weak_is_silent: bool = False,
) -> Host:
    heartbeat = Heartbeat(
        probes=probes,
        interval_s=interval_s,
        timeout_s=timeout_s,
        require_all=require_all,
        weak_is_silent=weak_is_silent,
    )
    return Host(name=name, address="127.0.0.1", heartbeat=heartbeat)


@contextmanager
def accepting() -> Iterator[int]:
    """Yield a port whose connections the kernel accepts and nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener.getsockname()[1]


@contextmanager
def deaf(port: int = 0) -> Iterator[int]:
    """Yield a port whose connections are neither accepted nor refused: its backlog is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def refusing() -> int:
    """Return a port that refuses, and that no connection gets as its own end meanwhile."""
    return free_port("127.0.0.1")


@asynccontextmanager
async def saying(words: bytes, *, then_closes: bool = False) -> AsyncIterator[int]:
    """Yield a port that says *words* to whoever connects."""
    writers = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(words)
        if then_closes:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


def in_a_network_of_its_own(play: Callable[[], T], *, lo_up: bool = True) -> T:
    """Play a scene in a new network namespace, where there is only loopback; needs root."""
    ended: list[T | BaseException] = []

    def enter_and_play() -> None:
        try:
            _unshare_network()
            if lo_up:
                _bring_lo_up()
            ended.append(play())
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            ended.append(error)

    thread = threading.Thread(target=enter_and_play)
    thread.start()
    thread.join()
    outcome = ended[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _unshare_network() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def _bring_lo_up() -> None:

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def is_root() -> bool:
    return os.geteuid() == 0
