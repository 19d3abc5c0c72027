"""The connection to one proxy, and every way in which it fails."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncssh

from pmwatchd.core.model import ProxyResult, Secret
from pmwatchd.core.orders import Record
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh.execution import Channel, Execution

Key = tuple[str, int, str]
T = TypeVar("T")
_JITTER = random.SystemRandom()


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
        self, key: Key, name: str, options: SshOptions, changed: Callable[[Record], None]
    ) -> None:
        self.users = 0
        self.half_open: set[asyncio.Task[object]] = set()
        self._address, self._port, self._user = key
        self._name = name
        self._options = options
        self._changed = changed
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
        self, connection: asyncssh.SSHClientConnection, command: str
    ) -> tuple[Channel, Execution]:
        """
        Start *command*; return when the proxy has confirmed it.

        Raises:
            ProxyError: It was not confirmed.  If it was started all the same,
                it gets no options and so reaches no device.
        """
        execution = Execution()
        confirmed = False
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                channel, _ = await connection.create_session(
                    lambda: execution,
                    command,
                    encoding=None,
                    env=(),
                    send_env=(),
                    request_pty=False,
                    x11_forwarding=False,
                )
            confirmed = True
        except TimeoutError:
            raise self.error(ProxyResult.UNREACHABLE, "no answer to a new session") from None
        except asyncssh.ChannelOpenError as error:
            held = self.holds(connection)
            result = ProxyResult.NO_SESSION if held else ProxyResult.UNREACHABLE
            raise self.error(result, error.reason) from error
        except UnicodeError as error:  # an empty or overlong label: no resolver is even asked
            reason = f"{self._address!r} is not a name that can be looked up"
            raise self.error(ProxyResult.UNREACHABLE, reason) from error
        except (OSError, asyncssh.Error) as error:
            raise self.error(ProxyResult.UNREACHABLE, _reason_of(error)) from error
        finally:
            if not confirmed:
                execution.abort()
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
        known_hosts = self._known_hosts()
        keys = self._keys()
        limit_s = self._options.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await asyncssh.connect(
                    self._address,
                    self._port,
                    username=self._user,
                    client_factory=lambda: _Client(self._lost),
                    known_hosts=known_hosts,
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
        except (OSError, asyncssh.Error) as error:
            raise self.error(ProxyResult.UNREACHABLE, _reason_of(error)) from error

    def _known_hosts(self) -> asyncssh.SSHKnownHosts:
        """Read the file anew for each connection; an empty one would mean the caller's own."""
        path = self._options.known_hosts
        try:
            text = path.read_text()
            lines = (line.strip() for line in text.splitlines())
            entries = [line for line in lines if line and not line.startswith("#")]
            known_hosts = asyncssh.import_known_hosts(text)
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror}"
            raise self.error(ProxyResult.HOST_KEY, reason) from error
        except ValueError as error:
            raise self.error(ProxyResult.HOST_KEY, f"{path} is malformed: {error}") from error
        if not entries:
            raise self.error(ProxyResult.HOST_KEY, f"{path} names no host key")
        return known_hosts

    def _keys(self) -> Sequence[asyncssh.SSHKeyPair]:
        key = self._options.private_key
        try:
            if isinstance(key, Path):
                return asyncssh.load_keypairs(str(key))
            return asyncssh.load_keypairs(asyncssh.import_private_key(key.get_secret_value()))
        except OSError as error:
            reason = f"our private key {key} cannot be read: {error.strerror}"
            raise self.error(ProxyResult.AUTH_ERROR, reason) from error
        except asyncssh.KeyImportError as error:
            reason = "our private key is malformed or has a passphrase"
            raise self.error(ProxyResult.AUTH_ERROR, reason) from error

    def _lost(self, connection: asyncssh.SSHClientConnection, error: Exception | None) -> None:
        if self._line is not None and self._line.connection is connection:
            self._line = None
            reason = "closed by the proxy" if error is None else _reason_of(error)
            self._changed(_record("proxy.lost", self._name, reason=reason))


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
