"""The daemon ends in the middle of an operation, by a crash or by SIGTERM, and starts again."""

from __future__ import annotations

import os
import re

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)


def powers(bmc: Bmc) -> list[str]:
    return [command.power for command in bmc.commands()]


def begin_fencing(site: Site) -> tuple[Daemon, Machine, Bmc]:
    """Return when the BMC has recorded the off and nothing else."""
    bmc = site.bmc(switch_delay_s=1.5)  # room to act between off and on
    machine = site.machine("node1", bmc)
    proxy = site.proxy()
    site.watch(machine, [bmc.agent()])
    daemon = site.configure()
    daemon.start()
    daemon.wait_status(proxy.name, "up")
    daemon.wait_status(machine.name, "up")
    machine.kill()
    eventually(lambda: powers(bmc), within_s=30, what="the BMC has recorded a command")
    assert powers(bmc) == ["off"]
    return daemon, machine, bmc


def assert_brought_back(daemon: Daemon, machine: Machine, bmc: Bmc) -> None:
    """See the next start finish what the last one began, with one ``on`` and no second ``off``."""
    daemon.start()
    closed = daemon.wait_record("fence.closed", within_s=60, host=machine.name)
    daemon.wait_status(machine.name, "up")

    assert closed["outcome"] == "done"
    assert powers(bmc) == ["off", "on"]
    assert machine.boots == 2
    opened = daemon.records("fence.opened", host=machine.name)
    assert [record["operation"] for record in opened] == [closed["operation"]]


def test_a_daemon_killed_between_off_and_on_powers_the_host_on_at_its_next_start(
    site: Site,
) -> None:
    daemon, machine, bmc = begin_fencing(site)

    daemon.kill()

    assert powers(bmc) == ["off"]
    assert daemon.records("fence.closed") == []
    assert_brought_back(daemon, machine, bmc)


def test_sigterm_ends_the_daemon_cleanly_and_leaves_the_operation_to_the_next_start(
    site: Site,
) -> None:
    daemon, machine, bmc = begin_fencing(site)

    code = daemon.terminate()

    assert code == os.EX_OK
    assert daemon.records("daemon.stopped")
    assert daemon.records("fence.closed") == []
    assert_brought_back(daemon, machine, bmc)


def test_a_second_daemon_on_the_same_state_says_why_it_does_not_start(site: Site) -> None:
    machine = site.machine("node1")
    site.watch(machine, [])
    first = site.configure()
    first.start()
    second = Daemon(first.config, first.api.with_name("second.sock"), site.directory / "second.log")
    second.environment["PMWATCHD_API__SOCKET"] = str(second.api)

    code = second.spawn().wait(timeout=20)

    said = second.log.read_text()
    assert code != 0
    assert re.search(r"another (pmwatchd|daemon)|already|locked", said)
    assert str(site.state_dir) in said
    assert "Traceback" not in said
    assert first.status(machine.name) == "up"
