"""Whatever a proxy's address says or holds, it costs that proxy and nothing else."""

from __future__ import annotations

import asyncio
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from pmwatchd.core.model import ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh import SshOptions, SshTransport
from tests.kit.parts import needs
from tests.kit.proxy import Proxy, make_key
from tests.kit.ssh import Build, candidate

pytestmark = needs("sshd", "ssh-keygen")


class Book:
    """Names and their addresses, as a test has written them."""

    def __init__(self, **entries: set[str]) -> None:
        self.entries = entries
        self.asked: list[str] = []

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:  # noqa: ARG002 - as the port has it
        self.asked.append(name)
        return frozenset(self.entries.get(name, ()))


def named(options: SshOptions, proxy: Proxy, tmp_path: Path, book: Book) -> SshTransport:
    """Return a transport that knows the proxy's key by a name, and addresses from a book."""
    known_hosts = tmp_path / "named_hosts"
    known_hosts.write_text(proxy.known_hosts().replace(proxy.address, "node2"))
    return SshTransport(replace(options, known_hosts=known_hosts), names=book)


async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak SSH, and then name a list that is longer than its packet."""
    payload = b"\x14" + os.urandom(16) + struct.pack(">I", 9999) + b"curve25519-sha256"
    padding = 16 - (len(payload) + 5) % 8
    length = struct.pack(">IB", len(payload) + padding + 1, padding)
    writer.write(b"SSH-2.0-x\r\n" + length + payload + bytes(padding))
    await writer.drain()
    await reader.read()
    writer.close()


async def test_a_malformed_packet_costs_the_proxy_that_sent_it(
    proxy: Proxy, transport_with: Build
) -> None:
    server = await asyncio.start_server(garble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = replace(candidate(proxy), port=port)
    async with server:
        with pytest.raises(ProxyError) as caught:
            await transport_with().run(target, ["true"], b"", over_s=5.0)

    assert caught.value.result is ProxyResult.UNREACHABLE


async def test_a_certificate_of_another_key_beside_ours_is_told(
    proxy: Proxy, transport_with: Build, client_key: Path, tmp_path: Path
) -> None:
    make_key(tmp_path / "old")
    make_key(tmp_path / "authority")
    signing = await asyncio.create_subprocess_exec(
        *("ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "us", "-n", "us"),
        str(tmp_path / "old.pub"),
    )
    assert await signing.wait() == 0
    (tmp_path / "old-cert.pub").rename(client_key.with_name(f"{client_key.name}-cert.pub"))
    with pytest.raises(ProxyError) as caught:
        await transport_with().run(candidate(proxy), ["true"], b"", over_s=5.0)

    assert caught.value.result is ProxyResult.AUTH_ERROR
    assert "certificate" in caught.value.reason


@pytest.mark.parametrize("addresses", [{"127.0.0.1"}, {"127.0.0.1", "::1"}])
async def test_a_proxy_that_is_named_is_reached_at_any_address_that_is_known(
    ssh_options: SshOptions, proxy: Proxy, tmp_path: Path, addresses: set[str]
) -> None:
    book = Book(node2=addresses)
    transport = named(ssh_options, proxy, tmp_path, book)
    target = replace(candidate(proxy), address="node2")

    completed = await transport.run(target, ["true"], b"", over_s=5.0)
    await transport.close()

    assert completed.exit_code == 0
    assert book.asked == ["node2"]


async def test_a_name_of_which_nothing_is_known_costs_its_proxy_only(
    ssh_options: SshOptions, proxy: Proxy, tmp_path: Path
) -> None:
    transport = named(ssh_options, proxy, tmp_path, Book())
    with pytest.raises(ProxyError) as caught:
        await transport.run(replace(candidate(proxy), address="node2"), ["true"], b"", over_s=5.0)

    assert caught.value.result is ProxyResult.UNREACHABLE
    assert "looked up" in caught.value.reason


async def test_a_literal_address_is_looked_up_nowhere(
    ssh_options: SshOptions, proxy: Proxy
) -> None:
    book = Book()
    transport = SshTransport(ssh_options, names=book)

    completed = await transport.run(candidate(proxy), ["true"], b"", over_s=5.0)
    await transport.close()

    assert (completed.exit_code, book.asked) == (0, [])
