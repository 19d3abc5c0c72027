"""TCP ports, tried from the place of a real sshd."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pmwatchd.core.model import Candidate, ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh import SshOptions, SshTransport
from pmwatchd.ports import Dialled
from tests.io.heartbeat.scene import accepting, deaf, refusing, saying
from tests.kit.parts import needs
from tests.kit.proxy import Proxy
from tests.kit.ssh import Build, Ledger
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")


async def dial(
    transport: SshTransport,
    proxy: Candidate,
    port: int,
    *,
    opening: bytes | None = None,
    within_s: float = 0.5,
) -> Dialled:
    return await transport.try_tcp(proxy, "127.0.0.1", port, opening=opening, within_s=within_s)


async def test_a_port_accepts_refuses_or_is_silent(
    transport: SshTransport, witness: Candidate
) -> None:
    with accepting() as open_port, deaf() as deaf_port:
        assert await dial(transport, witness, open_port) is Dialled.OPENED
        assert await dial(transport, witness, refusing()) is Dialled.REFUSED
        assert await dial(transport, witness, deaf_port) is Dialled.SILENT


async def test_who_accepts_speaks_hangs_up_or_stays_mute(
    transport: SshTransport, witness: Candidate
) -> None:
    async with saying(b"hello") as talking, saying(b"", then_closes=True) as closing:
        assert await dial(transport, witness, talking, opening=b"", within_s=9) is Dialled.SPOKE
        assert await dial(transport, witness, closing, opening=b"", within_s=9) is Dialled.OPENED
    with accepting() as port:
        assert await dial(transport, witness, port, opening=b"") is Dialled.MUTE


async def test_many_calls_share_one_connection(
    transport: SshTransport, witness: Candidate, proxy: Proxy
) -> None:
    port = refusing()
    heard = await asyncio.gather(*(dial(transport, witness, port) for _ in range(40)))

    assert set(heard) == {Dialled.REFUSED}
    assert transport.connections == 1
    assert proxy.log().count("Accepted publickey") == 1


async def test_connections_that_nobody_counts_are_told_to_nobody(
    ledger: Ledger, witness: Candidate, ssh_options: SshOptions
) -> None:
    untold = SshTransport(ssh_options)
    assert await dial(untold, witness, refusing()) is Dialled.REFUSED
    await untold.close()

    assert (ledger.connections, ledger.records) == ([], [])


async def test_connecting_goes_on_when_nobody_waits_for_it_any_more(
    transport: SshTransport, witness: Candidate
) -> None:
    asking = asyncio.create_task(dial(transport, witness, refusing()))
    for _ in range(5):  # until it has begun to connect
        await asyncio.sleep(0)
    asking.cancel()

    await asyncio.to_thread(
        eventually, lambda: transport.connections, within_s=10, what="it is connected"
    )


async def test_a_connection_that_comes_too_late_is_closed(
    transport: SshTransport, witness: Candidate
) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        fillers = {first.getsockname(), second.getsockname()}
        port = listener.getsockname()[1]
        assert await dial(transport, witness, port, opening=b"x") is Dialled.SILENT

        listener.settimeout(10)
        late, source = await asyncio.to_thread(listener.accept)
        while source in fillers:
            late.close()
            late, source = await asyncio.to_thread(listener.accept)
        with late:
            late.settimeout(10)
            assert await asyncio.to_thread(late.recv, 1) == b""


async def test_a_connection_with_too_many_pending_channels_is_made_anew(
    transport_with: Build, witness: Candidate, proxy: Proxy
) -> None:
    transport = transport_with(half_open=3)
    with deaf() as port:
        for _ in range(3):
            assert await dial(transport, witness, port, within_s=0.2) is Dialled.SILENT
        assert transport.connections == 0
        assert await dial(transport, witness, refusing()) is Dialled.REFUSED

    assert proxy.log().count("Accepted publickey") == 2


async def test_pending_channels_do_not_keep_a_command_from_running(
    transport: SshTransport, witness: Candidate
) -> None:
    with deaf() as port:
        await asyncio.gather(*(dial(transport, witness, port) for _ in range(30)))
        completed = await transport.run(witness, ["true"], b"", over_s=10.0)

    assert completed.exit_code == 0


async def test_a_closed_transport_leaves_nothing_pending(
    transport: SshTransport, witness: Candidate
) -> None:
    with deaf() as port:
        asking = asyncio.create_task(dial(transport, witness, port, within_s=60.0))
        await asyncio.to_thread(
            eventually, lambda: transport.connections, within_s=10, what="it is connected"
        )
        await transport.close()
        with pytest.raises(ProxyError) as caught:
            await asking

    assert caught.value.result is ProxyResult.UNREACHABLE
