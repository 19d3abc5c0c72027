"""
Asks one probe: finds its address, picks its protocol, hands back its end.

The one place that knows all protocols.  What it holds is one epoll, on
which every socket of every probe is registered, so that the event loop
sees a single descriptor however many hosts there are.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Collection, Iterator

from pmwatchd.core.model import Probe, ProbeType
from pmwatchd.io.heartbeat import http, ssh
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.io.heartbeat.icmp import Echo, Echoes, open_echoes
from pmwatchd.io.heartbeat.resolve import Address, Resolver
from pmwatchd.io.heartbeat.sign import Sign, local_fault
from pmwatchd.io.heartbeat.tcp import Dial, Dials, Talk

SSH_PORT = 22


class Lookup:
    """A probe that waits for the address of a name."""

    __slots__ = ("beat", "probe")

    def __init__(self, beat: Beat, probe: Probe) -> None:
        self.beat = beat
        self.probe = probe

    def end(self) -> Sign:
        """Nothing was asked, so nothing was silent."""
        return local_fault("name_unresolved")


class Asking:
    """
    All probes under way.

    Args:
        on_event: Called when a name was resolved; sockets show themselves at :meth:`fileno`.
    """

    def __init__(self, on_event: Callable[[], None]) -> None:
        self._epoll = select.epoll()
        self._dials = Dials(self._epoll)
        self._echoes: dict[socket.AddressFamily, Echoes] = {}
        self._echoes_by_fd: dict[int, Echoes] = {}
        self._resolver = Resolver(on_event)
        self._lookups: dict[str, list[Lookup]] = {}

    def fileno(self) -> int:
        """The descriptor that is readable when a socket of a probe is ready."""
        return self._epoll.fileno()

    @property
    def sockets(self) -> int:
        """How many probes have a socket of their own."""
        return len(self._dials)

    def permit_icmp(self) -> None:
        """
        Open the sockets of the ``icmp`` probe, if they are not open yet.

        Raises:
            CapabilityError: CAP_NET_RAW is missing.
        """
        if not self._echoes:
            self._echoes = open_echoes(self._epoll)
            self._echoes_by_fd = {echoes.fd: echoes for echoes in self._echoes.values()}

    def keep(self, names: Collection[str]) -> None:
        """Forget the addresses of all other names."""
        self._resolver.keep(names)

    def ask(self, beat: Beat, probe: Probe, now: float) -> Sign | None:
        """Start a probe; its end where it ended at once, else it is one of the open of *beat*."""
        began: Dial | Echo | Lookup | Sign
        address = self._resolver.address(probe.address, now)
        if address is not None:
            began = self._start(beat, probe, address)
        elif self._resolver.is_asking(probe.address):
            began = lookup = Lookup(beat, probe)
            self._lookups.setdefault(probe.address, []).append(lookup)
        else:
            began = local_fault("name_unresolved")
        if isinstance(began, Sign):
            return began
        beat.open.append(began)
        return None

    def hear(self, now: float) -> Iterator[tuple[Beat, Sign]]:
        """Take everything that has come since; the ends of probes."""
        for fd, events in self._epoll.poll(0, len(self._dials) + len(self._echoes) + 1):
            echoes = self._echoes_by_fd.get(fd)
            ended: list[tuple[Echo, Sign]] | list[tuple[Dial, Sign]]
            if echoes is not None:
                ended = list(echoes.read())
            else:
                end = self._dials.ready(fd, events, now)
                ended = [] if end is None else [end]
            for attempt, sign in ended:
                if not attempt.beat.over:  # another probe may have ended it in this very pass
                    attempt.beat.open.remove(attempt)
                    yield attempt.beat, sign
        for name in self._resolver.take(now):
            yield from self._resolved(name, now)

    def close(self) -> None:
        """Close every socket."""
        self._resolver.close()
        self._dials.close_all()
        for echoes in self._echoes.values():
            echoes.close()
        self._epoll.close()

    def _resolved(self, name: str, now: float) -> Iterator[tuple[Beat, Sign]]:
        for lookup in self._lookups.pop(name, []):
            if lookup.beat.over:
                continue
            lookup.beat.open.remove(lookup)
            sign = self.ask(lookup.beat, lookup.probe, now)
            if sign is not None:
                yield lookup.beat, sign

    def _start(self, beat: Beat, probe: Probe, address: Address) -> Dial | Echo | Sign:
        if probe.type is ProbeType.ICMP:
            echoes = self._echoes.get(address.family)
            return local_fault("no_route") if echoes is None else echoes.ask(beat, address)
        return self._dials.ask(beat, address, _port_of(probe), _talk_of(probe))


def _port_of(probe: Probe) -> int:
    if probe.type is ProbeType.HTTP:
        return http.port_of(probe)
    return probe.port or SSH_PORT


def _talk_of(probe: Probe) -> Talk | None:
    match probe.type:
        case ProbeType.SSH:
            return ssh.Banner()
        case ProbeType.HTTP:
            return http.Secured(probe) if probe.tls else http.Plain(probe)
        case _:
            return None
