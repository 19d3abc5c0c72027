"""One command on a proxy, from its confirmed start until it is certainly over."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncssh

from pmwatchd.ports import OUTPUT_LIMIT, Completed

Channel = asyncssh.SSHClientChannel[bytes]


class Execution(asyncssh.SSHClientSession[bytes]):
    """What a remote command says: the beginning of each stream, and how it ended."""

    def __init__(self) -> None:
        self.kept = {None: bytearray(), asyncssh.EXTENDED_DATA_STDERR: bytearray()}
        self.exit_code: int | None = None
        self.ended = False
        self.closed = asyncio.Event()
        self._channel: Channel | None = None

    def connection_made(self, chan: Channel) -> None:
        """The channel is open; the command is not yet confirmed."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Keep the beginning; the rest is read so that the command never waits for us."""
        kept = self.kept[datatype]
        kept += data[: OUTPUT_LIMIT - len(kept)]

    def exit_status_received(self, status: int) -> None:
        """It ended with an exit status."""
        self.exit_code = status
        self.ended = True

    def exit_signal_received(self, *how: object) -> None:  # noqa: ARG002 - as asyncssh calls it
        """It was ended by a signal."""
        self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncssh calls it
        """The channel is closed, or its connection is gone."""
        self.closed.set()

    def abort(self) -> None:
        """Close the channel and forget what was not yet sent on it."""
        if self._channel is not None:
            self._channel.abort()


async def carry_through(
    channel: Channel, execution: Execution, stdin: bytes, *, over_s: float
) -> Completed:
    """Tell a command that has just started its options; return when it is certainly over."""
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    try:
        with suppress(BrokenPipeError):  # it has already ended
            channel.write(stdin)
            channel.write_eof()
        async with asyncio.timeout(over_s):
            await execution.closed.wait()
            if not execution.ended:
                # The connection is gone, the command is not: only time ends it now.
                await asyncio.Event().wait()
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
