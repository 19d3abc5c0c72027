"""Programs on the management node: the proxy ``engine``."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import cast

import pytest

from pmwatchd.core.model import Candidate, ProxyResult, ProxySource
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.io.local import LocalTransport, _tell
from pmwatchd.ports import OUTPUT_LIMIT
from tests.kit.waiting import eventually

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)


@pytest.fixture
def transport(tmp_path: Path) -> LocalTransport:
    return LocalTransport(str(tmp_path))


def is_gone(pid_file: Path) -> bool:
    """Whether the process that wrote its number has ended, or waits only to be collected."""
    try:
        stat = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(") ")[2].startswith("Z")


def is_collected(pid_file: Path) -> bool:
    """Whether nothing is left of the process that wrote its number."""
    return not Path(f"/proc/{pid_file.read_text().strip()}").exists()


async def until(path: Path) -> None:
    """Wait until a process has written its number."""
    await asyncio.to_thread(
        eventually,
        lambda: path.exists() and path.read_text().endswith("\n"),
        within_s=10,
        what=f"{path.name} is written",
    )


async def test_a_program_gets_its_input_and_gives_its_output_and_exit_status(
    transport: LocalTransport,
) -> None:
    argv = ["sh", "-c", "cat; echo why >&2; exit 2"]

    completed = await transport.run(ENGINE, argv, b"action=status\n", over_s=10.0)

    assert (completed.exit_code, completed.lost) == (2, False)
    assert (completed.stdout, completed.stderr) == (b"action=status\n", b"why\n")


class EndedPipe:
    """The input of a process that has ended, as the two event loops have it."""

    def __init__(self, *, told: bool) -> None:
        self._told = told

    def get_pipe_transport(self, _fd: int) -> EndedPipe:
        return self

    def is_closing(self) -> bool:
        return self._told

    def write(self, _data: bytes) -> None:
        raise RuntimeError("the handler is closed")


@pytest.mark.parametrize("told", [True, False])
def test_a_program_that_has_ended_before_it_was_told_anything_is_fine(*, told: bool) -> None:
    _tell(cast("asyncio.SubprocessTransport", EndedPipe(told=told)), b"action=off\n")


async def test_a_program_that_reads_nothing_is_fine(transport: LocalTransport) -> None:
    completed = await transport.run(ENGINE, ["true"], b"x" * 1_000_000, over_s=10.0)

    assert completed.exit_code == 0


async def test_nothing_of_the_daemons_environment_is_passed_on(
    transport: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCMK_service", "pacemaker-fenced")
    monkeypatch.setenv("CANARY", "canary")

    completed = await transport.run(ENGINE, ["env"], b"", over_s=10.0)

    names = {line.partition("=")[0] for line in completed.stdout.decode().splitlines()}
    assert names == {"PATH", "LANG"}


@pytest.mark.parametrize("stream", ["", " >&2"])
async def test_output_is_limited_and_the_rest_is_dropped(
    transport: LocalTransport, stream: str
) -> None:
    argv = ["sh", "-c", f"head -c 10000000 /dev/zero{stream}"]

    completed = await transport.run(ENGINE, argv, b"", over_s=30.0)

    assert completed.exit_code == 0
    assert len(completed.stdout) + len(completed.stderr) == OUTPUT_LIMIT


async def test_an_agent_that_is_not_installed_is_named_before_anything_is_started(
    transport: LocalTransport, tmp_path: Path
) -> None:
    agent = str(tmp_path / "fence_absent")
    with pytest.raises(ProxyError, match="fence_absent is not installed") as refused:
        await transport.run(ENGINE, ["timeout", "5", agent], b"", over_s=10.0)

    assert refused.value.result is ProxyResult.NOT_INSTALLED


async def test_an_agent_that_may_not_be_executed_is_named(
    transport: LocalTransport, tmp_path: Path
) -> None:
    agent = tmp_path / "fence_plain"
    agent.touch(mode=0o644)
    with pytest.raises(ProxyError, match="may not be executed") as refused:
        await transport.run(ENGINE, ["timeout", "5", str(agent)], b"", over_s=10.0)

    assert refused.value.result is ProxyResult.NOT_INSTALLED


async def test_a_missing_timeout_program_is_named(transport: LocalTransport) -> None:
    with pytest.raises(ProxyError, match="no-such-program") as refused:
        await transport.run(ENGINE, ["no-such-program"], b"", over_s=10.0)

    assert refused.value.result is ProxyResult.NOT_INSTALLED


async def test_a_program_ended_by_a_signal_is_not_lost(transport: LocalTransport) -> None:
    completed = await transport.run(ENGINE, ["sh", "-c", "kill -9 $$"], b"", over_s=10.0)

    assert (completed.exit_code, completed.lost) == (None, False)


async def test_a_program_that_does_not_end_is_killed_with_all_it_started(
    transport: LocalTransport, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    argv = ["sh", "-c", f"trap '' TERM; sh -c 'echo $$ > {pid}; sleep 600; :'; :"]

    completed = await transport.run(ENGINE, argv, b"", over_s=1.0)

    assert (completed.lost, completed.exit_code) == (True, None)
    assert completed.took_s >= 1.0
    await asyncio.to_thread(eventually, lambda: is_gone(pid), within_s=10, what="it is gone")


async def test_what_outlives_an_agent_is_killed_and_the_agents_exit_status_is_known(
    transport: LocalTransport, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    argv = ["timeout", "600", "sh", "-c", f"sleep 600 & echo $! > {pid}; echo Status: OFF; exit 2"]

    completed = await transport.run(ENGINE, argv, b"", over_s=30.0)

    assert (completed.exit_code, completed.lost) == (2, False)
    assert completed.stdout == b"Status: OFF\n"
    assert completed.took_s < 20.0
    await asyncio.to_thread(eventually, lambda: is_gone(pid), within_s=10, what="it is gone")


async def test_an_agent_is_over_with_its_exit_even_if_something_else_keeps_its_output_open(
    transport: LocalTransport, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    begin = f"setsid sh -c 'echo $$ > {pid}; exec sleep 600' & while ! test -s {pid}; do :; done"
    argv = ["timeout", "600", "sh", "-c", f"{begin}; echo Status: OFF; exit 2"]

    completed = await transport.run(ENGINE, argv, b"", over_s=700.0)

    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert (completed.exit_code, completed.lost) == (2, False)
    assert completed.stdout == b"Status: OFF\n"
    assert completed.took_s < 20.0


async def test_what_is_not_permitted_any_more_is_not_started(
    tmp_path: Path,
) -> None:
    transport = LocalTransport("/nonexistent")
    argv = ["touch", str(tmp_path / "started")]
    with pytest.raises(WithdrawnError):
        await transport.run(ENGINE, argv, b"", over_s=10.0, permitted=lambda: False)

    assert not (tmp_path / "started").exists()


async def test_what_is_not_permitted_any_more_when_it_has_started_is_told_nothing(
    transport: LocalTransport, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    permitted = iter([True, False])
    argv = ["sh", "-c", f"cat > {told}"]
    with pytest.raises(WithdrawnError):
        await transport.run(
            ENGINE, argv, b"action=off\n", over_s=10.0, permitted=lambda: next(permitted)
        )

    assert not told.exists() or not told.read_text()


async def test_a_run_that_is_cancelled_leaves_nothing_behind(
    transport: LocalTransport, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    argv = ["timeout", "600", "sh", "-c", f"echo $$ > {pid}; sleep 600; :"]
    running = asyncio.create_task(transport.run(ENGINE, argv, b"", over_s=700.0))
    await until(pid)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await asyncio.to_thread(eventually, lambda: is_gone(pid), within_s=10, what="it is gone")


@pytest.mark.parametrize("over_s", [700.0, 1.0])
async def test_a_run_that_is_over_leaves_no_process_to_be_collected(
    transport: LocalTransport, tmp_path: Path, over_s: float
) -> None:
    pid = tmp_path / "pid"
    argv = ["sh", "-c", f"echo $$ > {pid}; exec sleep 600"]
    running = asyncio.create_task(transport.run(ENGINE, argv, b"", over_s=over_s))
    await until(pid)

    if over_s > 1.0:
        running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert is_collected(pid)


async def test_without_a_session_of_its_own_a_program_would_get_our_signals(
    transport: LocalTransport,
) -> None:
    completed = await transport.run(
        ENGINE, ["sh", "-c", "cut -d' ' -f6 /proc/$$/stat"], b"", over_s=10.0
    )

    assert int(completed.stdout) != os.getsid(0)
