"""
The daemon is stopped for three grace periods and goes on: the silence of that time is nobody's.

Whoever stops it cannot be heard by it either: ``SIGSTOP`` says nothing to a
process, so all it has to notice it by is a clock that is later than it should be.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import NO_STORM, Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

GRACE_S = 12.0  # longer than the daemon distrusts itself after a pause, so that grace decides
SHORT_GRACE_S = 4.0
PERIODS = 3


def await_instant(at: float) -> None:
    """Return at an instant of the monotonic clock: how long the pause lasts is the point here."""
    eventually(lambda: time.monotonic() >= at, within_s=60, what="time passes")


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process is stopped by a signal."""
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


@contextmanager
def stopped(daemon: Daemon, for_s: float) -> Iterator[None]:
    """Stop the daemon, do what is to be done meanwhile, and let it go on after *for_s* seconds."""
    assert daemon.process is not None
    pid = daemon.process.pid
    began_at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: is_stopped(pid), within_s=5, what="the daemon stands still")
        yield
        await_instant(began_at + for_s)
    finally:
        os.kill(pid, signal.SIGCONT)


def watched(site: Site, *names: str) -> list[tuple[Machine, Bmc]]:
    """Watch machines with a BMC each, fenced by the daemon itself."""
    found = []
    for name in names:
        bmc = site.bmc(f"bmc-{name}")
        machine = site.machine(name, bmc)
        site.watch(machine, [bmc.agent()], proxies=["engine"])
        found.append((machine, bmc))
    return found


def run(site: Site, grace_s: float) -> Daemon:
    grace = {"period": f"{grace_s}s", "failures": 3}
    safety = {"startup_hold": "0s", "canaries": [site.canary()], **NO_STORM}
    daemon = site.configure({"grace": grace, "safety": safety})
    daemon.start()
    for host in site.hosts:
        daemon.wait_status(str(host["name"]), "up")
    return daemon


def powers(bmc: Bmc) -> list[str]:
    return [command.power for command in bmc.commands()]


def test_after_three_grace_periods_of_standing_still_only_the_dead_is_fenced_a_full_grace_later(
    site: Site,
) -> None:
    (living, living_bmc), (back, back_bmc), (dead, dead_bmc) = watched(
        site, "living", "back", "dead"
    )
    daemon = run(site, GRACE_S)

    with stopped(daemon, PERIODS * GRACE_S):
        back.kill()
        dead.kill()
    continued_at, continued = time.time(), time.monotonic()

    # long enough for heartbeats to fail: nothing but the pause speaks for this host
    await_instant(continued + GRACE_S / 3)
    assert daemon.status(back.name) == "connecting"
    assert daemon.status(dead.name) == "connecting"
    back.revive()
    daemon.wait_status(back.name, "up")
    closed = daemon.wait_record("fence.closed", within_s=60, host=dead.name)
    daemon.wait_status(dead.name, "up")

    assert closed["outcome"] == "done"
    assert powers(dead_bmc) == ["off", "on"]
    assert dead_bmc.commands()[0].at >= continued_at + GRACE_S
    (silent,) = daemon.records("watch.non_responsive")
    assert silent["host"] == dead.name
    assert datetime.fromisoformat(silent["timestamp"]).timestamp() >= continued_at + GRACE_S
    assert powers(living_bmc) == powers(back_bmc) == []
    assert (living.boots, back.boots, dead.boots) == (1, 2, 2)
    assert daemon.status(living.name) == "up"
    assert len(daemon.records("fence.opened")) == 1
    (paused,) = daemon.records("observer.paused")
    assert paused["for_s"] >= PERIODS * GRACE_S - 2


def test_a_host_that_was_silent_already_is_not_fenced_for_the_time_in_which_nobody_listened(
    site: Site,
) -> None:
    ((machine, bmc),) = watched(site, "node1")
    daemon = run(site, SHORT_GRACE_S)
    machine.kill()
    daemon.wait_record("watch.grace_began", host=machine.name)
    await_instant(time.monotonic() + SHORT_GRACE_S / 2)  # some heartbeats have failed by now

    with stopped(daemon, PERIODS * SHORT_GRACE_S):
        pass
    await_instant(time.monotonic() + SHORT_GRACE_S / 2)
    assert daemon.status(machine.name) == "connecting"
    machine.revive()

    daemon.wait_status(machine.name, "up")
    assert powers(bmc) == []
    assert daemon.records("observer.paused")
    assert daemon.records("watch.non_responsive") == []
    assert daemon.records("fence.opened") == []
