"""
Probes over TCP: plain sockets on one epoll.

A ``tcp`` probe ends with the handshake, which is a weak sign of life.  For
others a :class:`Talk` says what to send and whether what came is a sign of
life; it never sees a socket.
A connection that is accepted and then closed was closed by somebody, so it
is a weak sign of life as a refused one is; one that stays mute is silence.
"""

from __future__ import annotations

import errno
import resource
import select
import socket
import struct
from typing import Protocol

from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.io.heartbeat.resolve import Address
from pmwatchd.io.heartbeat.sign import ALIVE, SILENT, WEAK, Sign, of_error, of_refusal

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_READ_MAX = 4096
_RESERVE_MAX = 512
_TYPE = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


def descriptors_max() -> int:
    """How many probes may have a socket at once: what the process may open, less a reserve."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(1, soft - min(_RESERVE_MAX, soft // 2))


class Talk(Protocol):
    """What is said over a connection, as bytes in and bytes out."""

    def opening(self) -> bytes:
        """What to send first; may be nothing."""
        ...

    def heard(self, data: bytes) -> bytes | None:
        """What to send next; None when *data* was the sign of life."""
        ...


class Dial:
    """A TCP probe under way."""

    __slots__ = ("_dials", "beat", "connected", "sock", "talk")

    def __init__(self, dials: Dials, sock: socket.socket, beat: Beat, talk: Talk | None) -> None:
        self._dials = dials
        self.sock = sock
        self.beat = beat
        self.talk = talk
        self.connected = False

    def end(self) -> Sign:
        """Close it; no answer is silence."""
        self._dials.close(self)
        return SILENT


class Dials:
    """
    All TCP probes under way.

    Args:
        epoll: Where their sockets are registered; belongs to the scheduler.
    """

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._by_fd: dict[int, Dial] = {}

    def __len__(self) -> int:
        return len(self._by_fd)

    def ask(self, beat: Beat, address: Address, port: int, talk: Talk | None) -> Dial | Sign:
        """Start a probe; a sign where it ended at once."""
        try:
            sock = socket.socket(address.family, _TYPE)
        except OSError as error:
            return of_refusal(error.errno or 0)
        dial = self._by_fd[sock.fileno()] = Dial(self, sock, beat, talk)
        number = sock.connect_ex(address.at(port))
        if number in (0, errno.EINPROGRESS):
            try:
                self._epoll.register(sock.fileno(), select.EPOLLOUT)
            except OSError as error:
                number = error.errno or 0
            else:
                return dial
        self.close(dial)
        return of_refusal(number)

    def ready(self, fd: int, events: int, now: float) -> tuple[Dial, Sign] | None:
        """Go on with the probe of *fd*; its end, if this was it."""
        dial = self._by_fd.get(fd)
        if dial is None:  # given up while the events of this pass were handled
            return None
        sign = self._connected(dial, events) if not dial.connected else self._read(dial)
        if sign is None:
            dial.beat.stepped_at = now
            return None
        self.close(dial)
        return dial, sign

    def close_all(self) -> None:
        """Close the sockets of all probes."""
        for dial in list(self._by_fd.values()):
            self.close(dial)

    def close(self, dial: Dial) -> None:
        """Close a probe's socket; closing also takes it out of the epoll."""
        if self._by_fd.pop(dial.sock.fileno(), None) is None:
            return
        if dial.connected:
            # Otherwise each probe would leave a port in TIME_WAIT for a minute.
            dial.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        dial.sock.close()

    def _connected(self, dial: Dial, events: int) -> Sign | None:
        if events & (select.EPOLLERR | select.EPOLLHUP):
            number = dial.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                return of_error(number)
        dial.connected = True
        if dial.talk is None:
            return WEAK
        self._epoll.modify(dial.sock.fileno(), select.EPOLLIN)
        # What came meanwhile is read at once: a late loop must not turn it into silence.
        return self._send(dial, dial.talk.opening()) or self._read(dial)

    def _read(self, dial: Dial) -> Sign | None:
        try:
            data = dial.sock.recv(_READ_MAX)
        except BlockingIOError:
            return None
        except OSError as error:
            return of_error(error.errno or 0)
        if not data or dial.talk is None:
            return WEAK
        answer = dial.talk.heard(data)
        return ALIVE if answer is None else self._send(dial, answer)

    @staticmethod
    def _send(dial: Dial, data: bytes) -> Sign | None:
        if not data:
            return None
        try:
            sent = dial.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return of_error(error.errno or 0)
        # A new socket takes a few hundred bytes at once, or the kernel is out of memory.
        return None if sent == len(data) else of_refusal(errno.ENOBUFS)
