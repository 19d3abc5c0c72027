"""Cables and switches fail: the daemon does not take the network's fault for dead hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.daemon import Daemon, Document
from tests.kit.network import Network, refusal
from tests.kit.network_site import (
    ANNEX,
    CANARY_ADDRESS,
    CORE,
    EVERYBODY,
    GRACE_S,
    MANAGER,
    MANAGER_ADDRESS,
    NODES,
    PROXIES,
    RACK_OF,
    RACKS,
    NetworkSite,
)
from tests.kit.parts import IRON, needs
from tests.kit.site import Site, Table
from tests.kit.waiting import eventually

pytestmark = needs("ip", *IRON)

OFF_THEN_ON = ["off", "on"]
INTERVAL_S = 0.5  # of heartbeats, as the site's daemon has it
TWO_QUESTIONS_S = 7.0  # a grace in which witnesses are asked twice, should the first be slow
BY_RACK: Table = {"domains": ["fleet", "cluster", "label:rack"], "min_hosts": 2, "cooldown": "2s"}
NEVER_A_STORM: Table = {"threshold_percent": 100, "burst": {"hosts": 100}}


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := refusal():
        pytest.skip(reason)
    network = Network()
    try:
        network.start()
        yield network
    finally:
        network.stop()


@pytest.fixture
def place(network: Network, site: Site) -> NetworkSite:
    """Build everything but the daemon; the site is closed before its network."""
    place = NetworkSite(site, network)
    place.build()
    return place


def await_up(daemon: Daemon, *names: str) -> None:
    for name in names:
        daemon.wait_status(name, "up", within_s=30)


def held(daemon: Daemon, node: str, hold: str) -> Document:
    """Wait until a node is shown as silent beyond its grace, and held; the hold as it is shown."""

    def shown() -> Document | None:
        host = daemon.document(f"/api/v1/hosts/{node}")
        if host["liveness"] != "non_responsive":
            return None
        holds: list[Document] = host["holds"]
        return next((one for one in holds if one["name"] == hold), None)

    found = eventually(shown, within_s=20, what=f"{node} is held by {hold}")
    assert found is not None
    return found


def metric(daemon: Daemon, series: str) -> float:
    lines = daemon.get("/metrics")[1].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{series} ")), 0.0)


def assert_fenced(place: NetworkSite, daemon: Daemon, *nodes: str) -> None:
    """See by the BMCs' own records and by the journal that these were fenced and no other."""
    assert place.powers() == dict.fromkeys(nodes, OFF_THEN_ON)
    assert not [node for node, bmc in place.bmcs.items() if bmc.unexpected()]
    for node in NODES:
        kept = daemon.document(f"/api/v1/records?host={node}&limit=1000")["items"]
        executed = [record for record in kept if record["event"] == "fence.agent_executed"]
        commands = [one["action"] for one in executed if one["action"] != "status"]
        assert commands == (OFF_THEN_ON if node in nodes else [])
        assert {one["proxy"] for one in executed} <= set(PROXIES)


def test_with_its_own_cable_cut_it_fences_nobody_and_all_are_up_when_it_is_mended(
    place: NetworkSite,
) -> None:
    daemon = place.run(NEVER_A_STORM)

    with place.cut(MANAGER, CORE):
        for node in NODES:
            hold = held(daemon, node, "observer_ill")
            assert CANARY_ADDRESS in hold["reason"]
        daemon.wait_record("alert.raised", alert="observer_ill")

    await_up(daemon, *EVERYBODY)
    daemon.wait_record("observer.well")
    daemon.wait_record("alert.cleared", alert="observer_ill")
    assert [daemon.document(f"/api/v1/hosts/{node}")["holds"] for node in NODES] == [[]] * 4
    assert_fenced(place, daemon)


def test_with_its_own_interface_down_no_silence_is_counted_at_all(place: NetworkSite) -> None:
    daemon = place.run(NEVER_A_STORM)
    faults = 'pmwatchd_heartbeats_total{result="local_fault"}'
    before = metric(daemon, faults)

    place.network.interface(MANAGER, CORE, up=False)
    ill = daemon.wait_record("observer.ill")
    eventually(
        lambda: metric(daemon, faults) - before > len(EVERYBODY) * GRACE_S / INTERVAL_S,
        within_s=20,
        what="heartbeats failed here for longer than the grace period",
    )
    place.network.interface(MANAGER, CORE, up=True)

    daemon.wait_record("observer.well")
    await_up(daemon, *EVERYBODY)
    assert CANARY_ADDRESS in ill["reason"]
    assert daemon.records("heartbeat.local_fault", reason="no_route")
    assert daemon.records("watch.non_responsive") == []
    assert_fenced(place, daemon)


def test_a_host_that_nobody_reaches_is_fenced_through_a_proxy_and_no_other_is(
    place: NetworkSite,
) -> None:
    daemon = place.run(BY_RACK)

    with place.cut("node1", RACK_OF["node1"]):
        daemon.wait_record("fence.on_proven", host="node1", within_s=40)

    await_up(daemon, *EVERYBODY)
    closed = daemon.wait_record("fence.closed", host="node1")
    assert closed["outcome"] == "done"
    assert_fenced(place, daemon, "node1")
    assert place.machines["node1"].boots == 2
    opinions = daemon.records("witness.said", host="node1")
    assert {record["proxy"] for record in opinions} == set(PROXIES)
    assert {record["result"] for record in opinions} == {"silent"}
    assert any("Starting session: command" in place.proxies[name].log() for name in PROXIES)


def test_a_rack_whose_switch_is_off_is_a_storm_and_who_stays_dead_is_fenced_after_it(
    place: NetworkSite,
) -> None:
    daemon = place.run(BY_RACK)
    alive, dead = RACKS["rack1"]

    place.network.switch_off("rack1")
    reasons = {held(daemon, node, "storm")["reason"] for node in (alive, dead)}
    told = daemon.document(f"/api/v1/explain/{alive}")["text"]
    assert place.powers() == {}
    place.kill(dead)
    place.network.switch_on("rack1")

    await_up(daemon, alive, *RACKS["rack2"], *PROXIES)
    closed = daemon.wait_record("fence.closed", host=dead, within_s=40)
    await_up(daemon, dead)
    assert len(reasons) == 1
    assert "2 of 2 hosts of rack rack1 silent" in reasons.pop()
    assert "looks like a fault of the network of rack rack1" in told
    assert closed["outcome"] == "done"
    assert daemon.records("hold.ended", host=dead, hold="storm")
    assert_fenced(place, daemon, dead)


def test_a_host_that_dies_while_no_proxy_is_reached_is_an_alert_until_one_is(
    place: NetworkSite,
) -> None:
    daemon = place.run(BY_RACK)

    with place.cut(ANNEX, CORE):
        place.kill("node3")
        nobody = daemon.wait_record("fence.no_proxy", host="node3")
        failed = daemon.wait_record("fence.closed", host="node3", outcome="failed")
        daemon.wait_record("alert.raised", host="node3", alert="unfenced")
        held(daemon, "node3", "backoff")
        assert place.powers() == {}

    done = daemon.wait_record("fence.closed", host="node3", outcome="done", within_s=40)
    await_up(daemon, *EVERYBODY)
    assert nobody["level"] == "error"
    assert "no proxy" in failed["reason"]
    assert done["operation"] != failed["operation"]
    assert daemon.records("alert.cleared", host="node3", alert="unfenced")
    assert_fenced(place, daemon, "node3")


def test_a_host_that_a_proxy_still_reaches_is_partitioned_and_not_fenced(
    place: NetworkSite,
) -> None:
    daemon = place.run(BY_RACK, grace_s=TWO_QUESTIONS_S)

    place.network.deafen("node4", MANAGER_ADDRESS)
    hold = held(daemon, "node4", "seen_by_others")
    alert = daemon.wait_record("alert.raised", host="node4", alert="partitioned")
    asked = {"host": "node4", "result": "alive"}
    eventually(
        lambda: len(daemon.records("witness.said", **asked)) > len(PROXIES),
        within_s=20,
        what="the witnesses are asked again",
    )
    held(daemon, "node4", "seen_by_others")
    place.network.undeafen("node4", MANAGER_ADDRESS)

    await_up(daemon, *EVERYBODY)
    daemon.wait_record("alert.cleared", host="node4", alert="partitioned")
    assert all(name in hold["reason"] for name in PROXIES)
    assert "cut off" in alert["reason"]
    assert daemon.records("fence.opened") == []
    assert_fenced(place, daemon)


def test_only_the_proxies_reach_the_device_network(place: NetworkSite) -> None:
    assert [name for name in (MANAGER, *PROXIES) if place.reads_power(name, "node1")] == [*PROXIES]
