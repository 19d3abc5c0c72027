"""
One TCP port, tried from a proxy's own place in the network.

A direct-tcpip channel is opened on the proxy's connection.  SSH knows no way
to take back a channel that is not open yet, so a port that swallows packets
keeps one pending on both sides until the proxy's own connect times out.
A port that says nothing is silent only if the proxy itself still answers.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from pmwatchd.core.model import ProxyResult
from pmwatchd.io.ssh.link import Link
from pmwatchd.ports import Dialled

_NO_SOCKET = "/dev/null"
"""A path that every proxy refuses to connect to, and at once: a question to the proxy itself."""

# What OpenSSH passes on of its own connect(2); anything else says nothing about the host.
_REFUSALS = ("Connection refused", "Connection reset by peer")
_SILENCES = ("Connection timed out", "No route to host", "Host is down")


class Call(asyncssh.SSHTCPSession[bytes]):
    """A connection that a proxy makes, and the first that comes of it."""

    def __init__(self, opening: bytes | None) -> None:
        self.over = asyncio.Event()
        self.outcome: Dialled | None = None
        self.error: Exception | None = None
        self._opening = opening
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self._given_up = False

    async def make(self, connection: asyncssh.SSHClientConnection, host: str, port: int) -> None:
        """Have it made; whoever waits sees the end of it at :attr:`over`."""
        try:
            await connection.create_connection(lambda: self, host, port)
        except (OSError, asyncssh.Error) as error:
            self.error = error
            self.over.set()

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The port accepted."""
        self._channel = chan
        if self._opening is None:
            self._end(Dialled.OPENED)

    def session_started(self) -> None:
        """It may be spoken to, unless nobody waits for it any more."""
        if self._channel is None:
            return
        if self._given_up:
            self._channel.abort()
        elif self._opening:
            with suppress(BrokenPipeError):  # the connection to the proxy is going down
                self._channel.write(self._opening)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002 - as asyncssh calls it
        """Whatever it is, somebody said it."""
        self._end(Dialled.SPOKE)

    def eof_received(self) -> bool:
        """It hung up, which takes somebody too."""
        self._end(Dialled.OPENED)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, or the connection to the proxy is gone."""
        self.error = exc
        self.over.set()

    def give_up(self) -> None:
        """Want nothing more of it; it is closed when the proxy comes to open it."""
        self._given_up = True
        if self._channel is not None:
            self._channel.abort()

    @property
    def silence(self) -> Dialled:
        """What it means that nothing came of it."""
        return Dialled.SILENT if self._channel is None else Dialled.MUTE

    def _end(self, outcome: Dialled) -> None:
        self.outcome = self.outcome or outcome
        self.over.set()


async def dial(
    link: Link, host: str, port: int, *, opening: bytes | None, within_s: float
) -> Dialled:
    """
    Try a port through *link*; see :class:`pmwatchd.ports.Outpost`.

    Raises:
        ProxyError: The proxy could not be asked, could not try, or fell silent itself.
    """
    connection = await link.connection()
    call = Call(opening)
    link.keep(asyncio.create_task(call.make(connection, host, port)))
    try:
        if not await _comes(call.over, within_s / 2):
            answers = link.keep(asyncio.create_task(_answers(connection)))
            if not await _comes(call.over, within_s / 2) and not _is_true(answers):
                raise link.error(ProxyResult.UNREACHABLE, "it does not answer")
    finally:
        call.give_up()
    if call.outcome is not None:
        return call.outcome
    if not link.holds(connection):
        raise link.error(ProxyResult.UNREACHABLE, "its connection was lost")
    if not call.over.is_set():
        return call.silence
    return Dialled.OPENED if call.error is None else _read(link, call.error)


async def _comes(event: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()


async def _answers(connection: asyncssh.SSHClientConnection) -> bool:
    """Whether the proxy itself answers; a refusal is what it is asked for."""
    try:
        channel, _ = await connection.create_unix_connection(asyncssh.SSHUNIXSession, _NO_SOCKET)
    except asyncssh.ChannelOpenError:
        return not connection.is_closed()
    except (OSError, asyncssh.Error):
        return False
    channel.abort()
    return True


def _is_true(answers: asyncio.Task[bool]) -> bool:
    return answers.done() and answers.result()


def _read(link: Link, error: Exception) -> Dialled:
    """
    Read why no connection came to be.

    Raises:
        ProxyError: It says nothing about the host.
    """
    match error:
        case asyncssh.ChannelOpenError(code=code) if code == OPEN_ADMINISTRATIVELY_PROHIBITED:
            reason = "it may not try: TCP forwarding is not permitted there"
        case asyncssh.ChannelOpenError(reason=text) if any(word in text for word in _REFUSALS):
            return Dialled.REFUSED
        case asyncssh.ChannelOpenError(reason=text) if any(word in text for word in _SILENCES):
            return Dialled.SILENT
        case asyncssh.ChannelOpenError(reason=text):
            reason = f"it could not try: {text}"
        case _:
            reason = f"it could not try: {error}"
    raise link.error(ProxyResult.NO_SESSION, reason)
