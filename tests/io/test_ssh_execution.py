"""What a command on a proxy says, and when it is certainly over: behaviour.md section 6."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from pmwatchd.errors import WithdrawnError
from pmwatchd.ports import OUTPUT_LIMIT, announcing
from tests.kit.parts import needs
from tests.kit.proxy import Proxy
from tests.kit.ssh import UNTIL_RELEASED, Build, Ledger, candidate, sessions_of, until

pytestmark = needs("sshd", "ssh-keygen")

LEAVES_A_CHILD = "sleep 600 & echo $! > {pid}; echo Status: OFF"


def end_all(pid: Path) -> None:
    """End what an agent left behind, known by the number of one process of it."""
    os.killpg(os.getpgid(int(pid.read_text())), signal.SIGKILL)


@pytest.mark.parametrize("stream", ["", " >&2"])
async def test_output_is_limited_and_the_rest_is_dropped(
    proxy: Proxy, transport_with: Build, stream: str
) -> None:
    argv = ["sh", "-c", f"head -c 10000000 /dev/zero{stream}"]

    completed = await transport_with().run(candidate(proxy), argv, b"", over_s=30.0)

    assert completed.exit_code == 0
    assert len(completed.stdout) + len(completed.stderr) == OUTPUT_LIMIT


async def test_bytes_that_are_no_text_come_through(proxy: Proxy, transport_with: Build) -> None:
    argv = ["printf", r"\377\376"]

    completed = await transport_with().run(candidate(proxy), argv, b"", over_s=10.0)

    assert completed.stdout == b"\xff\xfe"


async def test_a_command_ended_by_a_signal_is_not_lost(proxy: Proxy, transport_with: Build) -> None:
    argv = ["sh", "-c", "kill -9 $$"]

    completed = await transport_with().run(candidate(proxy), argv, b"", over_s=10.0)

    assert not completed.lost
    assert completed.exit_code in (None, 137)


async def test_an_agent_is_over_with_its_exit_even_if_its_child_holds_the_streams_open(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    argv = ["timeout", "600", "sh", "-c", f"{LEAVES_A_CHILD.format(pid=pid)}; exit 2"]
    transport = transport_with(sessions=1)

    completed = await transport.run(candidate(proxy), argv, b"action=status\n", over_s=700.0)
    following = await transport.run(candidate(proxy), ["true"], b"", over_s=10.0)

    end_all(pid)
    assert (completed.exit_code, completed.lost) == (2, False)
    assert completed.stdout == b"Status: OFF\n"
    assert completed.took_s < 20.0
    assert following.exit_code == 0


@pytest.mark.parametrize("end", ["kill -9 $PPID; exec sleep 600", "exit 124"])
async def test_where_timeout_was_killed_or_had_to_end_it_what_is_left_may_still_be_at_work(
    proxy: Proxy, transport_with: Build, tmp_path: Path, end: str
) -> None:
    pid = tmp_path / "pid"
    words = f"{LEAVES_A_CHILD.format(pid=pid)}; {end}"

    completed = await transport_with().run(
        candidate(proxy), ["timeout", "600", "sh", "-c", words], b"", over_s=1.5
    )

    end_all(pid)
    assert (completed.exit_code, completed.lost) == (None, True)
    assert completed.took_s >= 1.5


@pytest.mark.parametrize(("end", "exit_code"), [("exit 124", 124), ("kill -9 $PPID", None)])
@pytest.mark.parametrize("switches", [True, False], ids=["switches", "only asks"])
async def test_a_command_that_switches_power_and_was_ended_by_force_is_over_only_in_time(
    proxy: Proxy, transport_with: Build, end: str, exit_code: int | None, *, switches: bool
) -> None:
    began_at = time.monotonic()
    argv = ["timeout", "600", *announcing(["sh", "-c", f"echo so far; {end}"], switches=switches)]

    completed = await transport_with().run(
        candidate(proxy),
        argv,
        b"action=off\n",
        over_s=5.0,
        announces=True,
        switches=switches,
    )

    assert (time.monotonic() - began_at >= 5.0) is switches
    assert (completed.exit_code, completed.lost) == (exit_code, False)
    assert completed.stdout == b"so far\n"
    assert completed.took_s < 5.0, "that it ended is known from when it was said"


async def test_what_is_missing_on_a_proxy_is_over_at_once(
    proxy: Proxy, transport_with: Build
) -> None:
    argv = ["timeout", "600", *announcing(["/no/such/agent"])]

    completed = await transport_with().run(
        candidate(proxy), argv, b"action=off\n", over_s=600.0, announces=True
    )

    assert completed.exit_code == 127


async def test_a_connection_lost_after_timeout_was_killed_does_not_mean_that_all_is_over(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    words = "sleep 600 & kill -9 $PPID; echo $! > $0; exec sleep 600"
    argv = ["timeout", "600", "sh", "-c", words, str(pid)]
    running = asyncio.create_task(transport_with().run(candidate(proxy), argv, b"", over_s=2.0))
    await until(pid)
    for session in sessions_of(proxy):
        os.kill(session, signal.SIGKILL)

    completed = await running

    end_all(pid)
    assert completed.lost
    assert completed.took_s >= 2.0


async def test_what_is_not_permitted_any_more_when_it_was_started_is_told_nothing(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    argv = ["sh", "-c", 'cat > "$0.new"; mv "$0.new" "$0"', str(told)]
    with pytest.raises(WithdrawnError):
        await transport_with().run(
            candidate(proxy), argv, b"action=off\n", over_s=10.0, permitted=lambda: False
        )

    await until(told)
    assert told.read_bytes() == b""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_dead_or_frozen_sshd_means_lost_but_not_before_it_is_certainly_over(
    proxy: Proxy, transport_with: Build, ledger: Ledger, tmp_path: Path, how: signal.Signals
) -> None:
    transport = transport_with(keepalive_s=0.1)
    argv = [*UNTIL_RELEASED, str(tmp_path / "started"), str(tmp_path / "released")]
    running = asyncio.create_task(transport.run(candidate(proxy), argv, b"", over_s=2.0))
    await until(tmp_path / "started")
    sessions = sessions_of(proxy)
    assert sessions
    for pid in sessions:
        os.kill(pid, how)
    try:
        completed = await running
    finally:
        for pid in sessions:
            if how is signal.SIGSTOP:
                os.kill(pid, signal.SIGKILL)
        (tmp_path / "released").touch()

    assert (completed.lost, completed.exit_code) == (True, None)
    assert 2.0 <= completed.took_s < 4.0
    assert ledger.events() == ["proxy.connected", "proxy.lost"]
    assert transport.connections == 0


async def test_a_command_that_does_not_end_is_left_when_it_must_be_over(
    proxy: Proxy, transport_with: Build, tmp_path: Path
) -> None:
    argv = [*UNTIL_RELEASED, str(tmp_path / "started"), str(tmp_path / "released")]

    completed = await transport_with().run(candidate(proxy), argv, b"", over_s=0.5)
    (tmp_path / "released").touch()

    assert completed.lost
