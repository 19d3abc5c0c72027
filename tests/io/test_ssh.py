"""SSH to a real sshd: behaviour.md sections 5 and 6."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from pmwatchd.core.model import Candidate, ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.io.ssh import SshOptions, SshTransport
from tests.kit.parts import needs
from tests.kit.ports import free_port
from tests.kit.proxy import Proxy, make_key
from tests.kit.ssh import UNTIL_RELEASED, Build, Ledger, candidate, sessions_of, until
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")


async def refused(transport: SshTransport, target: Candidate) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await transport.run(target, ["true"], b"", over_s=5.0)
    return caught.value


async def test_a_command_gets_its_input_and_gives_its_output_and_exit_status(
    proxy: Proxy, transport_with: Build
) -> None:
    argv = ["sh", "-c", "cat; echo why >&2; exit 3"]

    completed = await transport_with().run(candidate(proxy), argv, b"action=off\n", over_s=10.0)

    assert (completed.exit_code, completed.lost) == (3, False)
    assert (completed.stdout, completed.stderr) == (b"action=off\n", b"why\n")
    assert completed.took_s < 10.0


async def test_no_word_of_a_command_is_interpreted_by_the_remote_shell(
    proxy: Proxy, transport_with: Build
) -> None:
    words = ["a b", "$HOME", "`id`", "'", '"', "*", ";true", ""]

    completed = await transport_with().run(
        candidate(proxy), ["printf", "%s|", *words], b"", over_s=10.0
    )

    assert completed.stdout.decode() == "".join(f"{word}|" for word in words)


async def test_a_connection_is_kept_and_told(
    proxy: Proxy, transport_with: Build, ledger: Ledger
) -> None:
    transport = transport_with()
    for _ in range(3):
        await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)

    assert transport.connections == 1
    assert proxy.log().count("Accepted publickey") == 1
    assert ledger.events() == ["proxy.connected"]
    assert ledger.records[0].fields == {"proxy": "node2"}

    await transport.close()
    assert transport.connections == 0
    assert ledger.connections == [1, 0]


async def test_what_a_lost_proxy_has_not_taken_is_not_delivered_to_it_later(
    proxy: Proxy, transport_with: Build
) -> None:
    transport = transport_with()
    await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)

    [link] = transport._links.values()
    connection = await link.connection()
    line = connection.get_extra_info("socket")
    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000


async def test_the_daemons_environment_does_not_reach_the_proxy(
    proxy: Proxy, transport_with: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCMK_service", "pacemaker-fenced")
    monkeypatch.setenv("LC_CANARY", "canary")

    completed = await transport_with().run(candidate(proxy), ["env"], b"", over_s=10.0)

    assert b"PATH=" in completed.stdout
    assert b"PCMK_service" not in completed.stdout
    assert b"canary" not in completed.stdout


async def test_more_executions_than_sshd_permits_sessions_wait_for_each_other(
    proxy: Proxy, transport_with: Build
) -> None:
    transport = transport_with()
    run = transport.run
    all_completed = await asyncio.gather(
        *(run(candidate(proxy), ["sleep", "0.1"], b"", over_s=10.0) for _ in range(12))
    )

    assert [completed.exit_code for completed in all_completed] == [0] * 12
    assert transport.connections == 1


async def test_a_caller_waits_for_a_session_only_so_long(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    transport = transport_with(sessions=1, connect_timeout_s=0.5)
    argv = [*UNTIL_RELEASED, str(tmp_path / "started"), str(tmp_path / "released")]
    first = asyncio.create_task(transport.run(candidate(proxy), argv, b"", over_s=20.0))
    await until(tmp_path / "started")

    error = await refused(transport, candidate(proxy))
    (tmp_path / "released").touch()

    assert error.result is ProxyResult.NO_SESSION
    assert (await first).exit_code == 0


async def test_a_session_that_sshd_refuses_is_no_session(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    transport = transport_with(sessions=99)
    argv = [*UNTIL_RELEASED, str(tmp_path / "started"), str(tmp_path / "released")]

    async def run() -> ProxyResult | None:
        try:
            await transport.run(candidate(proxy), argv, b"", over_s=20.0)
        except ProxyError as error:
            (tmp_path / "released").touch()
            return error.result
        return None

    results = await asyncio.gather(*(run() for _ in range(12)))

    assert set(results) == {None, ProxyResult.NO_SESSION}


async def test_a_lost_connection_is_made_anew_for_the_next_command(
    proxy: Proxy, transport_with: Build, ledger: Ledger
) -> None:
    transport = transport_with()
    await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)
    for pid in sessions_of(proxy):
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(
        eventually,
        lambda: ledger.events()[-1] == "proxy.lost",
        within_s=10,
        what="the loss is told",
    )

    completed = await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)

    assert completed.exit_code == 0
    assert ledger.events() == ["proxy.connected", "proxy.lost", "proxy.connected"]


async def test_another_host_key_is_refused(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    make_key(tmp_path / "other")
    kind, key = (tmp_path / "other.pub").read_text().split()[:2]
    known_hosts = tmp_path / "wrong_hosts"
    known_hosts.write_text(f"[{proxy.address}]:{proxy.port} {kind} {key}\n")

    error = await refused(transport_with(known_hosts=known_hosts), candidate(proxy))

    assert error.result is ProxyResult.HOST_KEY
    assert "node2" in error.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read"),
        ("", "names no host key"),
        ("\n# nobody yet\n", "names no host key"),
        ("@odd * x y\n", "malformed"),
        ("192.0.2.1 ssh-ed25519 AAAA\n", "host key"),
    ],
)
async def test_without_a_known_host_key_nothing_is_connected(
    proxy: Proxy, transport_with: Build, tmp_path: Path, text: str | None, reason: str
) -> None:
    known_hosts = tmp_path / "odd_hosts"
    if text is not None:
        known_hosts.write_text(text)

    error = await refused(transport_with(known_hosts=known_hosts), candidate(proxy))

    assert error.result is ProxyResult.HOST_KEY
    assert reason in error.reason
    assert "Accepted" not in proxy.log()


async def test_the_callers_own_known_hosts_are_not_asked(
    proxy: Proxy, transport_with: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(proxy.known_hosts())
    (tmp_path / ".ssh" / "config").write_text("Host *\n StrictHostKeyChecking no\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "no_hosts").touch()

    error = await refused(transport_with(known_hosts=tmp_path / "no_hosts"), candidate(proxy))

    assert error.result is ProxyResult.HOST_KEY


async def test_a_key_that_is_not_let_in_is_an_authentication_error(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    make_key(tmp_path / "stranger")

    error = await refused(transport_with(private_key=tmp_path / "stranger"), candidate(proxy))

    assert error.result is ProxyResult.AUTH_ERROR


@pytest.mark.parametrize("text", [None, "no key at all"])
async def test_a_private_key_that_cannot_be_used_is_named_not_shown(
    proxy: Proxy, transport_with: Build, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "broken"
    if text is not None:
        path.write_text(text)

    error = await refused(transport_with(private_key=path), candidate(proxy))

    assert error.result is ProxyResult.AUTH_ERROR
    assert "private key" in error.reason
    assert "no key at all" not in error.reason


async def test_a_private_key_may_be_a_secret(
    proxy: Proxy, transport_with: Build, client_key: Path
) -> None:
    key = await asyncio.to_thread(client_key.read_text)
    transport = transport_with(private_key=SecretStr(key))

    completed = await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)

    assert completed.exit_code == 0


async def test_a_closed_port_is_unreachable(proxy: Proxy, transport_with: Build) -> None:
    target = replace(candidate(proxy), port=free_port("127.0.0.1"))

    error = await refused(transport_with(), target)

    assert error.result is ProxyResult.UNREACHABLE
    assert "refused" in error.reason


async def test_a_mute_port_is_unreachable_within_its_limit(
    proxy: Proxy, transport_with: Build
) -> None:
    def keep_mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mute.append((reader, writer))

    mute: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    server = await asyncio.start_server(keep_mute, "127.0.0.1")
    target = replace(candidate(proxy), port=server.sockets[0].getsockname()[1])

    error = await refused(transport_with(connect_timeout_s=0.3), target)
    for _, writer in mute:
        writer.close()
    server.close()

    assert error.result is ProxyResult.UNREACHABLE
    assert "0.3 s" in error.reason


async def test_callers_share_one_attempt_and_its_failure_for_a_short_time(
    proxy: Proxy, transport_with: Build
) -> None:
    attempts = 0

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1")
    target = replace(candidate(proxy), port=server.sockets[0].getsockname()[1])
    patient = transport_with(forget_s=60.0)
    errors = await asyncio.gather(*(refused(patient, target) for _ in range(5)))
    assert attempts == 1
    assert {error.result for error in errors} == {ProxyResult.UNREACHABLE}
    assert len({error.reason for error in errors}) == 1

    hasty = transport_with(forget_s=0.0)
    await refused(hasty, target)
    await refused(hasty, target)
    server.close()
    assert attempts == 3


async def test_other_options_mean_a_new_connection_and_what_runs_is_carried_to_its_end(
    proxy: Proxy, ssh_options: SshOptions, transport_with: Build, tmp_path: Path
) -> None:
    transport = transport_with()
    argv = [*UNTIL_RELEASED, str(tmp_path / "started"), str(tmp_path / "released")]
    running = asyncio.create_task(transport.run(candidate(proxy), argv, b"", over_s=20.0))
    await until(tmp_path / "started")

    transport.use(replace(ssh_options, connect_timeout_s=4.0))
    await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)
    assert transport.connections == 2

    (tmp_path / "released").touch()
    assert (await running).exit_code == 0
    assert transport.connections == 1


async def test_the_same_options_change_nothing(
    proxy: Proxy, ssh_options: SshOptions, transport_with: Build
) -> None:
    transport = transport_with()
    await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)
    transport.use(replace(ssh_options))

    assert transport.connections == 1


async def test_a_proxy_at_another_address_has_a_connection_of_its_own(
    proxy: Proxy, transport_with: Build
) -> None:
    transport = transport_with()
    targets: Sequence[Candidate] = (
        candidate(proxy),
        replace(candidate(proxy), address="127.0.0.2"),
    )
    await transport.run(targets[0], ["true"], b"", over_s=10.0)
    error = await refused(transport, targets[1])

    assert error.result is ProxyResult.UNREACHABLE
    assert transport.connections == 1
