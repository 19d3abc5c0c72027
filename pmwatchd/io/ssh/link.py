"""The connection to one proxy, and every way in which it fails."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncssh

from pmwatchd.core.model import ProxyResult, Secret
from pmwatchd.core.orders import Record
from pmwatchd.core.verdict import first_line
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh.execution import Channel, Execution
from pmwatchd.io.ssh.reach import connected, is_literal
from pmwatchd.io.ssh.trust import Trust
from pmwatchd.ports import Names

Key = tuple[str, int, str]
T = TypeVar("T")
_JITTER = random.SystemRandom()
_NOT_STARTED = range(125, 128)
"""What a shell, or ``timeout``, ends with that could not start what it was told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """
    How every proxy is reached; user, address and port come with the proxy.

    Attributes:
        private_key: A file, or the key itself.
        known_hosts: The file that every host key is verified against.
        connect_timeout_s: Limit of connecting, and of opening a session.
        keepalive_s: Pause between two questions to a silent connection.
        keepalive_misses: How many unanswered ones make it lost.
        sessions: At most so many executions at once on a connection; sshd permits 10.
        forget_s: A failed connection is not tried again for about so long.
        half_open: So many channels that the proxy can neither open nor refuse, and its
            connection is made anew.
    """

    private_key: Path | Secret
    known_hosts: Path
    connect_timeout_s: float = 5.0
    keepalive_s: float = 1.0
    keepalive_misses: int = 3
    sessions: int = 8
    forget_s: float = 1.0
    half_open: int = 64


@dataclass(slots=True, kw_only=True)
class _Line:
    """A connection that stands, and how many sessions it still bears."""

    connection: asyncssh.SSHClientConnection
    slots: asyncio.Semaphore


class Link:
    """
    The way to one proxy: connected on demand, once for all who wait for it, and kept.

    Attributes:
        users: How many use it now; it is not closed under them.
        half_open: Channels that the proxy has neither opened nor refused yet.
    """

    def __init__(
        self,
        key: Key,
        name: str,
        options: SshOptions,
        trust: Trust,
        *,
        changed: Callable[[Record], None],
        names: Names | None,
    ) -> None:
        self.users = 0
        self.half_open: set[asyncio.Task[object]] = set()
        self._address, self._port, self._user = key
        self._name = name
        self._options = options
        self._trust = trust
        self._changed = changed
        self._names = names
        self._arriving: asyncio.Task[_Line] | None = None
        self._line: _Line | None = None
        self._failure: ProxyError | None = None
        self._retry_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether a connection stands."""
        return self._line is not None

    @property
    def is_clogged(self) -> bool:
        """Whether too many channels are neither open nor refused."""
        return len(self.half_open) >= self._options.half_open

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Hold one of the connection's few sessions."""
        line = await self._connected_line()
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await line.slots.acquire()
        except TimeoutError:
            reason = f"all {self._options.sessions} sessions are in use"
            raise self.error(ProxyResult.NO_SESSION, reason) from None
        try:
            yield line.connection
        finally:
            line.slots.release()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """
        Return the connection itself, for channels that are no sessions.

        Raises:
            ProxyError: There is none.
        """
        return (await self._connected_line()).connection

    def holds(self, connection: asyncssh.SSHClientConnection) -> bool:
        """Whether *connection* still stands."""
        return self._line is not None and self._line.connection is connection

    def keep(self, opening: asyncio.Task[T]) -> asyncio.Task[T]:
        """Remember a channel that is being opened; nobody can take it back."""
        self.half_open.add(opening)
        opening.add_done_callback(self.half_open.discard)
        return opening

    async def start(
        self, connection: asyncssh.SSHClientConnection, command: str, *, announces: bool
    ) -> tuple[Channel, Execution]:
        """
        Start *command*; return when it has begun.

        Args:
            announces: It says so itself; else the proxy's confirmation has to do.

        Raises:
            ProxyError: It has not.  If it does so all the same, it gets no
                options and so reaches no device.
        """
        execution = Execution(announces=announces)
        opening = self.keep(asyncio.create_task(_open(connection, execution, command)))
        channel = None
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                opened = await asyncio.shield(opening)
                if await execution.begins():
                    channel = opened
        except TimeoutError:
            what = "a new session" if not opening.done() else "a command: it does not begin"
            raise self.error(ProxyResult.UNREACHABLE, f"no answer to {what}") from None
        except asyncssh.ChannelOpenError as error:
            held = self.holds(connection)
            result = ProxyResult.NO_SESSION if held else ProxyResult.UNREACHABLE
            raise self.error(result, error.reason) from error
        except Exception as error:  # asyncssh passes its parser's own on as they are
            raise self.error(ProxyResult.UNREACHABLE, _reason_of(error)) from error
        finally:
            if channel is None:
                execution.abort()
                opening.add_done_callback(_close_late)
        if channel is None:
            raise self._not_begun(execution)
        return channel, execution

    def close(self) -> asyncssh.SSHClientConnection | None:
        """Close the connection, if one stands; nothing is told, for nothing was lost."""
        if self._arriving is not None:
            self._arriving.cancel()
        line, self._line = self._line, None
        if line is None:
            return None
        line.connection.close()
        return line.connection

    def error(self, result: ProxyResult, reason: str) -> ProxyError:
        """Name the proxy in what went wrong."""
        return ProxyError(result, f"{self._name} ({self._address}:{self._port}): {reason}")

    def _not_begun(self, execution: Execution) -> ProxyError:
        """Why a command that has settled has not begun; what was said is none of an agent's."""
        if not execution.has_ended:
            reason = "the connection was lost before the command began"
            return self.error(ProxyResult.UNREACHABLE, reason)
        said = first_line(execution.before.decode(errors="replace"))
        reason = f"the command ended before it began: {said or execution.exit_code}"
        missing = execution.exit_code in _NOT_STARTED
        return self.error(ProxyResult.NOT_INSTALLED if missing else ProxyResult.NO_SESSION, reason)

    async def _connected_line(self) -> _Line:
        """Connect if need be; that goes on when one who waits gives up, for the next one."""
        if self._line is not None:
            return self._line
        if self._arriving is None or self._arriving.done():
            self._arriving = asyncio.create_task(self._arrive())
        return await asyncio.shield(self._arriving)

    async def _arrive(self) -> _Line:
        loop = asyncio.get_running_loop()
        # Unauthenticated connections in a row make sshd refuse others at random.
        if self._failure is not None and loop.time() < self._retry_at:
            raise ProxyError(self._failure.result, self._failure.reason)
        try:
            connection = await self._connect()
        except ProxyError as error:
            self._failure = error
            self._retry_at = loop.time() + self._options.forget_s * _JITTER.uniform(0.5, 1.5)
            raise
        self._failure = None
        self._line = _Line(connection=connection, slots=asyncio.Semaphore(self._options.sessions))
        self._changed(_record("proxy.connected", self._name))
        return self._line

    async def _connect(self) -> asyncssh.SSHClientConnection:
        """
        Connect and prove who is there.

        ``config=None`` and ``agent_path=None`` keep the caller's own ~/.ssh out.
        """
        limit_s = self._options.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                trusted, keys = await self._trust.read(self.error)
                connection = await asyncssh.connect(
                    self._address,
                    self._port,
                    sock=await self._reach(),
                    username=self._user,
                    client_factory=lambda: _Client(self._lost),
                    known_hosts=trusted,
                    client_keys=keys,
                    config=None,
                    agent_path=None,
                    agent_forwarding=False,
                    gss_host=None,
                    preferred_auth="publickey",
                    login_timeout=limit_s,
                    keepalive_interval=self._options.keepalive_s,
                    keepalive_count_max=self._options.keepalive_misses,
                )
                self._bound(connection)
                return connection
        except TimeoutError:
            reason = f"no SSH connection within {limit_s:g} s"
            raise self.error(ProxyResult.UNREACHABLE, reason) from None
        except asyncssh.HostKeyNotVerifiable as error:
            reason = f"its host key is not the one in {self._options.known_hosts}"
            raise self.error(ProxyResult.HOST_KEY, reason) from error
        except asyncssh.PermissionDenied as error:
            reason = f"the user {self._user!r} was not let in with our key"
            raise self.error(ProxyResult.AUTH_ERROR, reason) from error
        except UnicodeError as error:  # an empty or overlong label: no resolver is even asked
            reason = f"{self._address!r} is not a name that can be looked up"
            raise self.error(ProxyResult.UNREACHABLE, reason) from error
        except ProxyError:
            raise
        except Exception as error:  # asyncssh passes its parser's own on as they are
            raise self.error(ProxyResult.UNREACHABLE, _reason_of(error)) from error

    def _bound(self, connection: asyncssh.SSHClientConnection) -> None:
        """
        Have the kernel forget, together with us, what the proxy does not take.

        Else it would deliver an ``off`` long after its connection was given up (tcp(7)).
        """
        lost_after_s = self._options.keepalive_s * self._options.keepalive_misses
        line = connection.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(lost_after_s * 1000))

    async def _reach(self) -> socket.socket | None:
        """
        Return a socket that is connected to a proxy that is named; None: its address is literal.

        Raises:
            ProxyError: Nothing is known of the name.
        """
        if self._names is None or is_literal(self._address):
            return None
        within_s = self._options.connect_timeout_s
        addresses = await self._names.addresses(self._address, within_s=within_s)
        if not addresses:
            reason = f"{self._address!r} is not a name that can be looked up now"
            raise self.error(ProxyResult.UNREACHABLE, reason)
        return await connected(addresses, self._port)

    def _lost(self, connection: asyncssh.SSHClientConnection, error: Exception | None) -> None:
        if self._line is not None and self._line.connection is connection:
            self._line = None
            reason = "closed by the proxy" if error is None else _reason_of(error)
            self._changed(_record("proxy.lost", self._name, reason=reason))


async def _open(
    connection: asyncssh.SSHClientConnection, execution: Execution, command: str
) -> Channel:
    channel, _ = await connection.create_session(
        lambda: execution,
        command,
        encoding=None,
        env=(),
        send_env=(),
        request_pty=False,
        x11_forwarding=False,
    )
    return channel


def _close_late(opening: asyncio.Task[Channel]) -> None:
    """Close a session that nobody waits for any more; sshd permits only a few."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


class _Client(asyncssh.SSHClient):
    """Says when its connection is lost."""

    def __init__(
        self, lost: Callable[[asyncssh.SSHClientConnection, Exception | None], None]
    ) -> None:
        self._told = lost
        self._connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._told(self._connection, exc)


def _record(event: str, proxy: str, **fields: str) -> Record:
    return Record(event=event, fields={"proxy": proxy, **fields}, journalled=False)


def _reason_of(error: Exception) -> str:
    match error:
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case asyncssh.Error(reason=str(text)):
            return text
        case _:
            return str(error) or type(error).__name__
