from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from pmwatchd.lab.listener import Listener
from pmwatchd.lab.proxies import Proxy


@dataclass(frozen=True)
class Way:
    """A proxy and how to log in to it."""

    proxy: Proxy
    key: asyncssh.SSHKey
    known_hosts: Path

    async def connect(self) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            self.proxy.address,
            self.proxy.port,
            username="pmwatchd",
            client_keys=[self.key],
            known_hosts=str(self.known_hosts),
            config=None,
            agent_path=None,
            connect_timeout=5,
        )


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    authorized = tmp_path / "authorized"
    authorized.write_bytes(key.export_public_key())
    proxy = Proxy("node1", "127.0.0.1", authorized, {"FENCE_LAB_SOURCE": "127.0.0.1"})
    await proxy.open()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"{proxy.known_host}\n")
    yield Way(proxy, key, known_hosts)
    await proxy.end()


async def test_a_command_runs_as_a_real_process_with_its_stdin(way: Way) -> None:
    async with await way.connect() as connection:
        done = await connection.run(
            'read line; echo "$line at $FENCE_LAB_SOURCE"; echo warned >&2; exit 2',
            input="action=status\n",
        )

    assert (done.exit_status, done.stdout, done.stderr) == (
        2,
        "action=status at 127.0.0.1\n",
        "warned\n",
    )


async def test_a_command_that_does_not_read_ends_all_the_same(way: Way) -> None:
    async with await way.connect() as connection:
        process = await connection.create_process("exit 7")
        done = await process.wait(timeout=5)

    assert done.exit_status == 7


async def test_timeout_on_the_proxy_ends_a_command_that_hangs(way: Way) -> None:
    async with await way.connect() as connection:
        done = await connection.run("timeout -k 1 0.2 sleep 60")

    assert done.exit_status == 124


async def test_a_stranger_is_not_let_in(way: Way) -> None:
    stranger = Way(way.proxy, asyncssh.generate_private_key("ssh-ed25519"), way.known_hosts)

    with pytest.raises(asyncssh.PermissionDenied):
        await stranger.connect()


async def test_a_dead_proxy_refuses_and_cuts_what_was_connected(way: Way) -> None:
    connection = await way.connect()
    way.proxy.close()

    await connection.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await way.connect()


async def test_a_started_command_outlives_its_connection(way: Way, tmp_path: Path) -> None:
    gate, witness = tmp_path / "gate", tmp_path / "witness"
    os.mkfifo(gate)
    connection = await way.connect()
    process = await connection.create_process(f"echo started; read x < {gate}; echo on > {witness}")
    assert await process.stdout.readline() == "started\n"

    way.proxy.close()
    await connection.wait_closed()
    await asyncio.to_thread(gate.write_text, "go\n")
    await way.proxy.end()

    assert witness.read_text() == "on\n"


async def test_a_mended_proxy_has_its_old_port_and_key(way: Way) -> None:
    way.proxy.close()
    await way.proxy.open()

    async with await way.connect() as connection:
        assert (await connection.run("true")).exit_status == 0


class Session(asyncssh.SSHTCPSession[bytes]):
    """A connection that a proxy made; nothing is said on it."""


async def test_a_proxy_connects_to_a_host_from_its_own_address(way: Way) -> None:
    callers: list[tuple[str, int]] = []
    called = asyncio.Event()

    def host(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername"))
        writer.write(b"here")
        writer.close()
        called.set()

    way.proxy.close()
    way.proxy.address = "127.0.0.9"
    await way.proxy.open()
    way.known_hosts.write_text(f"{way.proxy.known_host}\n")
    server = await asyncio.start_server(host, "127.0.0.1", 0)
    async with server, await way.connect() as connection:
        reader, _ = await connection.open_connection(
            "127.0.0.1", server.sockets[0].getsockname()[1]
        )
        said = await reader.read()
        await called.wait()

    assert said == b"here"
    assert [address for address, _ in callers] == ["127.0.0.9"]


async def test_a_proxy_arrives_where_its_own_network_leads(way: Way, tmp_path: Path) -> None:
    async def host(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"inside")
        writer.close()

    server = await asyncio.start_server(host, "127.0.0.1", 0)
    inside = server.sockets[0].getsockname()
    proxy = Proxy("node2", "127.0.0.1", tmp_path / "authorized", {}, lambda _host, _port: inside)
    await proxy.open()
    way.known_hosts.write_text(f"{proxy.known_host}\n")
    async with server, await Way(proxy, way.key, way.known_hosts).connect() as connection:
        reader, _ = await connection.open_connection("192.0.2.1", 22)
        said = await reader.read()
    await proxy.end()

    assert said == b"inside"


async def test_a_port_that_refuses_is_told_in_the_words_of_the_system(way: Way) -> None:
    listener = Listener("127.0.0.1")
    listener.close()

    async with await way.connect() as connection:
        with pytest.raises(asyncssh.ChannelOpenError, match="Connection refused"):
            await connection.create_connection(Session, listener.address, listener.port)


async def test_a_host_that_is_silent_is_silent_for_a_proxy_as_well(way: Way) -> None:
    listener = Listener("127.0.0.1")
    listener.fall_silent()

    async with await way.connect() as connection:
        calling = asyncio.create_task(
            connection.create_connection(Session, listener.address, listener.port)
        )
        assert (await connection.run("true")).exit_status == 0
        assert not calling.done()
        calling.cancel()
    listener.close()
