"""A site's own command and soft fencing, with real processes: behaviour.md 2 and 3, hold 10."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pmwatchd.core.model import (
    AliveCheck,
    Candidate,
    Heartbeat,
    Host,
    Opinion,
    PowerManagement,
    ProxySource,
    SoftFencing,
)
from pmwatchd.io.inquiries import NetworkInquiries
from pmwatchd.ports import Said
from tests.kit.parts import needs
from tests.kit.ports import free_port
from tests.kit.waiting import eventually

pytestmark = needs("sshd", "ssh-keygen")

ENGINE = Candidate(name="engine", source=ProxySource.ENGINE)
NODE7 = Host(name="node7", address="127.0.0.1", heartbeat=Heartbeat(probes=()))


def checked(*command: str, through_proxy: bool = False, timeout_s: float = 10.0) -> Host:
    check = AliveCheck(command=command, through_proxy=through_proxy, timeout_s=timeout_s)
    return replace(NODE7, alive_check=check)


def is_reaped(pid: Path) -> bool:
    """Say whether a child is gone, and the event loop's own threads know it."""
    waiting = any(thread.name.startswith("asyncio-waitpid") for thread in threading.enumerate())
    return not waiting and not Path("/proc", pid.read_text().strip()).exists()


def soft(command: str) -> Host:
    power = PowerManagement(soft_fencing=SoftFencing(command=command))
    return replace(NODE7, power_management=power)


@pytest.mark.parametrize(
    ("code", "opinion"),
    [
        (0, Opinion.ALIVE),
        (1, Opinion.SILENT),
        (125, Opinion.SILENT),
        (126, Opinion.NONE),
        (127, Opinion.NONE),
    ],
)
async def test_the_exit_status_of_the_alive_check_is_what_it_says(
    inquiries: NetworkInquiries, code: int, opinion: Opinion
) -> None:
    said = await inquiries.check_alive(checked("sh", "-c", f"echo lease; exit {code}"), ())

    assert said == Said(opinion, f"engine: exit status {code}: lease")


async def test_an_alive_check_that_is_not_there_says_nothing(inquiries: NetworkInquiries) -> None:
    said = await inquiries.check_alive(checked("/nowhere/lease", "node7"), ())

    assert said.opinion is Opinion.NONE
    assert "/nowhere/lease" in said.reason or "lease is not installed" in said.reason


async def test_an_alive_check_ended_by_a_signal_says_nothing(inquiries: NetworkInquiries) -> None:
    said = await inquiries.check_alive(checked("sh", "-c", "kill -9 $$"), ())

    assert said == Said(Opinion.NONE, "engine: ended by a signal")


async def test_an_alive_check_that_takes_too_long_is_killed(
    inquiries: NetworkInquiries, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    check = checked("sh", "-c", f"echo $$ > {pid}; sleep 600; :", timeout_s=0.5)
    said = await inquiries.check_alive(check, ())

    assert said.opinion is Opinion.NONE
    assert "0.5 s" in said.reason
    await asyncio.to_thread(eventually, lambda: is_reaped(pid), within_s=10, what="it is killed")


async def test_no_word_of_the_alive_check_is_interpreted_by_a_shell(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    command = ("printf", "%s", "$(id);`id`")
    here = await inquiries.check_alive(checked(*command), ())
    there = await inquiries.check_alive(checked(*command, through_proxy=True), (witness,))

    assert here == Said(Opinion.ALIVE, "engine: exit status 0: $(id);`id`")
    assert there == Said(Opinion.ALIVE, "node2: exit status 0: $(id);`id`")


async def test_an_alive_check_runs_on_the_first_machine_that_can(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    dead = replace(witness, name="node1", port=free_port("127.0.0.1"))
    host = checked("sh", "-c", "exit 1", through_proxy=True)

    said = await inquiries.check_alive(host, (dead, witness, ENGINE))

    assert said == Said(Opinion.SILENT, "node2: exit status 1")


async def test_an_alive_check_that_no_machine_can_run_says_why(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    dead = replace(witness, name="node1", port=free_port("127.0.0.1"))
    host = checked("lease-that-nobody-has", through_proxy=True)

    said = await inquiries.check_alive(host, (dead, witness))
    nobody = await inquiries.check_alive(host, ())

    assert said.opinion is Opinion.NONE
    assert "node1" in said.reason
    assert "node2: exit status 127" in said.reason
    assert nobody == Said(Opinion.NONE, "there is no machine that could run it")


async def test_an_alive_check_on_a_proxy_is_ended_there(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    host = checked("sleep", "1000", through_proxy=True, timeout_s=0.3)
    said = await inquiries.check_alive(host, (witness,))

    assert said.opinion is Opinion.NONE
    assert "0.3 s" in said.reason


@pytest.mark.parametrize(
    ("command", "opinion"),
    [
        ("exit 123", Opinion.SILENT),
        ("exit 125", Opinion.NONE),  # as timeout(1) says that it failed itself
        ("kill -9 $$", Opinion.NONE),
    ],
)
async def test_the_exit_status_on_a_proxy_may_be_that_of_what_limits_it(
    inquiries: NetworkInquiries, witness: Candidate, command: str, opinion: Opinion
) -> None:
    host = checked("sh", "-c", command, through_proxy=True)
    said = await inquiries.check_alive(host, (witness,))

    assert said.opinion is opinion


async def test_soft_fencing_runs_on_the_host_itself_in_its_shell(
    inquiries: NetworkInquiries, witness: Candidate, tmp_path: Path
) -> None:
    reason = await inquiries.fence_softly(
        soft(f"echo one > {tmp_path}/log && echo two >> {tmp_path}/log"), witness
    )

    assert reason == ""
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


async def test_soft_fencing_that_fails_says_how(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    reason = await inquiries.fence_softly(soft("echo no such unit >&2; exit 5"), witness)

    assert reason == "exit status 5: no such unit"


async def test_soft_fencing_is_limited_on_the_host_itself(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    command = "tr '\\0' ' ' < /proc/$PPID/cmdline; exit 1"
    reason = await inquiries.fence_softly(soft(command), witness)

    assert reason.startswith("exit status 1: timeout -k 5 30 sh -c tr")


async def test_soft_fencing_of_a_host_that_lets_nobody_in_says_why(
    inquiries: NetworkInquiries, witness: Candidate
) -> None:
    gone = replace(witness, name="node7", port=free_port("127.0.0.1"))
    reason = await inquiries.fence_softly(soft("true"), gone)

    assert "node7" in reason
    assert "refused" in reason
