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

_NOT_ITS_OWN = 124
"""From this exit status on it is ``timeout`` or a shell that speaks, and not the agent."""

_BY_FORCE = (_NOT_ITS_OWN, *range(129, 193))
"""The time was over, or a signal ended it: 128 and its number."""


class Execution(asyncssh.SSHClientSession[bytes]):
    """
    What a remote command says: that it has begun, the beginning of each stream, how it ended.

    Args:
        announces: It says on both streams when it has begun; what sshd and a login shell
            say before that is nothing that the command said.

    Attributes:
        switches: It switches power; others only ask.
        settled: It has begun, or never will.
        ended_at: When the proxy said that it has ended, by the loop's clock.
        before: The beginning of what was said before it began.
    """

    def __init__(self, *, announces: bool = False) -> None:
        self.kept = {None: bytearray(), asyncssh.EXTENDED_DATA_STDERR: bytearray()}
        self.before = bytearray()
        self.exit_code: int | None = None
        self.ended_at: float | None = None
        self.settled = asyncio.Event()
        self.told = asyncio.Event()
        self.closed = asyncio.Event()
        self._channel: Channel | None = None
        # the end of what each stream said, until its line came; they are not ordered
        self._waiting = dict.fromkeys(self.kept, b"") if announces else {}
        self.switches = False
        self._left = False

    @property
    def has_begun(self) -> bool:
        """Whether it has; where it does not say so, as far as the proxy knows."""
        return None not in self._waiting

    @property
    def has_ended(self) -> bool:
        """Whether the proxy said that it has."""
        return self.ended_at is not None

    @property
    def all_heard(self) -> bool:
        """Whether the proxy said that it has ended, and nobody is left who could say more."""
        return self.has_ended and self._left

    @property
    def over(self) -> bool:
        """
        Whether it certainly is, before its time: by its own exit, or nobody is left behind.

        Where the agent was ended by force, a helper of it with streams of its own that is
        deaf to TERM may still switch power, and nothing on the proxy tells of that.
        """
        code = self.exit_code
        if code is not None and code < _NOT_ITS_OWN:
            return True
        by_force = self.switches and (code is None or code in _BY_FORCE)
        return self.all_heard and not by_force

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
        self._end()
        if self.over:
            self.told.set()

    def exit_signal_received(self, *how: object) -> None:  # noqa: ARG002 - as asyncssh calls it
        """It was ended by a signal."""
        self._end()

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

    def _end(self) -> None:
        self.ended_at = asyncio.get_running_loop().time()

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
    ended by force something may still be at work: only time ends that.

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
                # Nothing that could still be heard tells that it is over: only time ends it now.
                await asyncio.Event().wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await execution.closed.wait()
    except TimeoutError:
        if not execution.all_heard:
            return Completed(exit_code=None, took_s=loop.time() - started_at, lost=True)
    finally:
        execution.abort()
    ended_at = loop.time() if execution.ended_at is None else execution.ended_at
    return Completed(
        exit_code=execution.exit_code,
        stdout=bytes(execution.kept[None]),
        stderr=bytes(execution.kept[asyncssh.EXTENDED_DATA_STDERR]),
        took_s=max(0.0, ended_at - started_at),
    )
