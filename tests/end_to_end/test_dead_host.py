"""The main job: a dead host is switched off, seen off, switched on, and answers again."""

from __future__ import annotations

from collections.abc import Sequence

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon, Document
from tests.kit.machine import Machine
from tests.kit.parts import IRON, needs
from tests.kit.site import Site
from tests.kit.waiting import eventually

pytestmark = needs(*IRON)

OFF_THEN_ON = ["off", "on"]
POWER_WAIT_S = 2  # how long fence_ipmilan sleeps after a command unless it is told not to


def powers(bmc: Bmc) -> list[str]:
    """What the BMC itself recorded, in order."""
    return [command.power for command in bmc.commands()]


def await_commands(bmc: Bmc, number: int) -> None:
    eventually(
        lambda: len(powers(bmc)) >= number,
        within_s=10,
        what=f"the BMC has recorded {number} commands",
    )


def executed(records: Sequence[Document]) -> list[Document]:
    return [record for record in records if record["event"] == "fence.agent_executed"]


def kill_and_await_return(
    daemon: Daemon, machine: Machine, *, within_s: float = 40
) -> list[Document]:
    """Kill a machine that is up; return the records of its operation once it is up again."""
    daemon.wait_status(machine.name, "up")
    machine.kill()
    closed = daemon.wait_record("fence.closed", within_s=within_s, host=machine.name)
    daemon.wait_status(machine.name, "up")
    assert closed["outcome"] == "done"
    return daemon.records(operation=closed["operation"])


def assert_fenced_once(machine: Machine, bmcs: Sequence[Bmc]) -> None:
    for bmc in bmcs:
        await_commands(bmc, len(OFF_THEN_ON))
        assert powers(bmc) == OFF_THEN_ON
        assert bmc.unexpected() == ""
    last_off = max(bmc.commands()[0].at for bmc in bmcs)
    first_on = min(bmc.commands()[1].at for bmc in bmcs)
    assert last_off < first_on
    assert machine.alive()
    assert machine.boots == 2


def test_a_dead_host_is_fenced_through_a_proxy_and_comes_back_and_no_other_is_touched(
    site: Site,
) -> None:
    bmc, other_bmc = site.bmc(), site.bmc("other-bmc")
    machine, other = site.machine("node1", bmc), site.machine("node2", other_bmc)
    proxy = site.proxy()
    site.watch(machine, [bmc.agent()])
    site.watch(other, [other_bmc.agent()])
    daemon = site.configure()
    daemon.start()
    daemon.wait_status(proxy.name, "up")

    records = kill_and_await_return(daemon, machine)

    assert_fenced_once(machine, [bmc])
    assert powers(other_bmc) == []
    assert {record["proxy"] for record in executed(records)} == {proxy.name}
    assert "Starting session: command" in proxy.log()
    story = [record["event"] for record in records]
    milestones = ["fence.opened", "fence.off_proven", "fence.on_proven", "fence.closed"]
    assert [event for event in story if event in milestones] == milestones


def test_every_step_is_in_the_journal_and_in_the_metrics(site: Site) -> None:
    bmc = site.bmc()
    machine = site.machine("node1", bmc)
    site.watch(machine, [bmc.agent()], proxies=["engine"])
    daemon = site.configure()
    daemon.start()

    records = kill_and_await_return(daemon, machine)

    logged = [record["sequence"] for record in records if "sequence" in record]
    kept = daemon.document("/api/v1/records?host=node1")["items"]
    assert set(logged) <= {record["sequence"] for record in kept}
    operation = daemon.document("/api/v1/operations?host=node1")["items"][0]
    assert operation["outcome"] == "done"
    assert operation["id"] == records[0]["operation"]
    metrics = daemon.get("/metrics")[1]
    closed = 'pmwatchd_fence_operations_total{action="restart",cause="automatic",outcome="done"} 1'
    assert closed in metrics.splitlines() or f"{closed}.0" in metrics.splitlines()


def test_a_dead_host_is_fenced_by_the_engine_itself(site: Site) -> None:
    bmc = site.bmc()
    machine = site.machine("node1", bmc)
    site.watch(machine, [bmc.agent()], proxies=["engine"])
    daemon = site.configure()
    daemon.start()

    records = kill_and_await_return(daemon, machine)

    assert_fenced_once(machine, [bmc])
    assert {record["proxy"] for record in executed(records)} == {"engine"}


def test_the_daemon_waits_and_not_the_agent(site: Site) -> None:
    bmc = site.bmc(switch_delay_s=0)
    machine = site.machine("node1", bmc)
    site.watch(machine, [bmc.agent()], proxies=["engine"])
    daemon = site.configure()
    daemon.start()

    records = kill_and_await_return(daemon, machine)

    took_s = {r["action"]: r["took_s"] for r in executed(records) if r["action"] != "status"}
    assert set(took_s) == {"off", "on"}
    assert max(took_s.values()) < POWER_WAIT_S


def test_of_two_concurrent_bmcs_both_are_off_before_one_is_on(site: Site) -> None:
    left, right = site.bmc("left"), site.bmc("right")
    machine = site.machine("node1", left, right)
    proxy = site.proxy()
    site.watch(machine, [left.agent("left"), right.agent("right")])
    daemon = site.configure()
    daemon.start()
    daemon.wait_status(proxy.name, "up")

    kill_and_await_return(daemon, machine)

    assert_fenced_once(machine, [left, right])


def test_when_the_primary_bmc_is_dead_the_secondary_does_it(site: Site) -> None:
    dead, bmc = site.mute_bmc(), site.bmc()
    machine = site.machine("node1", bmc)
    proxy = site.proxy()
    site.watch(machine, [dead.agent("primary", order=1, like=bmc), bmc.agent("secondary", order=2)])
    daemon = site.configure()
    daemon.start()
    daemon.wait_status(proxy.name, "up")

    records = kill_and_await_return(daemon, machine, within_s=90)

    assert_fenced_once(machine, [bmc])
    asked = {(record["agent"], record["action"]) for record in executed(records)}
    assert ("primary", "status") in asked
    assert ("primary", "off") not in asked  # what cannot be read is never sent an off
