"""
Listens: at the unix socket for people, over TCP for metrics and health.

The socket is never open wider than meant, not even for a moment: it is bound
for its owner alone and then given to the group.
"""

from __future__ import annotations

import asyncio
import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pmwatchd.api.app import OPEN
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.orders import Record
from pmwatchd.errors import CapabilityError

SHUTDOWN_S = 2.0
OWNER_ONLY = 0o600
OWNER_AND_GROUP = 0o660
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the API is served now; ``tcp`` holds addresses and the real ports."""

    socket: Path
    tcp: tuple[tuple[str, int], ...]


@asynccontextmanager
async def serve(
    app: web.Application,
    *,
    socket_path: Path,
    socket_group: str = "",
    metrics_listen: Sequence[str] = (),
) -> AsyncIterator[Listening]:
    """
    Serve *app* at the socket, and metrics and health over TCP, while the block runs.

    Args:
        socket_group: Group that may use the socket; without it only the owner may, which is told.
        metrics_listen: ``ADDRESS:PORT``; IPv6 in brackets.

    Raises:
        CapabilityError: An address or the socket's folder cannot be used; says what to do.
    """
    async with AsyncExitStack() as stack:
        unix, inode = _bind(socket_path)
        stack.callback(unix.close)
        stack.callback(_remove, socket_path, inode)
        if refusal := _give_to_group(socket_path, socket_group):
            app[SHOWN].tell(Record(event="api.socket_restricted", fields={"reason": refusal}))
        runner = await _runner(stack, app)
        stack.callback((await _accept(runner, unix)).close)
        tcp: tuple[tuple[str, int], ...] = ()
        if metrics_listen:
            tcp = await _listen(await _runner(stack, app[OPEN]), metrics_listen)
        yield Listening(socket_path, tcp)


async def _runner(stack: AsyncExitStack, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        logger=_http_logger(),
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


def _http_logger() -> logging.Logger:
    """Log what goes wrong in the server, except that a client does not speak HTTP."""
    logger = logging.getLogger("pmwatchd.api.http")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


async def _accept(runner: web.AppRunner, unix: socket.socket) -> asyncio.Server:
    # not a SockSite: that asks for a TCP server, which uvloop does not make of a unix socket
    if runner.server is None:
        raise RuntimeError("a runner has a server once it is set up")
    return await asyncio.get_running_loop().create_unix_server(runner.server, sock=unix)


async def _listen(runner: web.AppRunner, addresses: Sequence[str]) -> tuple[tuple[str, int], ...]:
    for text in addresses:
        host, port = split_address(text)
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise CapabilityError(
                f"metrics.listen: {text} cannot be used: {error.strerror or error}. "
                "Give an address of this machine and a free port."
            ) from error
    return tuple((str(address[0]), int(address[1])) for address in runner.addresses)


def split_address(text: str) -> tuple[str, int]:
    """
    Read ``127.0.0.1:9784`` or ``[::1]:9784``.

    Raises:
        CapabilityError: It is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not bare
        or (":" in bare) != bracketed
        or not (port.isascii() and port.isdecimal() and int(port) <= PORT_MAX)
    ):
        raise CapabilityError(
            f"metrics.listen: {text!r} is no ADDRESS:PORT. Write 127.0.0.1:9784 or [::1]:9784."
        )
    return bare, int(port)


def _bind(path: Path) -> tuple[socket.socket, int]:
    """A bound socket for its owner alone, and the inode of its file."""
    if not path.parent.is_dir():
        raise CapabilityError(
            f"api.socket: the folder {path.parent} does not exist. Create it, or let systemd do so "
            "(RuntimeDirectory=)."
        )
    _clear(path)
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        unix.bind(str(path))
    except OSError as error:
        unix.close()
        raise CapabilityError(
            f"api.socket: {path} cannot be bound: {error.strerror or error}. "
            "Its folder must belong to the daemon's user, its path be shorter than 108 characters."
        ) from error
    finally:
        os.umask(before)
    return unix, path.lstat().st_ino


def _clear(path: Path) -> None:
    """Remove what a daemon that was killed left behind, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CapabilityError(f"api.socket: {path} exists and is no socket. Remove it by hand.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise CapabilityError(
                    f"api.socket: {path} is in use or not ours: {error.strerror or error}."
                ) from error
        else:
            raise CapabilityError(f"api.socket: another daemon answers at {path}. Stop it first.")
    path.unlink(missing_ok=True)


def _give_to_group(path: Path, group: str) -> str:
    """Open the socket for the group; the reason why not, or ""."""
    if not group:
        return "no socket_group is configured"
    try:
        group_id = grp.getgrnam(group).gr_gid
    except KeyError:
        return f"there is no group {group}"
    try:
        os.chown(path, -1, group_id)
    except OSError as error:
        return f"the socket cannot be given to group {group}: {error.strerror}"
    path.chmod(OWNER_AND_GROUP)
    return ""


def _remove(path: Path, inode: int) -> None:
    """Remove our socket; another daemon's, bound since at the same path, stays."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass
