"""The wall clock of the running daemon is set back and forward: it is shown and decides nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.bmc import Bmc
from tests.kit.clock import FakeClock
from tests.kit.daemon import Daemon, Document
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import NO_STORM, Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON, "faketime")

GRACE_S = 3.0
SLACK_S = 8.0  # for the loop, a reading of the power, and a busy machine
DAY, DECADE = timedelta(days=1), timedelta(days=3653)
JUMPS = {
    "a day back": -DAY,
    "a day ahead": DAY,
    "ten years ahead": DECADE,
}


def powers(bmc: Bmc) -> list[str]:
    return [command.power for command in bmc.commands()]


def off_by(record: Document) -> timedelta:
    """How far a record's time is from the true one, a few seconds at most after it was told."""
    return datetime.fromisoformat(record["timestamp"]) - datetime.now(UTC)


def near(one: timedelta, other: timedelta) -> bool:
    return abs(one - other) < timedelta(minutes=5)


def heartbeats(daemon: Daemon) -> float:
    """Heartbeats that were answered since its start, of all hosts."""
    name = 'pmwatchd_heartbeats_total{result="alive"}'
    metrics = daemon.get("/metrics")[1].splitlines()
    return float(next(line for line in metrics if line.startswith(name)).split()[-1])


def await_heartbeats(daemon: Daemon, number: int) -> None:
    enough = heartbeats(daemon) + number
    eventually(lambda: heartbeats(daemon) >= enough, within_s=20, what=f"{number} heartbeats")


def begin(site: Site) -> tuple[FakeClock, Machine, Bmc, Machine, Bmc]:
    """Watch a machine that will die and one that lives, with room to act between off and on."""
    bmc, other_bmc = site.bmc(switch_delay_s=1.5), site.bmc("other-bmc")
    machine, other = site.machine("node1", bmc), site.machine("node2", other_bmc)
    for one, its_bmc in ((machine, bmc), (other, other_bmc)):
        site.watch(one, [its_bmc.agent()], proxies=["engine"])
    daemon = site.configure(
        {
            "grace": {"period": f"{GRACE_S}s", "failures": 3},
            "safety": {"startup_hold": "0s", "canaries": [site.canary()], **NO_STORM},
        }
    )
    clock = FakeClock(daemon, site.directory / "clock")
    site.add(clock)
    daemon.wait_status(machine.name, "up")
    daemon.wait_status(other.name, "up")
    return clock, machine, bmc, other, other_bmc


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_a_clock_set_in_grace_and_in_an_operation_changes_neither_who_is_fenced_nor_when(
    site: Site, jump: timedelta
) -> None:
    clock, machine, bmc, other, other_bmc = begin(site)
    daemon = clock.daemon
    clock.set(jump)  # while all is well
    await_heartbeats(daemon, 8)
    clock.set(timedelta(0))
    await_heartbeats(daemon, 8)
    assert daemon.records("watch.non_responsive") == []

    died_at = time.time()
    machine.kill()
    daemon.wait_record("watch.grace_began", host=machine.name)
    clock.set(jump)  # in its grace
    eventually(lambda: powers(bmc), within_s=30, what="the BMC has recorded a command")
    silent = daemon.wait_record("watch.non_responsive", host=machine.name)
    assert near(off_by(silent), jump), "the clock was not set, so nothing is shown"
    assert powers(bmc) == ["off"]
    clock.set(-jump)  # in its operation
    proven = daemon.wait_record("fence.off_proven", host=machine.name)
    assert near(off_by(proven), -jump)
    closed = daemon.wait_record("fence.closed", host=machine.name)
    daemon.wait_status(machine.name, "up")

    assert closed["outcome"] == "done"
    off, on = bmc.commands()
    assert GRACE_S - 0.5 <= off.at - died_at <= GRACE_S + SLACK_S
    assert (off.power, on.power) == ("off", "on")
    assert 1.5 <= on.at - off.at <= 1.5 + SLACK_S
    assert machine.boots == 2
    assert powers(other_bmc) == []
    assert [r["host"] for r in daemon.records("watch.non_responsive")] == [machine.name]
    assert all(record["for_s"] < 60 for record in daemon.records("observer.paused"))
    assert daemon.status(other.name) == "up"


def test_an_operation_is_carried_on_by_a_start_whose_clock_is_ten_years_off(site: Site) -> None:
    clock, machine, bmc, other, other_bmc = begin(site)
    daemon = clock.daemon
    machine.kill()
    eventually(lambda: powers(bmc), within_s=30, what="the BMC has recorded a command")

    daemon.kill()
    clock.set(-DECADE)
    clock.start()

    closed = daemon.wait_record("fence.closed", within_s=60, host=machine.name)
    daemon.wait_status(machine.name, "up")
    daemon.wait_status(other.name, "up")
    assert near(off_by(closed), -DECADE)
    assert closed["outcome"] == "done"
    assert powers(bmc) == ["off", "on"]
    assert powers(other_bmc) == []
    opened = daemon.records("fence.opened")
    assert [record["operation"] for record in opened] == [closed["operation"]]


def test_a_maintenance_for_an_hour_does_not_end_by_the_clock_but_at_a_start_a_day_later(
    site: Site,
) -> None:
    clock, machine, bmc, *_ = begin(site)
    daemon = clock.daemon
    status, _ = daemon.put(
        f"/api/v1/hosts/{machine.name}/maintenance", {"reason": "new disks", "for": "1h"}
    )
    assert status == 200
    daemon.wait_status(machine.name, "maintenance")

    clock.set(DAY)
    machine.kill()
    daemon.wait_record("watch.non_responsive", host=machine.name)
    await_heartbeats(daemon, 8)
    assert daemon.status(machine.name) == "maintenance"
    assert powers(bmc) == []

    daemon.kill()
    machine.revive()
    clock.start()

    ended = daemon.wait_record("maintenance.ended", host=machine.name)
    daemon.wait_status(machine.name, "up")
    assert near(off_by(ended), DAY)
    assert powers(bmc) == []
