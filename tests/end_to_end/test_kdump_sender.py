"""The real ``fence_kdump_send`` speaks to the daemon while its host is silent."""

from __future__ import annotations

import socket

import pytest

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon, Document
from tests.kit.kdump import LOOPBACK, DumpSender
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.ports import free_port
from tests.kit.site import Site, Table
from tests.kit.waiting import eventually

pytestmark = needs(*IRON, "fence_kdump_send")

CEILING_S = 7.0
KDUMP: Table = {
    "enabled": True,
    "start_window": "3s",
    "quiet_after": "3s",
    "ceiling": f"{CEILING_S}s",
}


def begin(site: Site) -> tuple[Daemon, Machine, Bmc, int]:
    """Watch a host at the address that the sender sends from; return with the daemon's port."""
    bmc = site.bmc()
    machine = site.machine("node1", bmc, address=LOOPBACK)
    site.watch(machine, [bmc.agent()], proxies=["engine"], kdump=True)
    port = free_port(LOOPBACK, socket.SOCK_DGRAM)
    daemon = site.configure({"kdump": {**KDUMP, "listen": f"{LOOPBACK}:{port}"}})
    daemon.start()
    daemon.wait_status(machine.name, "up")
    return daemon, machine, bmc, port


def powers(bmc: Bmc) -> list[str]:
    return [command.power for command in bmc.commands()]


def await_off(bmc: Bmc) -> float:
    """When the BMC recorded its first command, which must be an off; seconds since the epoch."""
    eventually(bmc.commands, within_s=30, what="the BMC has recorded a command")
    first = bmc.commands()[0]
    assert first.power == "off"
    return first.at


def kdump_hold(daemon: Daemon, machine: Machine) -> Document | None:
    holds = daemon.document(f"/api/v1/hosts/{machine.name}")["holds"]
    return next((hold for hold in holds if hold["name"] == "kdump"), None)


def test_a_host_that_dumps_is_not_fenced_until_the_ceiling_and_is_then_though_it_still_sends(
    site: Site,
) -> None:
    daemon, machine, bmc, port = begin(site)

    machine.kill()
    with DumpSender(port) as sender:
        daemon.wait_status(machine.name, "kdumping")
        hold = kdump_hold(daemon, machine)
        shown = daemon.document(f"/api/v1/hosts/{machine.name}")
        assert powers(bmc) == []
        off_at = await_off(bmc)
        assert sender.sends()

    assert shown["liveness"] == "non_responsive"
    assert hold is not None
    assert "crash dump" in hold["reason"]
    assert off_at >= sender.began_at + CEILING_S
    closed = daemon.wait_record("fence.closed", within_s=30, host=machine.name)
    daemon.wait_status(machine.name, "up")
    assert closed["outcome"] == "done"
    assert powers(bmc) == ["off", "on"]
    assert machine.boots == 2
    (ended,) = daemon.records("kdump.ended", host=machine.name)
    assert ended["took_s"] == pytest.approx(CEILING_S, abs=0.5)
    assert len(daemon.records("kdump.began", host=machine.name)) == 1


def test_a_host_whose_dump_ends_boots_by_itself_and_its_power_is_not_touched(site: Site) -> None:
    daemon, machine, bmc, port = begin(site)

    machine.kill()
    eventually(  # slow iron: its first datagram comes in the start window, after its grace
        lambda: kdump_hold(daemon, machine), within_s=15, what="a dump is waited for"
    )
    assert daemon.status(machine.name) == "non_responsive"
    with DumpSender(port, count=3) as sender:
        daemon.wait_status(machine.name, "kdumping")
        eventually(lambda: not sender.sends(), within_s=10, what="the dump is written")
        daemon.wait_status(machine.name, "booting")

    shown = daemon.document(f"/api/v1/hosts/{machine.name}")
    assert shown["liveness"] == "booting"
    assert shown["holds"] == []
    machine.revive()
    daemon.wait_record("watch.answered", host=machine.name, was="booting")
    assert daemon.status(machine.name) == "up"
    assert powers(bmc) == []
    assert bmc.unexpected() == ""
    assert daemon.records("fence.opened") == []
    told = [record["event"] for record in daemon.records(host=machine.name)]
    assert told.count("kdump.began") == told.count("kdump.ended") == 1
    assert told.index("watch.non_responsive") < told.index("kdump.began")
