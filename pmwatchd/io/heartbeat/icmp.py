"""
Echo requests: one raw socket for all IPv4 hosts, one for all IPv6 hosts.

A reply belongs to a host if it carries our identifier, its sequence number,
its random token, and comes from the address that was asked.  Replies that
the kernel dropped for want of room, or that we did not get to read, are not
silence: every request that was out at that time ends as a local fault.
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import struct
from dataclasses import dataclass

from pmwatchd.errors import CapabilityError
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.io.heartbeat.resolve import Address
from pmwatchd.io.heartbeat.sign import SILENT, WEAK, Sign, local_fault, of_refusal

RECEIVE_BUFFER = 8 * 1024 * 1024
READ_AT_ONCE_MAX = 65536
_PACKET_MAX = 1024
_TOKEN = 8
_ECHO = struct.Struct(f"!BBHHH{_TOKEN}s")  # type, code, checksum, identifier, sequence, token
_WORDS = struct.Struct(f"!{_ECHO.size // 2}H")
_TYPE = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

# Names of Linux that Python's socket module does not have.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")  # the last is how many packets were dropped
_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMPV6_FILTER = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """
    How one version of IP says echo.

    Attributes:
        filter: Level, option and value that let only replies in; a set bit blocks a type.
        has_header: A packet that is read begins with the header of IP; then the checksum is ours.
    """

    family: socket.AddressFamily
    protocol: int
    request: int
    reply: int
    filter: tuple[int, int, bytes]
    has_header: bool


_ALL = 0xFFFFFFFF
V4 = Version(
    family=socket.AF_INET,
    protocol=socket.IPPROTO_ICMP,
    request=8,
    reply=0,
    filter=(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", _ALL ^ 1)),
    has_header=True,
)
V6 = Version(
    family=socket.AF_INET6,
    protocol=socket.IPPROTO_ICMPV6,
    request=128,
    reply=129,
    filter=(
        socket.IPPROTO_ICMPV6,
        _ICMPV6_FILTER,
        struct.pack("=8I", *(_ALL ^ 2 if word == 129 // 32 else _ALL for word in range(8))),
    ),
    has_header=False,
)


class Echo:
    """An echo request whose reply is awaited."""

    __slots__ = ("_drops", "_echoes", "address", "beat", "sequence", "token")

    def __init__(self, echoes: Echoes, beat: Beat, address: Address, sequence: int) -> None:
        self._echoes = echoes
        self._drops = echoes.drops()
        self.beat = beat
        self.address = address
        self.sequence = sequence
        self.token = secrets.token_bytes(_TOKEN)

    def end(self) -> Sign:
        """Await it no longer; no reply is silence, unless replies were lost here meanwhile."""
        self._echoes.forget(self)
        lost = self._echoes.behind or self._echoes.drops() != self._drops
        return local_fault("replies_dropped") if lost else SILENT


class Echoes:
    """
    All echo requests of one version of IP.

    Args:
        epoll: Where the socket is registered; belongs to the scheduler.
        receive_buffer: Bytes; the kernel's limit applies without CAP_NET_ADMIN.

    Attributes:
        behind: More replies wait to be read than fit into one pass.

    Raises:
        PermissionError: CAP_NET_RAW is missing.
        OSError: The system does not know this version of IP.
    """

    def __init__(
        self, version: Version, epoll: select.epoll, *, receive_buffer: int = RECEIVE_BUFFER
    ) -> None:
        self._version = version
        self._identifier = secrets.randbits(16)
        self._sequence = 0
        self._awaited: dict[bytes, Echo] = {}
        self._packet = bytearray(_PACKET_MAX)
        self.behind = False
        self._socket = socket.socket(version.family, _TYPE, version.protocol)
        self._socket.setsockopt(*version.filter)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.fd = self._socket.fileno()
        epoll.register(self.fd, select.EPOLLIN)

    def ask(self, beat: Beat, address: Address) -> Echo | Sign:
        """Send a request; a sign where our own system would not send it."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        echo = Echo(self, beat, address, self._sequence)
        try:
            self._socket.sendto(self._request(echo), address.at(0))
        except OSError as error:
            number = error.errno or 0
            return of_refusal(errno.ENOBUFS if number == errno.EAGAIN else number)
        self._awaited[echo.token] = echo
        return echo

    def read(self) -> list[tuple[Echo, Sign]]:
        """Read what has arrived: the requests that were answered."""
        answered: list[tuple[Echo, Sign]] = []
        for _ in range(READ_AT_ONCE_MAX):
            try:
                size, source = self._socket.recvfrom_into(self._packet)
            except BlockingIOError:
                self.behind = False
                return answered
            echo = self._match(size, source)
            if echo is not None:
                self.forget(echo)
                answered.append((echo, WEAK))
        self.behind = True
        return answered

    def forget(self, echo: Echo) -> None:
        """A reply to *echo* means nothing from now on."""
        self._awaited.pop(echo.token, None)

    def drops(self) -> int:
        """
        How many replies the kernel has dropped for want of room in the receive buffer.

        The same counter that SO_RXQ_OVFL attaches to packets, but known also
        when the dropped one was the last.
        """
        info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        dropped: int = _MEMINFO.unpack(info)[-1]
        return dropped

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _request(self, echo: Echo) -> bytes:
        fields = (self._identifier, echo.sequence, echo.token)
        packet = _ECHO.pack(self._version.request, 0, 0, *fields)
        if not self._version.has_header:  # for IPv6 the kernel fills the checksum in
            return packet
        return _ECHO.pack(self._version.request, 0, checksum(packet), *fields)

    def _match(self, size: int, source: tuple[str | int, ...]) -> Echo | None:
        start = (self._packet[0] & 0x0F) * 4 if self._version.has_header else 0
        if size < start + _ECHO.size:
            return None
        kind, _, _, identifier, sequence, token = _ECHO.unpack_from(self._packet, start)
        echo = self._awaited.get(token)
        if echo is None or (kind, identifier, sequence) != (
            self._version.reply,
            self._identifier,
            echo.sequence,
        ):
            return None
        return echo if _same(source, echo.address) else None


def _same(source: tuple[str | int, ...], address: Address) -> bool:
    """Whether a packet came from *address*; the flow label of IPv6 does not matter."""
    return source[0] == address.ip and (
        address.family is socket.AF_INET or source[-1] == address.scope
    )


def checksum(packet: bytes) -> int:
    """The checksum of the internet for a packet of :data:`_ECHO`'s size."""
    total: int = sum(_WORDS.unpack(packet))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def open_echoes(epoll: select.epoll) -> dict[socket.AddressFamily, Echoes]:
    """
    Open the sockets for every version of IP that this system knows.

    Raises:
        CapabilityError: CAP_NET_RAW is missing; the sentence says what to do.
    """
    opened: dict[socket.AddressFamily, Echoes] = {}
    for version in (V4, V6):
        try:
            opened[version.family] = Echoes(version, epoll)
        except PermissionError as error:
            raise CapabilityError(
                "icmp probes need the capability CAP_NET_RAW, and this process does not have it: "
                "set AmbientCapabilities=CAP_NET_RAW in the service, "
                "or give the hosts a tcp, ssh or http probe instead of icmp"
            ) from error
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise
    return opened
