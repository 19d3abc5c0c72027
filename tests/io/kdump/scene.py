"""What the tests of crash dumps stand on: a real port, names as a test says them, a clock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pmwatchd.core.events import DumpHeard, Event
from pmwatchd.core.model import Heartbeat, Host, PowerManagement, Probe, ProbeType
from pmwatchd.core.orders import Record
from pmwatchd.io.kdump import DumpListener
from pmwatchd.io.kdump.senders import LookUp, Source, look_up

MESSAGE = struct.pack("=II", 0x1B302A40, 1)
PATIENCE_S = 10.0


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def host(name: str = "node1", address: str = "127.0.0.1", *, kdump: bool = True) -> Host:
    probe = Probe(type=ProbeType.TCP, address=address, port=22)
    return Host(
        name=name,
        address=address,
        heartbeat=Heartbeat(probes=(probe,)),
        power_management=PowerManagement(kdump=kdump),
    )


class Names:
    """A name server that says what a test wrote, and can be broken."""

    def __init__(self, **known: str) -> None:
        self.known: dict[str, str | None] = dict(known)
        self.asked: list[str] = []

    def __call__(self, name: str) -> frozenset[Source]:
        self.asked.append(name)
        address = self.known.get(name)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return frozenset({(address, 0)})


@dataclass
class Scene:
    """A listener that runs, all that it says, and a clock that stands until a test moves it."""

    listener: DumpListener
    heard: list[Event] = field(default_factory=list)
    told: list[Record] = field(default_factory=list)
    now: float = 1000.0
    port: int = 0
    running: asyncio.Task[None] | None = None

    def watch(self, *hosts: Host) -> None:
        self.listener.watch({one.name: one for one in hosts})

    def send(self, *messages: bytes, source: str = "127.0.0.1", to: str = "127.0.0.1") -> None:
        with sender(source) as out:
            for message in messages:
                out.sendto(message, (to, self.port))

    def refused(self) -> tuple[int, int, int]:
        """How many were refused up to now as unknown, as garbage and as surplus, told or not."""
        waiting = self.listener._refusals
        told = [record.fields for record in self.told if record.event == "kdump.refused"]
        unknown, garbage, surplus = (
            getattr(waiting, word) + sum(int(str(fields[word])) for fields in told)
            for word in ("unknown", "garbage", "surplus")
        )
        return unknown, garbage, surplus

    def hosts_at(self, address: str) -> list[str]:
        """Whose datagrams would be accepted from an address now."""
        return self.listener._senders.hosts_at((address, 1))

    @property
    def hosts_heard(self) -> list[str]:
        return [event.host for event in self.heard if isinstance(event, DumpHeard)]


@contextlib.contextmanager
def sender(source: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        out.bind((source, 0))
        yield out


@contextlib.asynccontextmanager
async def listening(
    *hosts: Host,
    at: str = "127.0.0.1",
    names: LookUp = look_up,
    listen: Callable[[Event], None] | None = None,
) -> AsyncIterator[Scene]:
    heard: list[Event] = []
    told: list[Record] = []
    listener = DumpListener(
        listen=listen or heard.append,
        clock=lambda: scene.now,
        tell=told.append,
        look_up=names,
    )
    scene = Scene(listener, heard, told)
    scene.watch(*hosts)
    scene.port = await listener.bind(at, 0)
    scene.running = asyncio.create_task(listener.run())
    try:
        yield scene
    finally:
        scene.running.cancel()
        await asyncio.gather(scene.running, return_exceptions=True)
        listener.close()  # for one that was cancelled before it began


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition at the border of the kernel."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody announces what the kernel does
            await asyncio.sleep(0.001)
