"""One execution of a fence agent: behaviour.md section 6."""

from __future__ import annotations

import asyncio
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Limits,
    PowerStatus,
    ProxyResult,
    ProxySource,
)
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.io.agents.catalogue import Ask
from pmwatchd.io.local import LocalTransport
from pmwatchd.ports import BEGUN, OUTPUT_LIMIT, Completed, always
from tests.kit.parts import needs
from tests.kit.proxy import Proxy
from tests.kit.ssh import Build, candidate
from tests.kit.waiting import eventually

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
NODE2 = Candidate(name="node2", source=ProxySource.CLUSTER)
STATUS, OFF = FenceAction.STATUS, FenceAction.OFF
LIMITS = Limits()
CANARY = f"canary{secrets.token_hex(8)}"
AGENT = FenceAgent(
    name="bmc",
    type="toy",
    address="10.0.0.1",
    password=SecretStr(CANARY),
    options={"kg": SecretStr("k3y"), "lanplus": "1"},
    options_checked=True,
)
DONE = Completed(exit_code=0)


class Undescribed(Catalogue):
    """Holds that no agent describes itself, and asks none."""

    def __init__(self) -> None:
        super().__init__(tell=print)

    async def look_up(self, proxy: Candidate, agent_type: str, ask: Ask) -> Metadata | None:  # noqa: ARG002 - as a catalogue has it
        return None


@dataclass
class Script:
    """A transport that answers as scripted and remembers what it was asked."""

    completed: Completed = DONE
    asked: list[tuple[str, list[str], bytes, float]] = field(default_factory=list)

    async def run(
        self,
        proxy: Candidate,
        argv: Sequence[str],
        stdin: bytes,
        *,
        over_s: float,
        permitted: Callable[[], bool] = always,
        announces: bool = False,
        switches: bool = False,  # noqa: ARG002 - as a transport has it
    ) -> Completed:
        assert announces is (BEGUN.decode().strip() in " ".join(argv))
        if not permitted():
            raise WithdrawnError
        self.asked.append((proxy.name, list(argv), stdin, over_s))
        return self.completed


def scripted(ssh: Script, local: Script | None = None) -> FenceAgents:
    return FenceAgents(
        agent_dir="/usr/sbin",
        ssh=ssh,
        local=local if local is not None else ssh,
        catalogue=Undescribed(),
    )


class Here:
    """Agents written by the test, run as the engine runs them."""

    def __init__(self, directory: Path, limit_s: float = 10.0) -> None:
        self.directory = directory
        self.limits = Limits(limit_s, kill_after_s=1.0)
        local = LocalTransport(str(directory))
        self.agents = FenceAgents(
            agent_dir=str(directory),
            ssh=Script(),
            local=local,
            catalogue=Undescribed(),
        )

    def write(self, body: str) -> None:
        path = self.directory / "fence_toy"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


async def test_the_proxys_own_timeout_limits_the_agent_and_options_go_to_stdin_only() -> None:
    ssh = Script()
    await scripted(ssh).execute(AGENT, OFF, NODE2, limits=LIMITS)
    await scripted(ssh).execute(AGENT, STATUS, NODE2, limits=Limits(10.0))

    name, argv, stdin, over_s = ssh.asked[0]
    assert (name, over_s) == ("node2", 40.0)
    assert argv[:6] == ["timeout", "-k", "5", "30", "sh", "-c"]
    assert argv[7:] == ["/usr/sbin/fence_toy"]
    assert stdin.startswith(b"action=off\n")
    assert CANARY.encode() in stdin
    assert ssh.asked[1][1][3] == "10"
    assert ssh.asked[1][3] == 20.0


async def test_the_engine_runs_the_agent_itself() -> None:
    ssh, local = Script(), Script()
    await scripted(ssh, local).execute(AGENT, OFF, ENGINE, limits=LIMITS)

    assert (len(ssh.asked), len(local.asked)) == (0, 1)


async def test_a_reading_is_proven_by_exit_status_and_text() -> None:
    ssh = Script(Completed(exit_code=2, stdout=b"Status: OFF\n", took_s=0.1))

    reply = await scripted(ssh).execute(AGENT, STATUS, NODE2, limits=LIMITS)

    assert (reply.result, reply.power, reply.exit_code) == (AgentResult.OK, PowerStatus.OFF, 2)
    assert (reply.took_s, reply.text, reply.proxy) == (0.1, "Status: OFF", "node2")


async def test_a_command_proves_nothing() -> None:
    ssh = Script(Completed(exit_code=0, stdout=b"Success: Powered OFF\nStatus: ON\n"))

    reply = await scripted(ssh).execute(AGENT, OFF, NODE2, limits=LIMITS)

    assert (reply.result, reply.power) == (AgentResult.OK, PowerStatus.UNKNOWN)


async def test_a_reading_whose_output_was_cut_short_proves_nothing() -> None:
    stdout = b"Status: OFF\n".ljust(OUTPUT_LIMIT, b".")

    agents = scripted(Script(Completed(exit_code=2, stdout=stdout)))
    reply = await agents.execute(AGENT, STATUS, NODE2, limits=LIMITS)

    assert (reply.result, reply.power) == (AgentResult.GARBAGE, PowerStatus.UNKNOWN)


async def test_a_lost_execution_is_uncertain_and_says_where() -> None:
    lost = Completed(exit_code=None, stdout=b"Success: Powered OFF\n", lost=True, took_s=40.0)

    reply = await scripted(Script(lost)).execute(AGENT, OFF, NODE2, limits=LIMITS)

    assert (reply.result, reply.uncertain, reply.took_s) == (AgentResult.KILLED, True, 40.0)
    assert [one.result for one in reply.tries] == [ProxyResult.LOST]
    assert "node2" in reply.text


@pytest.mark.parametrize(
    ("exit_code", "result", "text"),
    [
        (124, AgentResult.TIMEOUT, "time limit"),
        (137, AgentResult.KILLED, "signal"),
        (None, AgentResult.KILLED, "signal"),
        (1, AgentResult.ERROR, "said nothing"),
    ],
)
async def test_an_agent_that_ends_without_a_word_is_explained(
    exit_code: int | None, result: AgentResult, text: str
) -> None:
    agents = scripted(Script(Completed(exit_code=exit_code)))
    reply = await agents.execute(AGENT, OFF, NODE2, limits=LIMITS)

    assert reply.result is result
    assert text in reply.text
    assert [one.result for one in reply.tries] == [ProxyResult.OK]


@pytest.mark.parametrize("exit_code", [124, 137, None])
async def test_an_agent_that_was_ended_after_its_limit_was_ended_by_it(
    exit_code: int | None,
) -> None:
    ssh = Script(Completed(exit_code=exit_code, took_s=30.0))

    assert (
        await scripted(ssh).execute(AGENT, OFF, NODE2, limits=LIMITS)
    ).result is AgentResult.TIMEOUT


@pytest.mark.parametrize("stderr", [b"", b"timeout: failed to run command: No such file\n"])
@pytest.mark.parametrize("exit_code", [126, 127])
async def test_an_agent_that_is_not_installed_is_the_proxys_failure(
    exit_code: int, stderr: bytes
) -> None:
    ssh = Script(Completed(exit_code=exit_code, stderr=stderr))

    with pytest.raises(ProxyError, match="fence_toy cannot be run on node2") as refused:
        await scripted(ssh).execute(AGENT, OFF, NODE2, limits=LIMITS)

    assert refused.value.result is ProxyResult.NOT_INSTALLED


async def test_secrets_that_an_agent_echoes_are_not_in_the_reply() -> None:
    stderr = f"ERROR: Ignoring unknown option 'password={CANARY}' k3y\n".encode()

    agents = scripted(Script(Completed(exit_code=1, stderr=stderr)))
    reply = await agents.execute(AGENT, OFF, NODE2, limits=LIMITS)

    assert reply.text == "ERROR: Ignoring unknown option 'password=***' ***"
    assert CANARY not in repr(reply)


async def test_half_a_secret_at_the_end_of_a_full_stream_is_not_in_the_reply() -> None:
    filling = b"ERROR\n" * 11_000
    stderr = filling[: OUTPUT_LIMIT - 20] + b"\nFailed: " + CANARY.encode()[:11]

    text = (
        await scripted(Script(Completed(exit_code=1, stderr=stderr))).execute(
            AGENT, OFF, NODE2, limits=LIMITS
        )
    ).text

    assert CANARY[:6] not in text


async def test_a_type_that_is_no_name_of_a_program_is_a_bug() -> None:
    odd = FenceAgent(name="bmc", type="../../bin/sh", address="10.0.0.1")

    with pytest.raises(ValueError, match="bmc"):
        await scripted(Script()).execute(odd, OFF, NODE2, limits=LIMITS)


async def test_an_agent_that_takes_too_long_is_ended_by_timeout(tmp_path: Path) -> None:
    here = Here(tmp_path, limit_s=0.5)
    here.write("exec sleep 600")

    reply = await here.agents.execute(AGENT, OFF, ENGINE, limits=here.limits)

    assert (reply.result, reply.exit_code) == (AgentResult.TIMEOUT, 124)


async def test_an_agent_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    here = Here(tmp_path, limit_s=0.5)
    here.write("trap '' TERM\nwhile :; do sleep 0.1; done")

    reply = await here.agents.execute(AGENT, OFF, ENGINE, limits=here.limits)

    assert reply.result is AgentResult.TIMEOUT
    assert reply.took_s >= 0.95  # counted from a moment after its start


async def test_output_that_is_no_utf_8_is_read_with_replacements(tmp_path: Path) -> None:
    here = Here(tmp_path)
    here.write(r"printf '\377\376 Failed: odd\n' >&2; exit 1")

    reply = await here.agents.execute(AGENT, OFF, ENGINE, limits=here.limits)

    assert (reply.result, reply.text) == (AgentResult.ERROR, "\ufffd\ufffd Failed: odd")


async def test_a_missing_interpreter_is_not_off(tmp_path: Path) -> None:
    here = Here(tmp_path)
    here.write("exec python3 /nonexistent/agent.py")

    reply = await here.agents.execute(AGENT, STATUS, ENGINE, limits=here.limits)

    assert reply.exit_code == 2
    assert (reply.result, reply.power) == (AgentResult.GARBAGE, PowerStatus.UNKNOWN)


@needs("sshd", "ssh-keygen")
@pytest.mark.parametrize("through", ["engine", "ssh"])
async def test_while_an_agent_runs_no_process_shows_the_password(
    tmp_path: Path, proxy: Proxy, transport_with: Build, through: str
) -> None:
    here = Here(tmp_path)
    here.write(
        f"cat > {tmp_path}/told; touch {tmp_path}/running\n"
        f"while [ ! -e {tmp_path}/released ]; do sleep 0.05; done\necho Status: ON"
    )
    agents = FenceAgents(
        agent_dir=str(tmp_path),
        ssh=transport_with(),
        local=LocalTransport(str(tmp_path)),
        catalogue=Undescribed(),
    )
    where = ENGINE if through == "engine" else candidate(proxy)
    running = asyncio.create_task(agents.execute(AGENT, STATUS, where, limits=LIMITS))
    await asyncio.to_thread(
        eventually, (tmp_path / "running").exists, within_s=10, what="the agent runs"
    )

    shown = await asyncio.to_thread(everything_shown_by_processes)
    (tmp_path / "released").touch()

    assert b"fence_toy" in shown
    assert CANARY.encode() not in shown
    assert (await running).power is PowerStatus.ON
    assert f"password={CANARY}\n" in await asyncio.to_thread((tmp_path / "told").read_text)


def everything_shown_by_processes() -> bytes:
    """Command lines and environments of all processes that we may look at."""
    shown = b""
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            try:
                shown += path.read_bytes()
            except OSError:
                continue
    return shown


@needs("sshd", "ssh-keygen")
async def test_an_agent_missing_on_a_real_proxy_is_the_proxys_failure(
    tmp_path: Path, proxy: Proxy, transport_with: Build
) -> None:
    ssh = transport_with()
    agents = FenceAgents(agent_dir=str(tmp_path), ssh=ssh, local=ssh, catalogue=Undescribed())

    with pytest.raises(ProxyError, match="fence_toy cannot be run on node2") as refused:
        await agents.execute(AGENT, OFF, candidate(proxy), limits=LIMITS)

    assert refused.value.result is ProxyResult.NOT_INSTALLED
