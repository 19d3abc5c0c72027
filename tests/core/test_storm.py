"""Behaviour 3, hold 7: a network fault, or so many dead machines?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pmwatchd.core.events import MaintenanceEndRequested, MaintenanceRequested
from pmwatchd.core.model import Host
from pmwatchd.core.rules import Burst, DomainRule, StormRules
from pmwatchd.core.storm import Census, Domain, Standing
from tests.core.scene import Scene, fleet, host, ruled

FLEET = Domain("fleet")
BLUE = Domain("cluster", "blue")
QUIET = StormRules(burst=Burst(hosts=1000))


def hosts(number: int, *, cluster: str = "blue", **labels: str) -> list[Host]:
    return [
        host(f"{cluster}{n}", cluster=cluster, labels=labels, address=f"10.0.{len(cluster)}.{n}")
        for n in range(number)
    ]


def census(counted: Mapping[str, Host] | list[Host], silent: int, at: float = 0.0) -> Census:
    """Count hosts, of which so many fell silent."""
    counts = Census()
    counts.part(QUIET.domains)
    for number, one in enumerate(counted):
        standing = Standing.SILENT if number < silent else Standing.ANSWERING
        counts.note(one, standing, at)  # type: ignore[arg-type]
    return counts


def test_a_share_over_the_threshold_is_a_storm_and_the_threshold_itself_is_none() -> None:
    assert FLEET not in census(hosts(8), 4).storms(QUIET, 0.0)

    storm = census(hosts(8), 5).storms(QUIET, 0.0)[FLEET]
    assert "5 of 8 hosts of the fleet silent (62 %, over 50 %)" in storm.reason
    assert "not like 5 dead hosts" in storm.reason
    assert storm.until_at is None


def test_domains_under_three_counted_hosts_are_exempt() -> None:
    assert census(hosts(2), 2).storms(QUIET, 0.0) == {}
    assert census(hosts(3), 2).storms(QUIET, 0.0) != {}


def test_each_cluster_is_a_domain_of_its_own_with_a_readable_name() -> None:
    counts = census(hosts(4) + hosts(20, cluster="green"), 3)
    storms = counts.storms(QUIET, 0.0)

    assert list(storms) == [BLUE]
    assert "hosts of cluster blue silent" in storms[BLUE].reason


def test_a_labelled_domain_has_a_threshold_of_its_own() -> None:
    rack = DomainRule(by="label:rack", threshold_percent=80.0)
    rules = StormRules(domains=(rack,), burst=Burst(hosts=1000))
    counts = census(hosts(10, rack="r12"), 8)
    assert counts.storms(rules, 0.0) == {}

    counts = census(hosts(10, rack="r12"), 9)
    storm = counts.storms(rules, 0.0)[Domain("label:rack", "r12")]
    assert "9 of 10 hosts of rack r12 silent (90 %, over 80 %)" in storm.reason


def test_hosts_without_a_label_or_a_cluster_are_in_no_such_domain() -> None:
    rules = StormRules(domains=(DomainRule(by="label:rack"), DomainRule(by="cluster")))
    counts = census(hosts(5, cluster=""), 5)

    assert counts.storms(rules, 0.0) == {}


def test_a_burst_is_a_storm_though_the_share_is_small() -> None:
    rules = StormRules()
    assert census(hosts(30), 3).storms(rules, 0.0) == {}

    storm = census(hosts(30), 4).storms(rules, 0.0)[FLEET]
    assert "4 of 30 hosts of the fleet fell silent within 30 s" in storm.reason
    assert census(hosts(50), 4).storms(rules, 0.0) == {}  # more than 3, and not over 10 %


def test_hosts_that_fell_silent_one_after_the_other_are_no_burst() -> None:
    counts = census(hosts(30), 0)
    for number, one in enumerate(hosts(4)):
        counts.note(one, Standing.SILENT, 20.0 * number)

    assert counts.storms(StormRules(), 60.0) == {}


def test_a_storm_lasts_for_its_cooldown_after_the_share_fell_back() -> None:
    counts = census(hosts(4), 4)
    assert FLEET in counts.storms(QUIET, 0.0)
    for one in hosts(4)[:3]:
        counts.note(one, Standing.ANSWERING, 10.0)

    assert counts.storms(QUIET, 10.0)[FLEET].until_at == 60.0
    assert "50 s more" in counts.storms(QUIET, 10.0)[FLEET].reason
    assert counts.storms(QUIET, 60.0) == {}


def test_a_reload_that_names_another_domain_does_not_end_a_cooldown() -> None:
    counts = census(hosts(4), 4)
    assert FLEET in counts.storms(QUIET, 0.0)
    for one in hosts(4)[:2]:
        counts.note(one, Standing.ANSWERING, 10.0)
    racks = StormRules(domains=(*QUIET.domains, DomainRule(by="label:rack")), burst=QUIET.burst)

    assert counts.storms(racks, 11.0)[FLEET].until_at == 60.0
    assert FLEET not in counts.storms(racks, 60.0)


def test_a_domain_that_a_reload_names_no_more_is_in_no_storm() -> None:
    counts = census(hosts(4), 4)
    assert BLUE in counts.storms(QUIET, 0.0)

    assert list(counts.storms(StormRules(domains=(DomainRule(by="fleet"),)), 1.0)) == [FLEET]


def test_nobody_is_looked_at_where_all_answer_again() -> None:
    counts = census(hosts(4), 4)
    counts.storms(QUIET, 0.0)
    for one in hosts(4):
        counts.note(one, Standing.ANSWERING, 10.0)
    assert counts.troubled
    counts.storms(QUIET, 100.0)

    assert not counts.troubled


def _keep(name: str, request: int) -> MaintenanceRequested:
    return MaintenanceRequested(request=request, host=name, by="ann", reason="disk")


def _end(name: str, request: int) -> MaintenanceEndRequested:
    return MaintenanceEndRequested(request=request, host=name, by="ann")


def test_a_silent_host_does_not_count_as_answering_because_its_maintenance_has_ended() -> None:
    scene = Scene(*fleet(6), rules=ruled(storm=StormRules(cooldown_s=0.0), witnesses=0))
    scene.run(10)
    for name in ("n3", "n4", "n5"):
        scene.ask(partial(_keep, name))
    for number in range(1, 6):
        scene.kill(f"n{number}")
    scene.run(60)
    assert scene.holds("n1") == ["storm"]
    for name in ("n3", "n4", "n5"):
        scene.ask(partial(_end, name))
    scene.run(120)

    assert scene.commands("n1") == []


def test_a_host_that_was_silent_through_its_boot_does_not_count_as_answering_after_it() -> None:
    storm = StormRules(cooldown_s=0.0)
    slow = [replace(one, boot_timeout_s=60.0) for one in fleet(4)]
    scene = Scene(*slow, rules=ruled(storm=storm, witnesses=0))
    scene.run(10)
    scene.boots = False
    scene.kill("n0")
    scene.until("fence.on_proven")
    scene.kill("n1")
    scene.kill("n2")
    scene.run(40)
    assert scene.holds("n1") == ["storm"]
    scene.run(60)

    assert scene.commands("n1") == []


def test_who_does_not_count_is_in_neither_part_of_the_fraction() -> None:
    counts = census(hosts(6), 3)
    for one in hosts(6)[4:]:
        counts.note(one, Standing.NOT, 1.0)

    assert counts.shares()[FLEET] == (3, 4)
    assert FLEET in counts.storms(QUIET, 1.0)


def test_a_host_that_leaves_or_moves_is_counted_where_it_is_now() -> None:
    counts = census(hosts(4), 2)
    counts.forget("blue0")
    counts.forget("nobody")
    moved = host("blue1", cluster="green", address="10.0.4.1")
    counts.note(moved, Standing.SILENT, 5.0)

    assert counts.shares()[FLEET] == (1, 3)
    assert counts.shares()[BLUE] == (0, 2)
    assert counts.shares()[Domain("cluster", "green")] == (1, 1)


def test_other_domains_are_counted_as_soon_as_the_rules_name_them() -> None:
    counts = census(hosts(5, rack="r1"), 4)
    rules = StormRules(domains=(DomainRule(by="label:rack"),))

    assert list(counts.storms(rules, 0.0)) == [Domain("label:rack", "r1")]
