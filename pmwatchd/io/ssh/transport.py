"""Many proxies, few connections: which are kept, and which are no longer wanted."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pmwatchd.core.model import Candidate
from pmwatchd.core.orders import Record
from pmwatchd.io.ssh.dial import dial
from pmwatchd.io.ssh.execution import carry_through
from pmwatchd.io.ssh.link import Key, Link, SshOptions
from pmwatchd.io.ssh.trust import Trust
from pmwatchd.ports import Completed, Dialled, Meter, Names, always

_GOODBYE_S = 1.0


class SshTransport:
    """
    Runs programs on proxies and tries ports from there; a :class:`pmwatchd.ports.Outpost`.

    Questions want one of their own, so that they never keep power waiting for a session.

    Args:
        options: How proxies are reached; :meth:`use` replaces them.
        meter: Is told how many connections are kept; None for connections that are not counted.
        tell: Is told when a proxy is connected or lost; None: nobody is.
        names: Knows the addresses of proxies; None: each connection looks its own up.
    """

    def __init__(
        self,
        options: SshOptions,
        *,
        meter: Meter | None = None,
        tell: Callable[[Record], None] | None = None,
        names: Names | None = None,
    ) -> None:
        self._options = options
        self._trust = Trust(options.private_key, options.known_hosts)
        self._meter = meter
        self._tell = tell
        self._names = names
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
        announces: bool = False,
        switches: bool = False,
    ) -> Completed:
        """
        Run *argv* on a proxy; see :class:`pmwatchd.ports.Transport`.

        Raises:
            ProxyError: The command has not begun; nothing of *stdin* was sent.
            WithdrawnError: It was not *permitted* any more; nothing of *stdin* was sent.
        """
        with self._using(proxy) as link:
            async with link.session() as connection:
                channel, execution = await link.start(
                    connection, shlex.join(argv), announces=announces
                )
                execution.switches = switches
                return await carry_through(
                    channel, execution, stdin, over_s=over_s, permitted=permitted
                )

    async def try_tcp(
        self, proxy: Candidate, host: str, port: int, *, opening: bytes | None, within_s: float
    ) -> Dialled:
        """
        Let a proxy connect to a port; see :class:`pmwatchd.ports.Outpost`.

        Raises:
            ProxyError: The proxy could not be asked, could not try, or fell silent itself.
        """
        with self._using(proxy) as link:
            return await dial(link, host, port, opening=opening, within_s=within_s)

    def use(self, options: SshOptions) -> None:
        """Reach proxies by other options from now on; what runs is carried to its end."""
        if options == self._options:
            return
        self._options = options
        self._trust = Trust(options.private_key, options.known_hosts)
        self._retired.update(self._links.values())
        self._links.clear()
        self._close_unused()

    async def close(self) -> None:
        """Close every connection; what runs on proxies is left to its ``timeout``."""
        links = (*self._links.values(), *self._retired)
        self._links.clear()
        self._retired.clear()
        closing = [connection for link in links if (connection := link.close()) is not None]
        self._count()
        for connection in closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await connection.wait_closed()
            connection.abort()

    @contextmanager
    def _using(self, proxy: Candidate) -> Iterator[Link]:
        key = (proxy.address or proxy.name, proxy.port, proxy.user)
        if key not in self._links:
            self._links[key] = Link(
                key,
                proxy.name,
                self._options,
                self._trust,
                changed=self._changed,
                names=self._names,
            )
        link = self._links[key]
        link.users += 1
        try:
            yield link
        finally:
            link.users -= 1
            if link.is_clogged and self._links.get(key) is link:
                self._retired.add(self._links.pop(key))
            self._close_unused()

    def _changed(self, record: Record) -> None:
        self._count()
        if self._tell is not None:
            self._tell(record)

    def _close_unused(self) -> None:
        for link in [link for link in self._retired if not link.users]:
            self._retired.remove(link)
            link.close()
            self._count()

    def _count(self) -> None:
        if self._meter is not None:
            self._meter.connected(self.connections)
