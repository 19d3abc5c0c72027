"""The second opinion, asked of a real sshd about real sockets: behaviour.md 3, holds 9 and 10."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from pmwatchd.core.model import (
    Candidate,
    Heartbeat,
    Host,
    Opinion,
    Probe,
    ProbeType,
    ProxySource,
)
from pmwatchd.io.inquiries import NetworkInquiries
from pmwatchd.io.ssh import SshTransport
from pmwatchd.ports import Said
from tests.io.heartbeat.scene import accepting, deaf, refusing, saying, tcp
from tests.kit.parts import needs
from tests.kit.ports import free_port
from tests.kit.proxy import Proxy
from tests.kit.ssh import candidate, sessions_of
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
Restart = Callable[[str], Candidate]


@pytest.fixture
def witness_with(proxy: Proxy) -> Restart:
    """Return what starts the proxy's sshd anew with more lines in its configuration."""

    def restart(options: str) -> Candidate:
        proxy.stop()
        proxy.restart(options)
        return candidate(proxy)

    return restart


@pytest_asyncio.fixture
async def clock() -> AsyncIterator[Callable[[], float]]:
    """Yield the seconds that have passed since the test began."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    yield lambda: loop.time() - began_at


def suspect(*probes: Probe, require_all: bool = False, weak_is_silent: bool = False) -> Host:
    heartbeat = Heartbeat(probes=probes, require_all=require_all, weak_is_silent=weak_is_silent)
    return Host(name="node7", address="127.0.0.1", heartbeat=heartbeat)


def probe(kind: ProbeType, port: int | None = None, *, tls: bool = False) -> Probe:
    return Probe(type=kind, address="127.0.0.1", port=port, tls=tls)


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Stop processes of sshd, and end them afterwards."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


async def test_a_witness_sees_a_suspect_that_is_alive(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    with accepting() as port:
        said = await inquiries.ask_witness(suspect(tcp(port)), witness)

    assert said == Said(Opinion.ALIVE, f"tcp://127.0.0.1:{port} accepts")


async def test_a_suspect_that_refuses_is_alive(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    port = refusing()
    said = await inquiries.ask_witness(suspect(tcp(port)), witness)

    assert said == Said(Opinion.ALIVE, f"tcp://127.0.0.1:{port} refuses")


async def test_a_suspect_that_swallows_packets_is_silent_within_two_seconds(
    inquiries: NetworkInquiries, witness: Candidate, clock: Callable[[], float]
) -> None:
    with deaf() as port:
        said = await inquiries.ask_witness(suspect(tcp(port)), witness)

    assert said == Said(Opinion.SILENT, f"tcp://127.0.0.1:{port} is silent")
    assert clock() < 2.0


async def test_an_ssh_probe_wants_a_banner(inquiries: NetworkInquiries, witness: Candidate) -> None:
    async with saying(b"SSH-2.0-imitated\r\n") as talking, saying(b"") as mute:
        alive = await inquiries.ask_witness(suspect(probe(ProbeType.SSH, talking)), witness)
        silent = await inquiries.ask_witness(suspect(probe(ProbeType.SSH, mute)), witness)

    assert alive == Said(Opinion.ALIVE, f"ssh://127.0.0.1:{talking} answers")
    assert silent == Said(Opinion.SILENT, f"ssh://127.0.0.1:{mute} accepts and stays mute")


async def test_an_http_probe_wants_any_answer_to_a_request(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    requests = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = replace(probe(ProbeType.HTTP, port), path="/healthz?full=1")
    async with server:
        said = await inquiries.ask_witness(suspect(asked), witness)

    assert said == Said(Opinion.ALIVE, f"http://127.0.0.1:{port}/healthz?full=1 answers")
    assert requests[0].startswith(b"GET /healthz?full=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n")


async def test_a_server_that_hangs_up_without_a_word_is_alive(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    async with saying(b"", then_closes=True) as port:
        said = await inquiries.ask_witness(suspect(probe(ProbeType.SSH, port)), witness)

    assert said.opinion is Opinion.ALIVE


async def test_with_tls_a_bare_accept_is_silent_and_any_answer_is_alive(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    greetings = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(await reader.readexactly(3))
        writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # an alert: the handshake failed
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with accepting() as mute:
        asked = suspect(probe(ProbeType.HTTP, mute, tls=True))
        hung = await inquiries.ask_witness(asked, witness)
    async with server:
        asked = suspect(probe(ProbeType.HTTP, port, tls=True), weak_is_silent=True)
        awake = await inquiries.ask_witness(asked, witness)

    assert hung.opinion is Opinion.SILENT
    assert awake.opinion is Opinion.ALIVE
    assert greetings == [b"\x16\x03\x01"]


async def test_where_weak_is_silent_a_witness_calls_it_silent_too(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    refused, weak = probe(ProbeType.SSH, refusing()), tcp(refusing())
    async with saying(b"SSH-2.0-imitated\r\n") as talking:
        strong = suspect(probe(ProbeType.SSH, talking), weak, weak_is_silent=True)
        half = suspect(refused, weak, weak_is_silent=True)
        plain = suspect(weak, weak_is_silent=True)

        assert (await inquiries.ask_witness(strong, witness)).opinion is Opinion.ALIVE
        assert (await inquiries.ask_witness(half, witness)).opinion is Opinion.SILENT
        assert (await inquiries.ask_witness(plain, witness)).opinion is Opinion.ALIVE


async def test_any_or_all_probes_must_answer_as_for_a_heartbeat(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    with deaf() as port:
        any_of = suspect(tcp(port), tcp(refusing()))
        all_of = suspect(tcp(port), tcp(refusing()), require_all=True)
        any_said, all_said = await asyncio.gather(
            inquiries.ask_witness(any_of, witness), inquiries.ask_witness(all_of, witness)
        )

    assert any_said.opinion is Opinion.ALIVE
    assert all_said.opinion is Opinion.SILENT


@pytest.mark.parametrize(
    "options", ["AllowTcpForwarding no", "PermitOpen 192.0.2.1:1", "DisableForwarding yes"]
)
async def test_a_witness_that_may_not_forward_says_nothing(
    inquiries: NetworkInquiries, witness_with: Restart, options: str
) -> None:
    witness = witness_with(options)
    with accepting() as port:
        said = await inquiries.ask_witness(suspect(tcp(port)), witness)

    assert said.opinion is Opinion.NONE
    assert "node2" in said.reason
    assert "not permitted" in said.reason


async def test_a_dead_witness_says_nothing(
    inquiries: NetworkInquiries, witness: Candidate, clock: Callable[[], float]
) -> None:
    gone = replace(witness, port=free_port("127.0.0.1"))
    with deaf() as port:
        said = await inquiries.ask_witness(suspect(tcp(port)), gone)

    assert said.opinion is Opinion.NONE
    assert "refused" in said.reason
    assert clock() < 2.0


async def test_a_witness_that_froze_says_nothing_and_does_not_call_the_suspect_silent(
    inquiries: NetworkInquiries, witness: Candidate, proxy: Proxy, clock: Callable[[], float]
) -> None:
    alive = suspect(tcp(refusing()))
    assert (await inquiries.ask_witness(alive, witness)).opinion is Opinion.ALIVE
    began_s = clock()
    with frozen(sessions_of(proxy)):
        said = await inquiries.ask_witness(alive, witness)

    assert said.opinion is Opinion.NONE
    assert "does not answer" in said.reason
    assert clock() - began_s < 2.0


async def test_a_witness_whose_connection_breaks_says_nothing(
    inquiries: NetworkInquiries, transport: SshTransport, witness: Candidate, proxy: Proxy
) -> None:
    with deaf() as port:
        asking = asyncio.create_task(inquiries.ask_witness(suspect(tcp(port)), witness))
        await asyncio.to_thread(
            eventually, lambda: transport.connections, within_s=10, what="it is connected"
        )
        for pid in sessions_of(proxy):
            os.kill(pid, signal.SIGKILL)
        said = await asking

    assert said.opinion is Opinion.NONE


async def test_a_name_that_the_witness_does_not_know_says_nothing(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    said = await inquiries.ask_witness(suspect(tcp(22, "node7.invalid")), witness)

    assert said.opinion is Opinion.NONE


async def test_the_management_node_is_no_witness(inquiries: NetworkInquiries) -> None:
    said = await inquiries.ask_witness(suspect(tcp(refusing())), ENGINE)

    assert said.opinion is Opinion.NONE


async def test_without_probes_there_is_nothing_to_say(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    assert (await inquiries.ask_witness(suspect(), witness)).opinion is Opinion.NONE


@needs("ping")
async def test_a_witness_pings(inquiries: NetworkInquiries, witness: Candidate) -> None:
    said = await inquiries.ask_witness(suspect(probe(ProbeType.ICMP)), witness)

    assert said == Said(Opinion.ALIVE, "icmp://127.0.0.1 answers")


@pytest.mark.parametrize(
    ("code", "opinion"), [(0, Opinion.ALIVE), (1, Opinion.SILENT), (2, Opinion.NONE)]
)
async def test_the_exit_status_of_ping_is_what_the_witness_says(
    inquiries: NetworkInquiries,
    witness_with: Restart,
    tmp_path: Path,
    code: int,
    opinion: Opinion,
) -> None:
    ping = tmp_path / "bin" / "ping"
    ping.parent.mkdir()
    ping.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/argv\nexit {code}\n')
    ping.chmod(0o755)
    witness = witness_with(f"SetEnv PATH={ping.parent}:/usr/bin:/bin")

    said = await inquiries.ask_witness(suspect(probe(ProbeType.ICMP)), witness)

    assert said.opinion is opinion
    assert (tmp_path / "argv").read_text() == "-c 1 -W 1 -n -- 127.0.0.1\n"


async def test_a_probe_that_the_witness_cannot_try_counts_for_nothing(
    inquiries: NetworkInquiries, witness_with: Restart, tmp_path: Path
) -> None:
    witness = witness_with(f"SetEnv PATH={tmp_path}")
    echo = probe(ProbeType.ICMP)

    alone = await inquiries.ask_witness(suspect(echo), witness)
    beside = await inquiries.ask_witness(suspect(echo, tcp(refusing()), require_all=True), witness)

    assert alone.opinion is Opinion.NONE
    assert "cannot ping" in alone.reason
    assert beside.opinion is Opinion.ALIVE
