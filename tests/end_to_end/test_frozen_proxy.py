"""A proxy that freezes in the middle of an ``off``, and one that is not who it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.kit.bmc import Bmc
from tests.kit.book import AgentBook
from tests.kit.daemon import Daemon
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.proxy import Proxy, make_key
from tests.kit.site import NO_STORM, Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

AGENT_TIMEOUT_S = 4.0
KILL_AFTER_S = 1.0
SLOW_S = 1.0  # an off is on its way for so long: room to freeze the proxy in it
FENCING = {
    "agent_timeout": f"{AGENT_TIMEOUT_S}s",
    "kill_after": f"{KILL_AFTER_S}s",
    "off_status_delay": "500ms",
    "off_status_retries": 40,
}


def processes_below(pid: int) -> list[int]:
    """Return a process and everything that it started, the oldest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def is_sshd(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    return False


@contextmanager
def frozen(proxy: Proxy, *, with_agents: bool) -> Iterator[None]:
    """Stop sshd and its sessions as they are, and the agents that they run if asked to."""
    if proxy.process is None:
        raise RuntimeError("only a proxy that runs can be frozen")
    stopped = [pid for pid in processes_below(proxy.process.pid) if with_agents or is_sshd(pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def begin(site: Site) -> tuple[Daemon, Machine, Bmc, AgentBook, dict[int, Proxy]]:
    """Watch a machine with two proxies, kill it, and return when its ``off`` is on the way."""
    bmc = site.bmc()
    machine = site.machine("node1", bmc)
    proxies = [site.proxy("proxy1"), site.proxy("proxy2")]
    site.watch(machine, [bmc.agent()])
    book = AgentBook(site.directory / "agents", slow_s=SLOW_S)
    book.write()
    fencing = {**FENCING, "agent_dir": str(book.directory)}
    daemon = site.configure({"fencing": fencing, "safety": NO_STORM})
    daemon.start()
    for name in ("proxy1", "proxy2", "node1"):
        daemon.wait_status(name, "up")
    machine.kill()
    eventually(lambda: book.executions("off"), within_s=20, what="the off is on its way")
    return daemon, machine, bmc, book, {proxy.port: proxy for proxy in proxies}


@pytest.mark.parametrize("with_agents", [False, True], ids=["sshd", "sshd and its agent"])
def test_behind_a_proxy_frozen_in_the_middle_of_off_the_next_waits_until_that_is_over(
    site: Site, *, with_agents: bool
) -> None:
    daemon, machine, bmc, book, proxies = begin(site)
    first = book.executions("off")[0]
    frozen_proxy = proxies.pop(first.port)
    (other,) = proxies.values()

    with frozen(frozen_proxy, with_agents=with_agents):
        closed = daemon.wait_record("fence.closed", within_s=60, host=machine.name)
        daemon.wait_status(machine.name, "up")

    # the next execution anywhere came after the first one was certainly over, by another proxy
    executions = book.executions()
    following = executions[[one.pid for one in executions].index(first.pid) + 1 :]
    assert {one.port for one in following} == {other.port}
    assert following[0].began >= first.began + AGENT_TIMEOUT_S + KILL_AFTER_S

    assert closed["outcome"] == "done"
    assert [command.power for command in bmc.commands()] == ["off", "on"]
    assert [one.port for one in book.executions("off")] == (
        [frozen_proxy.port, other.port] if with_agents else [frozen_proxy.port]
    )
    assert machine.boots == 2
    assert_it_says_why(daemon, closed["operation"], frozen_proxy, other)


def assert_it_says_why(daemon: Daemon, operation: str, lost: Proxy, other: Proxy) -> None:
    """See the log name the lost proxy, the lost execution, and who went on."""
    assert daemon.wait_record("proxy.lost", proxy=lost.name)["reason"]
    executed = daemon.records("fence.agent_executed", operation=operation)
    number = next(n for n, record in enumerate(executed) if record["action"] == "off")
    assert executed[number]["proxy"] == lost.name
    assert executed[number]["result"] == "killed"
    assert f"{lost.name} was lost" in executed[number]["reason"]
    assert "unknown" in executed[number]["reason"]
    assert executed[number + 1]["action"] == "status"
    assert {record["proxy"] for record in executed[number + 1 :]} == {other.name}
    failed = daemon.records("fence.proxy_failed", operation=operation, proxy=lost.name)
    assert failed
    assert failed[0]["result"] == "lost"


def test_a_proxy_with_another_host_key_is_its_own_failure_and_the_next_one_does_it(
    site: Site,
) -> None:
    bmc = site.bmc()
    machine = site.machine("node1", bmc)
    changed, good = site.proxy("proxy1"), site.proxy("proxy2")
    # by address, so that it is known which one is asked first
    site.watch(machine, [bmc.agent()], proxies=["proxy1", "proxy2"])
    daemon = site.configure()
    known = changed.known_hosts().split()[2]
    make_key(site.directory / "other_key")
    other = (site.directory / "other_key.pub").read_text().split()[1]
    known_hosts = site.directory / "known_hosts"
    known_hosts.write_text(known_hosts.read_text().replace(known, other))
    daemon.start()
    for name in ("proxy1", "proxy2", "node1"):
        daemon.wait_status(name, "up")

    machine.kill()

    closed = daemon.wait_record("fence.closed", within_s=40, host=machine.name)
    assert closed["outcome"] == "done"
    failed = daemon.records("fence.proxy_failed", operation=closed["operation"])
    assert {record["proxy"] for record in failed} == {changed.name}
    assert {record["result"] for record in failed} == {"host_key"}
    assert "its host key is not the one in" in failed[0]["reason"]
    assert str(known_hosts) in failed[0]["reason"]
    executed = daemon.records("fence.agent_executed", operation=closed["operation"])
    assert {record["proxy"] for record in executed} == {good.name}
    assert [command.power for command in bmc.commands()] == ["off", "on"]
    assert "Starting session" not in changed.log()
