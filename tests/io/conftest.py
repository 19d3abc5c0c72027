"""Real proxies for the tests of io: an sshd each, and what tells of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from pmwatchd.core.model import Candidate
from pmwatchd.io.inquiries import NetworkInquiries
from pmwatchd.io.local import LocalTransport
from pmwatchd.io.ssh import SshOptions, SshTransport
from tests.kit.proxy import Proxy, make_key
from tests.kit.ssh import Build, Ledger, candidate


@pytest.fixture
def client_key(tmp_path: Path) -> Path:
    """Make the daemon's own key."""
    path = tmp_path / "client_key"
    make_key(path)
    return path


@pytest.fixture
def proxy(tmp_path: Path, client_key: Path) -> Iterator[Proxy]:
    """Yield a running sshd that lets whoever runs the tests in."""
    proxy = Proxy("node2", "127.0.0.1", tmp_path / "node2", client_key.with_suffix(".pub"))
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def ssh_options(tmp_path: Path, client_key: Path, proxy: Proxy) -> SshOptions:
    """Return options that fit the proxy; :func:`dataclasses.replace` makes others of them."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(proxy.known_hosts())
    return SshOptions(private_key=client_key, known_hosts=known_hosts)


@pytest.fixture
def ledger() -> Ledger:
    """Return an empty ledger, the one of ``transport_with``."""
    return Ledger()


@pytest_asyncio.fixture
async def transport_with(ssh_options: SshOptions, ledger: Ledger) -> AsyncIterator[Build]:
    """Yield a maker of transports with some options changed; all are closed after the test."""
    made: list[SshTransport] = []

    def build(**changes: object) -> SshTransport:
        options = replace(ssh_options, **changes)  # type: ignore[arg-type] # a test names real fields
        transport = SshTransport(options, meter=ledger, tell=ledger.tell)
        made.append(transport)
        return transport

    yield build
    for transport in made:
        await transport.close()


@pytest.fixture
def transport(transport_with: Build) -> SshTransport:
    """Return a transport that only questions use."""
    return transport_with()


@pytest.fixture
def inquiries(transport: SshTransport) -> NetworkInquiries:
    """Return what asks the proxy, and runs programs here."""
    return NetworkInquiries(outpost=transport, local=LocalTransport("/nowhere"))


@pytest.fixture
def witness(proxy: Proxy) -> Candidate:
    """Return the proxy as the core names it."""
    return candidate(proxy)
