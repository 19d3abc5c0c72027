"""The port that dumps are heard at, and what is refused there."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pmwatchd.core.events import DumpHeard, Event
from pmwatchd.core.model import Host
from pmwatchd.core.orders import Record
from pmwatchd.errors import CapabilityError
from pmwatchd.io.kdump.senders import LookUp, Senders, Where, look_up, shown, source_of

_MAGIC, _VERSION = 0x1B302A40, 1
MESSAGES = frozenset(struct.pack(order + "II", _MAGIC, _VERSION) for order in "<>")
"""All of the message there is; a host writes it in its own byte order."""

HEARD_EVERY_S = 0.5
"""A host is heard at most so often, whatever comes from its address."""
TOLD_EVERY_S = 60.0
READ_AT_ONCE_MAX = 256
"""Datagrams judged in one turn of the loop (about a millisecond); then others have theirs."""
RECEIVE_BUFFER = 1024 * 1024
SLEEP_MAX_S = 10.0
"""The timers of the loop stand still while a machine sleeps, *clock* may not."""
_PACKET_MAX = 16  # a longer one is cut to this, and is no message either way


class DumpListener:
    """
    Puts a ``DumpHeard`` into the inbox for each host that says it writes a dump.

    Call :meth:`bind` before :meth:`run`; :meth:`watch` may be called at any time.

    Args:
        listen: Takes what is heard; must not wait. What it raises ends :meth:`run`.
        clock: Seconds, monotonic.
        tell: Tells what is refused, and names that cannot be resolved.
        look_up: Finds the addresses of a name, in a thread.
    """

    def __init__(
        self,
        *,
        listen: Callable[[Event], None],
        clock: Callable[[], float],
        tell: Callable[[Record], None],
        look_up: LookUp = look_up,
    ) -> None:
        self._listen = listen
        self._clock = clock
        self._tell = tell
        self._senders = Senders(look_up, self._rouse)
        self._refusals = _Refusals()
        self._heard_at: dict[str, float] = {}
        self._socket: socket.socket | None = None
        self._roused: asyncio.Future[None] | None = None

    async def bind(self, address: str, port: int) -> int:
        """
        Open the port and return its number; ``::`` serves IPv4 as well.

        Raises:
            CapabilityError: It cannot be opened; says which key and address, and what to do.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(address, port, type=socket.SOCK_DGRAM)
            self._socket = _open(found[0][0], found[0][4])
        except OSError as error:
            place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            raise CapabilityError(
                f"kdump.listen: cannot listen on {place}: {error.strerror or error}. Give an "
                f'address of this machine (without IPv6 "0.0.0.0:{port}") and a UDP port that '
                "nobody else uses, or set kdump.enabled = false"
            ) from error
        bound: int = self._socket.getsockname()[1]
        return bound

    def watch(self, hosts: Mapping[str, Host]) -> None:
        """Hear those of *hosts* that have ``kdump = true`` from now on, and no others."""
        writers = [host for host in hosts.values() if host.power_management.kdump]
        self._senders.watch(writers)
        names = {host.name for host in writers}
        self._heard_at = {name: at for name, at in self._heard_at.items() if name in names}
        self._rouse()

    async def run(self) -> None:
        """Listen until cancelled; a bug in *listen* is raised from here."""
        if self._socket is None:
            raise RuntimeError("a port is bound before it is listened to")
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._rouse)
        try:
            while True:
                await self._sleep(self._turn(self._socket, self._clock()))
        finally:
            loop.remove_reader(self._socket.fileno())
            self.close()

    def close(self) -> None:
        """Close the port and want no name any more."""
        self._senders.close()
        if self._socket is not None:
            self._socket.close()

    def _turn(self, port: socket.socket, now: float) -> float:
        """Do everything that there is to do; the time by which to come back."""
        for address, hosts in self._senders.turn(now):
            for host in hosts:
                fields = {"address": address}
                self._tell(Record(event="kdump.unresolved", host=host, fields=fields))
        self._read(port, now)
        if (refused := self._refusals.take(now)) is not None:
            self._tell(refused)
        return min(self._senders.due_at, self._refusals.due_at)

    def _read(self, port: socket.socket, now: float) -> None:
        for _ in range(READ_AT_ONCE_MAX):
            try:
                message, where = port.recvfrom(_PACKET_MAX)
            except OSError:  # nothing more is there, or the system said something about the past
                return
            if message not in MESSAGES:
                self._refusals.garbage += 1
                self._refusals.stray = where
            elif hosts := self._senders.hosts_at(where):
                for host in hosts:
                    self._hear(host, now)
            else:
                self._refusals.unknown += 1
                self._refusals.stranger = where

    def _hear(self, host: str, now: float) -> None:
        heard_at = self._heard_at.get(host)
        if heard_at is not None and now - heard_at < HEARD_EVERY_S:
            self._refusals.surplus += 1
            return
        self._heard_at[host] = now
        self._listen(DumpHeard(host, now))

    async def _sleep(self, until_at: float) -> None:
        loop = asyncio.get_running_loop()
        self._roused = loop.create_future()
        wait_s = min(max(0.0, until_at - self._clock()), SLEEP_MAX_S)
        timer = loop.call_later(wait_s, self._rouse)
        try:
            await self._roused
        finally:
            timer.cancel()

    def _rouse(self) -> None:
        if self._roused is not None and not self._roused.done():
            self._roused.set_result(None)


@dataclass(slots=True)
class _Refusals:
    """
    What was refused and not told yet: numbers, and two addresses as examples.

    Attributes:
        unknown: Sound messages from addresses of nobody who is watched.
        garbage: What is no message.
        surplus: More messages of a host than are heard.
        stranger: Where the last unknown one came from.
        stray: Where the last garbage came from.
    """

    unknown: int = 0
    garbage: int = 0
    surplus: int = 0
    stranger: Where | None = None
    stray: Where | None = None
    told_at: float = -math.inf

    @property
    def due_at(self) -> float:
        """When there is something to tell."""
        return self.told_at + TOLD_EVERY_S if self._some else math.inf

    def take(self, now: float) -> Record | None:
        """Return one record of all that was refused, when it is time for one."""
        if now < self.due_at:
            return None
        sender = self.stranger or self.stray
        record = Record(
            event="kdump.refused",
            fields={
                "unknown": self.unknown,
                "garbage": self.garbage,
                "surplus": self.surplus,
                "sender": None if sender is None else shown(source_of(sender)),
            },
            journalled=False,  # whoever can send us a datagram must not fill our disk
        )
        self.unknown = self.garbage = self.surplus = 0
        self.stranger = self.stray = None
        self.told_at = now
        return record

    @property
    def _some(self) -> bool:
        return bool(self.unknown or self.garbage or self.surplus)


def _open(family: socket.AddressFamily, where: Where) -> socket.socket:
    port = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family is socket.AF_INET6:
            port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        port.bind(where)
    except OSError:
        port.close()
        raise
    return port
