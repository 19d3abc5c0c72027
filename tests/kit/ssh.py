"""What a test of SSH needs beside a proxy: its name as the core says it, and an ear."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pmwatchd.core.model import Candidate, ProbeResult, ProxySource
from pmwatchd.core.orders import Record
from pmwatchd.io.ssh import SshTransport
from tests.kit.proxy import Proxy
from tests.kit.waiting import eventually

Build = Callable[..., SshTransport]

UNTIL_RELEASED = ("sh", "-c", 'touch "$1"; while [ ! -e "$2" ]; do sleep 0.05; done', "-")
"""A command that makes its first file, and ends when somebody makes the second."""


@dataclass
class Ledger:
    """Everything that a transport counted and told."""

    connections: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def connected(self, proxies: int) -> None:
        self.connections.append(proxies)

    def tell(self, record: Record) -> None:
        self.records.append(record)

    def events(self) -> list[str]:
        return [record.event for record in self.records]

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        raise NotImplementedError

    def start_delay(self, late_s: float) -> None:
        raise NotImplementedError

    def commit(self, took_s: float) -> None:
        raise NotImplementedError


def candidate(proxy: Proxy) -> Candidate:
    """Name a proxy as the core does."""
    return Candidate(
        name=proxy.name,
        source=ProxySource.CLUSTER,
        address=proxy.address,
        port=proxy.port,
        user=getpass.getuser(),
    )


async def until(path: Path) -> None:
    """Wait until a remote command has made a file."""
    await asyncio.to_thread(eventually, path.exists, within_s=10, what=f"{path.name} is there")


def sessions_of(proxy: Proxy) -> list[int]:
    """Processes of sshd that serve connections, without what they run."""
    assert proxy.process is not None
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text().partition(" ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, _, fields = rest.rpartition(") ")
        parents[int(pid)] = (name.lstrip("("), int(fields.split()[1]))
    found = [proxy.process.pid]
    for one in found:
        found += [p for p, (name, parent) in parents.items() if parent == one and "sshd" in name]
    return found[1:]
