"""
Programs on the management node itself: the transport of the proxy ``engine``.

A program gets a session of its own, so that it and all it started can be
ended together, and an environment that holds nothing of the daemon's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from pmwatchd.core.model import Candidate, ProxyResult
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.ports import DRAIN_S, OUTPUT_LIMIT, Completed, always

# Agents switch their own time-outs off when they see PCMK_service, and ~ may hold an .rc file.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


class LocalTransport:
    """Runs fence agents that are installed here; a :class:`pmwatchd.ports.Transport`."""

    def __init__(self, agent_dir: str) -> None:
        self._agent_dir = agent_dir

    def missing(self, program: str) -> str | None:
        """Why a fence agent, given by its path, cannot run here, or None."""
        path = Path(program)
        if not path.is_file():
            return f"{path.name} is not installed on the management node ({path.parent})"
        if not os.access(path, os.X_OK):
            return f"{program} on the management node may not be executed by this user"
        return None

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
        announces: bool = False,  # noqa: ARG002 - here a program has begun when it was started
        switches: bool = False,  # noqa: ARG002 - what outlives it is killed
    ) -> Completed:
        """
        Run *argv* here; see :class:`pmwatchd.ports.Transport`.

        A run that is cancelled, or not over after *over_s* seconds, is killed
        with everything that it started, and so is what outlives its program.
        Only what began a session of its own escapes; the run is over without it.

        Raises:
            ProxyError: The agent is not installed here, or no process could be started.
            WithdrawnError: It was not *permitted* any more; it was told nothing.
        """
        for word in argv:
            if word.startswith(f"{self._agent_dir}/") and (reason := self.missing(word)):
                raise ProxyError(ProxyResult.NOT_INSTALLED, reason)
        if not permitted():
            raise WithdrawnError
        loop = asyncio.get_running_loop()
        try:
            transport, execution = await loop.subprocess_exec(
                _Execution, *argv, env=ENVIRONMENT, cwd="/", start_new_session=True
            )
        except (FileNotFoundError, PermissionError) as error:
            reason = f"{argv[0]} cannot be executed on the management node: {error.strerror}"
            raise ProxyError(ProxyResult.NOT_INSTALLED, reason) from error
        except (OSError, RuntimeError) as error:  # so Python says that there is no thread to spare
            reason = f"no process can be started for {proxy.name}: {error}"
            raise ProxyError(ProxyResult.NO_SESSION, reason) from error
        started_at = loop.time()
        try:
            if not permitted():  # to start it took its time, too
                raise WithdrawnError
            _tell(transport, stdin)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(over_s):
                    await execution.ended.wait()
                async with asyncio.timeout(DRAIN_S):
                    await execution.closed.wait()
        finally:
            exit_code = transport.get_returncode()
            await _end(transport, execution)
        if exit_code is None:
            return Completed(exit_code=None, took_s=loop.time() - started_at, lost=True)
        return Completed(
            exit_code=None if exit_code < 0 else exit_code,
            stdout=bytes(execution.kept[1]),
            stderr=bytes(execution.kept[2]),
            took_s=loop.time() - started_at,
        )


class _Execution(asyncio.SubprocessProtocol):
    """What a process says: the beginning of each stream, that it ended, that nobody is left."""

    def __init__(self) -> None:
        self.kept = {1: bytearray(), 2: bytearray()}
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self._group: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._group = cast("asyncio.SubprocessTransport", transport).get_pid()

    def process_exited(self) -> None:
        """Its program has ended; what that left behind would keep the streams open."""
        # At once: the number of a group without members goes to somebody else one day.
        if self._group is not None:
            _kill(self._group)
        self.ended.set()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Keep the beginning; the rest is read so that the process never waits for us."""
        if isinstance(data, bytes):
            self.kept[fd] += data[: OUTPUT_LIMIT - len(self.kept[fd])]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        """It has ended, and nobody holds its streams open."""
        self.closed.set()


def _tell(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    """Give the process all of its input at once, and its end."""
    # no isinstance: uvloop's transports are none of asyncio's classes
    pipe = cast("asyncio.WriteTransport | None", transport.get_pipe_transport(0))
    if pipe is None or pipe.is_closing():
        return  # it has ended already
    with contextlib.suppress(RuntimeError):  # so uvloop says the same
        pipe.write(stdin)
        pipe.close()


async def _end(transport: asyncio.SubprocessTransport, execution: _Execution) -> None:
    """Kill what is left of the session; killing ``timeout`` alone would leave the agent behind."""
    try:
        if transport.get_returncode() is None:
            _kill(transport.get_pid())
            with contextlib.suppress(TimeoutError):  # a program may wait for a disk, deaf to this
                async with asyncio.timeout(DRAIN_S):
                    await execution.ended.wait()
    finally:
        transport.close()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
