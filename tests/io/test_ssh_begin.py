"""A command counts as begun when it says so, and is told nothing before: behaviour.md section 6."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from pmwatchd.core.model import ProxyResult
from pmwatchd.errors import ProxyError
from pmwatchd.ports import announcing
from tests.kit.parts import needs
from tests.kit.proxy import Proxy
from tests.kit.ssh import Build, candidate, sessions_of, until
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")

KEEPS_WHAT_IT_IS_TOLD = ("sh", "-c", 'cat > "$0.new"; mv "$0.new" "$0"')


@dataclass
class Sluggish:
    """
    A proxy that confirms every command and lets it begin when a test opens the gate.

    So does one whose home directory hangs, or whose shell has much to start.
    """

    proxy: Proxy
    directory: Path

    def __post_init__(self) -> None:
        self.proxy.stop()
        self.proxy.restart(
            f"ForceCommand touch {self.came}; echo Status: OFF;"
            f" while [ ! -e {self.gate} ]; do sleep 0.02; done;"
            f' eval "$SSH_ORIGINAL_COMMAND"; status=$?; touch {self.over}; exit $status\n'
        )

    @property
    def came(self) -> Path:
        return self.directory / "came"

    @property
    def gate(self) -> Path:
        return self.directory / "gate"

    @property
    def over(self) -> Path:
        return self.directory / "over"


@pytest.fixture
def sluggish(proxy: Proxy, tmp_path: Path) -> Sluggish:
    return Sluggish(proxy, tmp_path)


async def test_a_command_that_begins_late_is_told_nothing_and_does_nothing(
    sluggish: Sluggish, transport_with: Build, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    argv = announcing([*KEEPS_WHAT_IT_IS_TOLD, str(told)])
    transport = transport_with(connect_timeout_s=0.7)
    with pytest.raises(ProxyError) as caught:
        await transport.run(
            candidate(sluggish.proxy), argv, b"action=off\n", over_s=9.0, announces=True
        )
    assert sluggish.came.exists()
    sluggish.gate.touch()
    await until(sluggish.over)

    assert caught.value.result is ProxyResult.UNREACHABLE
    assert "does not begin" in caught.value.reason
    assert not told.exists()


async def test_what_a_shell_says_before_is_nothing_that_the_agent_said(
    sluggish: Sluggish, transport_with: Build
) -> None:
    sluggish.gate.touch()
    argv = announcing(["sh", "-c", "cat; exit 3"])

    completed = await transport_with().run(
        candidate(sluggish.proxy), argv, b"Status: ON\n", over_s=9.0, announces=True
    )

    assert (completed.exit_code, completed.stdout) == (3, b"Status: ON\n")


async def test_a_connection_that_is_lost_before_the_command_began_loses_nothing(
    sluggish: Sluggish, transport_with: Build
) -> None:
    running = asyncio.create_task(
        transport_with().run(
            candidate(sluggish.proxy),
            announcing(["true"]),
            b"x",
            over_s=5.0,
            announces=True,
        )
    )
    await until(sluggish.came)
    for session in sessions_of(sluggish.proxy):
        os.kill(session, signal.SIGKILL)
    with pytest.raises(ProxyError) as caught:
        await running
    sluggish.gate.touch()

    assert caught.value.result is ProxyResult.UNREACHABLE


async def test_a_program_that_is_missing_is_known_by_its_exit_status_at_once(
    proxy: Proxy, transport_with: Build
) -> None:
    completed = await transport_with().run(
        candidate(proxy),
        announcing(["/no/such/agent"]),
        b"action=off\n",
        over_s=700.0,
        announces=True,
    )

    assert (completed.exit_code, completed.stdout, completed.lost) == (127, b"", False)


@pytest.mark.parametrize(
    ("words", "result", "said"),
    [
        ("echo 'rejected: permission denied' >&2; exit 1", ProxyResult.NO_SESSION, "rejected"),
        ("echo 'no shell for you'; exit 0", ProxyResult.NO_SESSION, "no shell for you"),
        ("kill -9 $$", ProxyResult.NO_SESSION, "ended before it began"),
        ("exit 126", ProxyResult.NOT_INSTALLED, "126"),
        ("exec no-such-timeout 5", ProxyResult.NOT_INSTALLED, "not found"),
    ],
)
async def test_a_command_that_ends_before_it_began_is_the_proxys_failure_and_no_answer(
    proxy: Proxy, transport_with: Build, words: str, result: ProxyResult, said: str
) -> None:
    with pytest.raises(ProxyError) as caught:
        await transport_with().run(
            candidate(proxy), ["sh", "-c", words], b"action=off\n", over_s=700.0, announces=True
        )

    assert caught.value.result is result
    assert said in caught.value.reason


async def test_what_sshd_says_of_a_home_directory_is_nothing_that_the_agent_said(
    proxy: Proxy, transport_with: Build
) -> None:
    proxy.stop()
    proxy.restart(
        "ForceCommand echo 'Could not chdir to home directory: Permission denied' >&2;"
        ' eval "$SSH_ORIGINAL_COMMAND"\n'
    )
    argv = announcing(["sh", "-c", "cat >&2; exit 1"])

    completed = await transport_with().run(
        candidate(proxy), argv, b"ERROR: Connection timed out\n", over_s=9.0, announces=True
    )

    assert completed.stderr == b"ERROR: Connection timed out\n"


async def test_a_session_that_was_given_up_is_closed_when_it_opens_late(
    proxy: Proxy, transport_with: Build
) -> None:
    transport = transport_with(connect_timeout_s=5.0, keepalive_s=60.0)
    await transport.run(candidate(proxy), ["true"], b"", over_s=9.0)
    for number in range(12):  # sshd permits ten
        for session in sessions_of(proxy):
            os.kill(session, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await transport.run(candidate(proxy), ["cat"], b"", over_s=700.0)
        for session in sessions_of(proxy):
            os.kill(session, signal.SIGCONT)
        await asyncio.to_thread(
            eventually,
            lambda: proxy.log().count("Close session") > number + 1,  # noqa: B023 - asked here only
            within_s=10,
            what="sshd has closed the session",
        )

    completed = await transport.run(candidate(proxy), ["true"], b"", over_s=9.0)

    assert completed.exit_code == 0
    assert transport.connections == 1
