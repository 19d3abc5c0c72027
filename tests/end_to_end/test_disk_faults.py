"""The journal's disk fails while a real daemon works: nothing new begins, nothing is left off."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon, Document
from tests.kit.damage import kept_aside, overwrite
from tests.kit.disk import AbortedDisk, FailingDisk, FailingWrites, FullDisk
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

ALERT = "journal_unwritable"


@contextmanager
def kept(disk: FailingDisk, site: Site) -> Iterator[FailingDisk]:
    """Take the disk away after the daemon that uses it."""
    try:
        yield disk
    finally:
        if site.daemon is not None:
            site.daemon.kill()
        disk.close()


def powers(bmc: Bmc) -> list[str]:
    return [command.power for command in bmc.commands()]


def pair(site: Site, name: str) -> tuple[Machine, Bmc]:
    bmc = site.bmc(f"bmc-{name}", switch_delay_s=1.5)  # room for a disk to fail in the middle
    machine = site.machine(name, bmc)
    site.watch(machine, [bmc.agent()], proxies=["engine"])
    return machine, bmc


def gauge(daemon: Daemon, name: str) -> float:
    lines = daemon.get("/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def power_off(daemon: Daemon, host: str) -> tuple[int, Document]:
    return daemon.post(f"/api/v1/hosts/{host}/power", {"action": "off", "reason": "a test"})


def assert_told_story_is_kept(daemon: Daemon) -> None:
    """See every numbered line of the log in the journal, and every opening with its one end."""
    rows = daemon.document("/api/v1/records?limit=1000")["items"]
    stored = {row["sequence"]: row["event"] for row in rows}
    told = {r["sequence"]: r["event"] for r in daemon.records() if "sequence" in r}
    assert told.items() <= stored.items()
    opened = Counter(row["operation"] for row in rows if row["event"] == "fence.opened")
    closed = Counter(row["operation"] for row in rows if row["event"] == "fence.closed")
    assert opened == closed
    operations = daemon.document("/api/v1/operations")["items"]
    assert Counter(operation["id"] for operation in operations) == opened
    assert all(operation["outcome"] for operation in operations)


@pytest.mark.parametrize("kind", [FullDisk, FailingWrites])
def test_while_the_disk_takes_nothing_an_open_operation_is_carried_on_and_none_begins(
    site: Site, kind: Callable[[Path], FailingDisk]
) -> None:
    (one, bmc), (two, other_bmc) = pair(site, "node1"), pair(site, "node2")
    with kept(kind(site.state_dir), site) as disk:
        daemon = site.configure()
        daemon.start()
        daemon.wait_status(one.name, "up")
        daemon.wait_status(two.name, "up")
        assert gauge(daemon, "pmwatchd_journal_writable") == 1
        one.kill()
        eventually(lambda: powers(bmc), within_s=20, what="the BMC has recorded the off")

        disk.spoil(daemon)

        closed = daemon.wait_record("fence.closed", within_s=40, host=one.name)
        assert closed["outcome"] == "done"
        daemon.wait_status(one.name, "up")
        assert powers(bmc) == ["off", "on"]
        assert len(daemon.records("alert.raised", alert=ALERT)) == 1
        assert len(daemon.records("journal.failed")) == 1
        assert gauge(daemon, "pmwatchd_journal_writable") == 0

        two.kill()
        daemon.wait_record("hold.began", host=two.name, hold=ALERT)
        status, answer = power_off(daemon, two.name)
        assert status >= http.client.BAD_REQUEST
        assert "journal" in str(answer)
        assert daemon.status(two.name) == "non_responsive"
        assert daemon.records("alert.cleared", alert=ALERT) == []
        assert powers(other_bmc) == []

        disk.mend(daemon)

        daemon.wait_record("alert.cleared", alert=ALERT)
        daemon.wait_record("hold.ended", host=two.name, hold=ALERT)
        closed = daemon.wait_record("fence.closed", within_s=40, host=two.name)
        assert closed["outcome"] == "done"
        daemon.wait_status(two.name, "up")
        assert powers(other_bmc) == ["off", "on"]
        assert powers(bmc) == ["off", "on"]
        assert gauge(daemon, "pmwatchd_journal_writable") == 1
        assert len(daemon.records("alert.raised", alert=ALERT)) == 1
        assert_told_story_is_kept(daemon)


def test_a_command_that_the_disk_does_not_take_is_refused_and_never_comes_to_be(
    site: Site,
) -> None:
    machine, bmc = pair(site, "node1")
    with kept(FailingWrites(site.state_dir), site) as disk:
        daemon = site.configure()
        daemon.start()
        daemon.wait_status(machine.name, "up")
        disk.spoil(daemon)

        status, answer = power_off(daemon, machine.name)

        assert status >= http.client.BAD_REQUEST
        assert "journal" in str(answer)
        daemon.kill()
        daemon.start()
        daemon.wait_status(machine.name, "up")
        assert daemon.document("/api/v1/operations")["items"] == []
        assert daemon.records("fence.opened") == []
        assert powers(bmc) == []


def test_after_a_disk_turned_read_only_the_next_start_ends_what_was_carried_on(
    site: Site,
) -> None:
    machine, bmc = pair(site, "node1")
    with kept(AbortedDisk(site.state_dir), site) as disk:
        daemon = site.configure()
        daemon.start()
        daemon.wait_status(machine.name, "up")
        machine.kill()
        eventually(lambda: powers(bmc), within_s=20, what="the BMC has recorded the off")

        disk.spoil(daemon)

        assert daemon.wait_record("alert.raised", alert=ALERT)
        closed = daemon.wait_record("fence.closed", within_s=40, host=machine.name)
        assert closed["outcome"] == "done"
        daemon.wait_status(machine.name, "up")

        disk.mend(daemon)
        daemon.start()

        # it does not know how that ended, and finds the host on and answering
        continued = daemon.wait_record("fence.continued", host=machine.name)
        assert continued["operation"] == closed["operation"]
        eventually(
            lambda: daemon.document("/api/v1/operations")["items"][0]["outcome"],
            within_s=40,
            what="the operation is closed in the journal",
        )
        (operation,) = daemon.document("/api/v1/operations")["items"]
        assert operation["outcome"] == "recovered"
        assert machine.alive()
        assert powers(bmc)[:2] == ["off", "on"]
        assert "off" not in powers(bmc)[2:]


def test_a_damaged_journal_ends_the_start_with_what_to_do_and_the_option_does_it(
    site: Site,
) -> None:
    machine, bmc = pair(site, "node1")
    daemon = site.configure()
    daemon.start()
    daemon.wait_status(machine.name, "up")
    status, _ = daemon.post(f"/api/v1/hosts/{machine.name}/power", {"action": "restart"})
    assert status == http.client.ACCEPTED
    first = daemon.wait_record("fence.closed", within_s=40)["operation"]
    daemon.terminate()
    overwrite(site.state_dir / "journal.db", "operation")

    code = daemon.spawn().wait(timeout=20)

    said = daemon.log.read_text().splitlines()[-1]
    assert code == 1
    for word in (str(site.state_dir / "journal.db"), "damaged", "backup", "--accept-empty-journal"):
        assert word in said
    assert "Traceback" not in daemon.log.read_text()
    assert kept_aside(site.state_dir) == []

    daemon.options = ("--accept-empty-journal",)
    daemon.start()

    replaced = daemon.wait_record("journal.replaced")
    assert replaced["level"] == "error"
    assert [str(path) for path in kept_aside(site.state_dir)] == [replaced["kept"]]
    assert daemon.document("/api/v1/operations")["items"] == []
    daemon.wait_status(machine.name, "up")
    machine.kill()
    second = daemon.wait_record("fence.opened", within_s=20, cause="automatic")["operation"]
    assert second != first
    daemon.terminate()

    daemon.start()  # the option is harmless where nothing is damaged

    daemon.wait_record("fence.closed", within_s=60, operation=second, outcome="done")
    assert len(daemon.records("journal.replaced")) == 1
    assert daemon.document("/api/v1/operations")["items"][0]["id"] == second
    assert machine.boots == 3
    assert bmc.unexpected() == ""
