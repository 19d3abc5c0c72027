"""
SSH servers of the proxies: real SSH, real keys, real processes.

Like sshd, a proxy runs what it is told by a shell and does not end it when
the connection is cut: only the command's own ``timeout`` does.  And like sshd
it connects to a port for whoever asks, from its own place in the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import cast

import asyncssh
from asyncssh.constants import OPEN_CONNECT_FAILED

Route = Callable[[str, int], tuple[str, int]]
"""Turns the place that a caller names into the place where a connection to it arrives."""

_CHUNK = 65536
_PATIENCE_S = 6.0  # longer than any time limit that the lab's daemon gives an agent
_CONNECT_S = 5.0


class ProxyServer(asyncssh.SSHServer):
    """The server's side of one connection; lets the proxy cut it when it dies."""

    def __init__(
        self, address: str, route: Route, connections: set[asyncssh.SSHServerConnection]
    ) -> None:
        self._address = address
        self._route = route
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember it while it lasts."""
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget it."""
        if self._connection is not None:
            self._connections.discard(self._connection)

    def connection_requested(
        self,
        dest_host: str,
        dest_port: int,
        orig_host: str,  # noqa: ARG002 - as asyncssh calls it
        orig_port: int,  # noqa: ARG002 - as asyncssh calls it
    ) -> Coroutine[None, None, asyncssh.SSHTCPSession[bytes]]:
        """Connect to a port; what stands in the way is told in the words of the system."""
        return _connect(self._address, *self._route(dest_host, dest_port))


class Proxy:
    """
    One machine that runs fence agents for others.

    Args:
        authorized_keys: File with the public key that may log in.
        environment: Of the commands that are run, besides ``PATH``.
        route: The network that it is in; without one every place is where it says.
    """

    def __init__(
        self,
        name: str,
        address: str,
        authorized_keys: Path,
        environment: Mapping[str, str],
        route: Route = lambda host, port: (host, port),
    ) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self._authorized_keys = authorized_keys
        self._route = route
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), **environment}
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._listener: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._processes: set[asyncio.subprocess.Process] = set()

    @property
    def known_host(self) -> str:
        """Its line in a ``known_hosts`` file; only after :meth:`open`."""
        key = self._host_key.export_public_key().decode().strip()
        return f"[{self.address}]:{self.port} {key}"

    async def open(self) -> None:
        """Listen; on the same port as before after a :meth:`close`."""
        if self._listener is None:
            self._listener = await asyncssh.listen(
                self.address,
                self.port,
                server_factory=lambda: ProxyServer(self.address, self._route, self._connections),
                server_host_keys=[self._host_key],
                authorized_client_keys=str(self._authorized_keys),
                process_factory=self._run,
                encoding=None,
                allow_scp=False,
            )
            self.port = self._listener.get_port()

    def close(self) -> None:
        """Die: connections are refused and the present ones cut; started commands go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.abort()

    async def end(self) -> None:
        """Close, and leave no process behind; commands have a limit of their own."""
        self.close()
        for process in list(self._processes):
            try:
                await asyncio.wait_for(process.wait(), _PATIENCE_S)
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)

    async def _run(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        if session.command is None:
            session.stderr.write(b"This machine runs fence agents only.\n")
            session.exit(1)
            return
        process = await asyncio.create_subprocess_shell(
            session.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        self._processes.add(process)
        feeding = asyncio.create_task(_feed(session.stdin, process.stdin))
        try:
            await asyncio.gather(
                _tell(process.stdout, session.stdout), _tell(process.stderr, session.stderr)
            )
            code = await process.wait()
        finally:
            self._processes.discard(process)
            feeding.cancel()
        session.exit(code if code >= 0 else 128 - code)


async def _connect(source: str, host: str, port: int) -> asyncssh.SSHTCPSession[bytes]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, peer = await loop.create_connection(
                asyncssh.SSHForwarder, host, port, local_addr=(source, 0)
            )
    except TimeoutError:
        reason = os.strerror(errno.ETIMEDOUT)
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
    else:
        return cast("asyncssh.SSHTCPSession[bytes]", asyncssh.SSHForwarder(peer))
    raise asyncssh.ChannelOpenError(OPEN_CONNECT_FAILED, reason)


async def _feed(caller: asyncssh.SSHReader[bytes], stdin: asyncio.StreamWriter | None) -> None:
    if stdin is None:
        return
    try:
        while data := await caller.read(_CHUNK):
            stdin.write(data)
            await stdin.drain()
    except (OSError, asyncssh.Error):
        pass  # the caller or the command is gone; the other one goes on
    finally:
        stdin.close()


async def _tell(output: asyncio.StreamReader | None, caller: asyncssh.SSHWriter[bytes]) -> None:
    while output is not None and (data := await output.read(_CHUNK)):
        # Nobody listens any more after a cut; the command must not notice.
        with contextlib.suppress(OSError, asyncssh.Error):
            caller.write(data)
