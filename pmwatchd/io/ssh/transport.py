"""Many proxies, few connections: which are kept, and which are no longer wanted."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress

from pmwatchd.core.model import Candidate
from pmwatchd.core.orders import Record
from pmwatchd.io.ssh.execution import carry_through
from pmwatchd.io.ssh.link import Key, Link, SshOptions
from pmwatchd.ports import Completed, Meter, always

_GOODBYE_S = 1.0


class SshTransport:
    """
    Runs programs on proxies; a :class:`pmwatchd.ports.Transport`.

    Args:
        options: How proxies are reached; :meth:`use` replaces them.
        meter: Is told how many connections are kept.
        tell: Is told when a proxy is connected or lost.
    """

    def __init__(
        self, options: SshOptions, *, meter: Meter, tell: Callable[[Record], None]
    ) -> None:
        self._options = options
        self._meter = meter
        self._tell = tell
        self._links: dict[Key, Link] = {}
        self._retired: set[Link] = set()

    @property
    def connections(self) -> int:
        """How many connections are kept now."""
        return sum(link.connected for link in (*self._links.values(), *self._retired))

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
    ) -> Completed:
        """
        Run *argv* on a proxy; see :class:`pmwatchd.ports.Transport`.

        Raises:
            ProxyError: The command was not started; nothing of *stdin* was sent.
            WithdrawnError: It was not *permitted* any more; nothing of *stdin* was sent.
        """
        link = self._link(proxy)
        link.users += 1
        try:
            async with link.session() as connection:
                channel, execution = await link.start(connection, shlex.join(argv))
                return await carry_through(
                    channel, execution, stdin, over_s=over_s, permitted=permitted
                )
        finally:
            link.users -= 1
            self._close_unused()

    def use(self, options: SshOptions) -> None:
        """Reach proxies by other options from now on; what runs is carried to its end."""
        if options == self._options:
            return
        self._options = options
        self._retired.update(self._links.values())
        self._links.clear()
        self._close_unused()

    async def close(self) -> None:
        """Close every connection; what runs on proxies is left to its ``timeout``."""
        links = (*self._links.values(), *self._retired)
        self._links.clear()
        self._retired.clear()
        closing = [connection for link in links if (connection := link.close()) is not None]
        self._meter.connected(0)
        for connection in closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await connection.wait_closed()
            connection.abort()

    def _link(self, proxy: Candidate) -> Link:
        key = (proxy.address or proxy.name, proxy.port, proxy.user)
        if key not in self._links:
            self._links[key] = Link(key, proxy.name, self._options, self._changed)
        return self._links[key]

    def _changed(self, record: Record) -> None:
        self._meter.connected(self.connections)
        self._tell(record)

    def _close_unused(self) -> None:
        for link in [link for link in self._retired if not link.users]:
            self._retired.remove(link)
            link.close()
            self._meter.connected(self.connections)
