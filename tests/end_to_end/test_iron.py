"""The parts that the other tests stand on: BMC, machine and proxy, without the daemon."""

from __future__ import annotations

import getpass
import socket
import subprocess

from tests.kit.bmc import Bmc
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs, program
from tests.kit.proxy import Proxy
from tests.kit.site import Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)


def fence(bmc: Bmc, action: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program("fence_ipmilan") or ""],
        input=bmc.options(action),
        check=False,
        capture_output=True,
    )


def answers(machine: Machine) -> bool:
    try:
        socket.create_connection((machine.address, machine.port), timeout=0.3).close()
    except TimeoutError:
        return False
    return True


def test_the_agent_switches_the_bmc_and_the_bmc_keeps_its_own_record(site: Site) -> None:
    bmc = site.bmc()

    assert fence(bmc, "status").returncode == 0
    assert fence(bmc, "off").returncode == 0
    eventually(lambda: fence(bmc, "status").returncode == 2, within_s=5, what="the agent reads off")
    assert fence(bmc, "on").returncode == 0
    eventually(lambda: fence(bmc, "status").returncode == 0, within_s=5, what="the agent reads on")

    assert [command.power for command in bmc.commands()] == ["off", "on"]
    assert bmc.unexpected() == ""


def test_a_killed_machine_is_mute_and_only_its_power_brings_it_back(site: Site) -> None:
    bmc = site.bmc()
    machine = site.machine("node1", bmc)
    eventually(lambda: answers(machine), within_s=5, what="the machine answers")

    machine.kill()

    assert not answers(machine)
    assert bmc.powered()
    fence(bmc, "off")
    eventually(lambda: not bmc.powered(), within_s=5, what="the power is off")
    fence(bmc, "on")
    eventually(lambda: answers(machine), within_s=5, what="the machine answers again")
    assert machine.boots == 2


def test_a_machine_with_two_supplies_lives_while_one_has_power(site: Site) -> None:
    left, right = site.bmc("left"), site.bmc("right")
    machine = site.machine("node1", left, right)

    fence(left, "off")
    eventually(lambda: not left.powered(), within_s=5, what="the left supply is off")
    assert machine.alive()

    fence(right, "off")
    eventually(lambda: not machine.alive(), within_s=5, what="the machine is dead")
    assert not answers(machine)


def test_the_agent_works_through_the_proxy(site: Site) -> None:
    bmc = site.bmc()
    proxy: Proxy = site.proxy()
    known_hosts = site.directory / "known"
    known_hosts.write_text(proxy.known_hosts())

    asked = subprocess.run(
        [
            *(
                "ssh",
                "-F",
                "none",
                "-o",
                f"UserKnownHostsFile={known_hosts}",
                "-o",
                "BatchMode=yes",
            ),
            *("-i", str(site.directory / "id_ed25519"), "-p", str(proxy.port)),
            f"{getpass.getuser()}@{proxy.address}",
            "timeout -k 1 10 /usr/sbin/fence_ipmilan",
        ],
        input=bmc.options("status"),
        check=False,
        capture_output=True,
    )

    assert asked.returncode == 0, asked.stderr.decode() + proxy.log()
    assert b"Status: ON" in asked.stdout


def test_a_bmc_that_is_dead_answers_no_agent(site: Site) -> None:
    mute = site.mute_bmc()
    bmc = site.bmc()
    agent = mute.agent("dead", order=1, like=bmc)
    told = bmc.options("status").replace(
        f"ipport={bmc.port}".encode(), f"ipport={agent['ipport']}".encode()
    )

    asked = subprocess.run(
        ["timeout", "3", program("fence_ipmilan") or ""],
        input=told,
        check=False,
        capture_output=True,
    )

    assert asked.returncode in (1, 124)
    assert bmc.commands() == []
