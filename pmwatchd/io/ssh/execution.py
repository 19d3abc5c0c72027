"""One command on a proxy, from its beginning until it is certainly over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncssh

from pmwatchd.errors import WithdrawnError
from pmwatchd.ports import BEGUN, DRAIN_S, OUTPUT_LIMIT, Completed, always

Channel = asyncssh.SSHClientChannel[bytes]

_BEFORE_LIMIT = 1024

_BY_FORCE = 124
"""From this exit status on it is ``timeout`` or a shell that speaks, and not the agent."""


class Execution(asyncssh.SSHClientSession[bytes]):
    """
    What a remote command says: that it has begun, the beginning of each stream, how it ended.

    Args:
        announces: It says on both streams when it has begun; what sshd and a login shell
            say before that is nothing that the command said.

    Attributes:
        settled: It has begun, or never will.
        before: The beginning of what was said before it began.
    """

    def __init__(self, *, announces: bool = False) -> None:
        self.kept = {None: bytearray(), asyncssh.EXTENDED_DATA_STDERR: bytearray()}
        self.before = bytearray()
        self.exit_code: int | None = None
        self.settled = asyncio.Event()
        self.told = asyncio.Event()
        self.closed = asyncio.Event()
        self._channel: Channel | None = None
        # the end of what each stream said, until its line came; they are not ordered
        self._waiting = dict.fromkeys(self.kept, b"") if announces else {}
        self._ended = False
        self._left = False

    @property
    def has_begun(self) -> bool:
        """Whether it has; where it does not say so, as far as the proxy knows."""
        return None not in self._waiting

    @property
    def has_ended(self) -> bool:
        """Whether the proxy said that it has."""
        return self._ended

    @property
    def over(self) -> bool:
        """Whether it certainly is: by its own exit, or ended by force and nobody left behind."""
        by_itself = self.exit_code is not None and self.exit_code < _BY_FORCE
        return by_itself or (self._ended and self._left)

    def connection_made(self, chan: Channel) -> None:
        """The channel is open; the command is not yet confirmed."""
        self._channel = chan

    def session_started(self) -> None:
        """The command is confirmed."""
        if self.has_begun:
            self.settled.set()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Keep the beginning; the rest is read so that the command never waits for us."""
        if datatype in self._waiting:
            data = self._since_it_began(datatype, data)
        kept = self.kept[datatype]
        kept += data[: OUTPUT_LIMIT - len(kept)]

    def exit_status_received(self, status: int) -> None:
        """It ended with an exit status; sshd tells at once, whoever holds the streams open."""
        self.settled.set()
        self.exit_code = status
        self._ended = True
        if self.over:
            self.told.set()

    def exit_signal_received(self, *how: object) -> None:  # noqa: ARG002 - as asyncssh calls it
        """It was ended by a signal."""
        self._ended = True

    def eof_received(self) -> bool:
        """Nobody on the proxy holds its streams open any more."""
        self._left = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncssh calls it
        """The channel is closed, or its connection is gone."""
        self.settled.set()
        self.closed.set()
        self.told.set()

    async def begins(self) -> bool:
        """Wait until it has begun, or never will; what it said last may follow its exit status."""
        await self.settled.wait()
        if self.has_begun:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self.closed.wait()
        return False

    def abort(self) -> None:
        """Close the channel and forget what was not yet sent on it."""
        if self._channel is not None:
            self._channel.abort()

    def _since_it_began(self, datatype: asyncssh.DataType, data: bytes) -> bytes:
        self.before += data[: _BEFORE_LIMIT - len(self.before)]
        said = self._waiting.pop(datatype) + data
        _, begun, since = said.partition(BEGUN)
        if not begun:
            self._waiting[datatype] = said[-len(BEGUN) :]
        elif self.has_begun:
            self.settled.set()
        return since


async def carry_through(
    channel: Channel,
    execution: Execution,
    stdin: bytes,
    *,
    over_s: float,
    permitted: Callable[[], bool] = always,
) -> Completed:
    """
    Tell a command that has just begun its options; return when it is certainly over.

    An agent that ended of its own accord is over even if it left a process
    behind that holds its streams open.  Where ``timeout`` or the agent was
    ended by force something may still be at work: the streams have to close.

    Raises:
        WithdrawnError: It was not *permitted* any more and gets no options.
    """
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    try:
        if not permitted():
            raise WithdrawnError
        with suppress(BrokenPipeError):  # it has already ended
            channel.write(stdin)
            channel.write_eof()
        async with asyncio.timeout(over_s):
            await execution.told.wait()
            if not execution.over:
                # The connection is gone, the command may be not: only time ends it now.
                await asyncio.Event().wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await execution.closed.wait()
    except TimeoutError:
        return Completed(exit_code=None, took_s=loop.time() - started_at, lost=True)
    finally:
        execution.abort()
    return Completed(
        exit_code=execution.exit_code,
        stdout=bytes(execution.kept[None]),
        stderr=bytes(execution.kept[asyncssh.EXTENDED_DATA_STDERR]),
        took_s=loop.time() - started_at,
    )
