"""While its host answers every agent must read on; one that reads off twice is wired elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pmwatchd.core import inspection, powerwatch
from pmwatchd.core.events import (
    AgentReplied,
    HostProbed,
    MaintenanceRequested,
    PowerRequested,
    StatusRequested,
)
from pmwatchd.core.machine import Check, Machine
from pmwatchd.core.model import (
    Action,
    AgentResult,
    FenceAction,
    PowerManagement,
    PowerStatus,
    ProbeResult,
    Reply,
)
from pmwatchd.core.orders import ProbeHost, RunAgent
from pmwatchd.core.rounds import TRIES, Rounds
from pmwatchd.core.site import Site
from pmwatchd.core.watch import Up
from tests.core.scene import FENCING, RULES, SAFETY, Scene, agent, host

EVERY_S = 600.0
WITHIN_S = 30.0
INSPECTED = replace(RULES, safety=replace(SAFETY, startup_hold_s=WITHIN_S, inspect_every_s=EVERY_S))


def fed(*agents: str) -> Scene:
    """A host with these agents, all of one group, that is inspected."""
    made = (agent(name, address=f"{name}.mgmt") for name in agents)
    return Scene(host("node7", *made), rules=INSPECTED)


def readings(scene: Scene, name: str = "node7") -> int:
    """How often the agents of a host were read."""
    ran = [order for order in scene.orders if isinstance(order, RunAgent) and order.host == name]
    assert all(order.action is FenceAction.STATUS for order in ran)
    return len(ran)


def test_every_agent_is_read_once_within_the_startup_hold_and_then_slowly() -> None:
    nodes = [host(f"n{n}", agent(address=f"{n}.mgmt"), address=f"10.1.0.{n}") for n in range(8)]
    scene = Scene(*nodes, rules=INSPECTED)
    scene.run(WITHIN_S)
    assert [readings(scene, node.name) for node in nodes] == [1] * 8
    scene.run(EVERY_S / 2)
    assert 2 <= sum(readings(scene, node.name) for node in nodes) - 8 <= 5
    scene.run(EVERY_S / 2 + 1)
    assert [readings(scene, node.name) for node in nodes] == [2] * 8


def test_nothing_is_read_of_a_host_that_nobody_may_read() -> None:
    unwanted = PowerManagement(enabled=False, agents=(agent(address="m.mgmt"),))
    scene = Scene(
        host("silent", agent(address="s.mgmt")),
        host("bare"),
        host("switched", power_management=unwanted),
        host("repaired", agent(address="r.mgmt")),
        rules=INSPECTED,
    )
    scene.kill("silent")
    scene.ask(lambda n: MaintenanceRequested(request=n, host="repaired", by="eva", reason="disk"))
    scene.run(10.0)
    assert not [order for order in scene.orders if isinstance(order, RunAgent)]


def test_zero_switches_inspection_off_for_good() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(WITHIN_S)
    assert readings(scene) == 0
    assert scene.fleet.next_deadline() is None


def test_an_agent_that_reads_off_twice_while_its_host_answers_is_wired_elsewhere() -> None:
    scene = fed("feed-a", "feed-b")
    scene.switches["node7", "feed-b"].power = PowerStatus.OFF
    scene.until("alert.raised")
    assert scene.holds() == []  # it answers: nothing is to be held
    (alert,) = scene.fields("alert.raised")
    assert alert["alert"] == "miswired"
    assert "feed-b" in str(alert["reason"])
    assert "feed-a" not in str(alert["reason"])
    assert readings(scene) == 4
    scene.kill()
    scene.run(60.0)
    assert scene.holds() == ["miswired"]
    assert scene.commands(switch="feed-a") == []


def test_one_reading_of_off_is_not_enough() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("fence.agent_executed")
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.run(EVERY_S)
    assert scene.events("alert") == []
    assert readings(scene) == 3


def test_a_host_that_lost_its_power_between_two_heartbeats_is_not_miswired() -> None:
    scene = fed("bmc")
    scene.hears = False  # its silence is not noticed yet
    scene.run(1.0)
    scene.hears = True
    scene.run(1.0)
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("fence.agent_executed")
    scene.hears = False
    scene.kill()
    scene.until("fence.agent_executed")
    scene.hears = True
    scene.until("fence.on_proven")
    assert "miswired" not in [fields["alert"] for fields in scene.fields("alert.raised")]


def test_a_host_that_fell_silent_after_the_first_reading_is_judged_anew() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("fence.agent_executed")
    scene.kill()
    scene.run(9.5)  # connecting when the second reading would be due
    scene.alive["node7"] = True
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.run(60.0)
    assert scene.events("alert") == []


def test_what_reads_on_again_is_mended() -> None:
    scene = fed("feed-a", "feed-b")
    scene.switches["node7", "feed-b"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.switches["node7", "feed-b"].power = PowerStatus.ON
    scene.until("alert.cleared")
    scene.kill()
    scene.until("fence.off_proven")


def test_what_is_wired_elsewhere_is_read_ever_more_rarely() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.run(4 * FENCING.retry_max_s)
    assert 4 <= readings(scene) <= 9


def test_a_hold_for_wrong_wires_outlives_the_daemon_and_ends_with_another_definition() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.kill()
    later = Scene(host("node7", agent()), rules=INSPECTED, after=scene, at=scene.now + 5)
    later.run(90.0)
    assert later.holds() == ["miswired"]
    assert later.commands() == []
    later.load(host("node7", agent("other", address="other.mgmt")))
    assert later.fields("alert.cleared") == [{"alert": "miswired"}]
    later.run(1.0)
    assert later.holds() == []


def test_an_alert_for_wrong_wires_stands_while_a_person_keeps_the_host_off() -> None:
    scene = fed("feed-a", "feed-b")
    scene.switches["node7", "feed-b"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.OFF, by="eva"))
    scene.until("fence.closed")
    assert scene.alerts() == {"miswired"}
    later = Scene(scene.hosts["node7"], rules=INSPECTED, after=scene, at=scene.now + 5)
    assert later.alerts() == {"miswired"}


def test_a_person_proves_the_wires_right_by_switching_it_off() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="eva"))
    scene.until("fence.closed")
    assert "alert.cleared" in scene.events()
    assert scene.status() == "booting"


def test_an_off_of_a_host_that_was_silent_before_proves_no_wires_right() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.kill()
    scene.boots = False
    scene.run(10.0)
    scene.switches["node7", "bmc"].power = PowerStatus.ON  # of whatever machine
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="eva"))
    scene.until("fence.closed")
    assert scene.commands() == ["off", "on"]
    assert scene.alerts() == {"miswired"}


def test_the_proof_of_one_group_does_not_acquit_the_agent_of_another() -> None:
    scene = Scene(host("node7", agent("a"), agent("b", order=2)), rules=INSPECTED)
    scene.switches["node7", "b"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="eva"))
    scene.until("fence.off_proven")
    scene.run(60.0)
    assert scene.alerts() == {"miswired"}


def test_a_host_that_hangs_is_not_claimed_off_by_what_another_machine_reads() -> None:
    scene = Scene(host("node7", agent("a"), agent("b", order=2)), rules=INSPECTED)
    elsewhere = scene.switches["node7", "b"]
    elsewhere.power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="eva"))
    scene.run(100.0)
    assert scene.status() == "up"
    proven = len(scene.fields("fence.off_proven"))
    elsewhere.power = PowerStatus.OFF
    scene.switches["node7", "a"].unreadable = AgentResult.UNREACHABLE
    scene.kill()
    scene.run(120.0)
    assert len(scene.fields("fence.off_proven")) == proven
    assert scene.holds() == ["miswired"]


def test_what_we_switched_off_ourselves_is_no_sign_of_wrong_wires() -> None:
    scene = fed("feed-a", "feed-b")
    scene.switches["node7", "feed-b"].stuck = {FenceAction.ON}
    scene.run(1.0)
    scene.kill()
    scene.until("fence.closed")
    assert scene.status() == "up"
    scene.run(EVERY_S + WITHIN_S)
    raised = {fields["alert"] for fields in scene.fields("alert.raised")}
    assert raised == {"degraded_power"}


def test_a_status_that_cannot_be_read_tells_nothing_and_is_tried_through_two_proxies() -> None:
    agents = (agent(),)
    power = PowerManagement(agents=agents, proxies=("one.example", "two.example", "three.example"))
    scene = Scene(host("node7", power_management=power), rules=INSPECTED)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.run(WITHIN_S)
    (order,) = (order for order in scene.orders if isinstance(order, RunAgent))
    assert [candidate.name for candidate in order.chain] == ["one.example", "two.example"]
    assert scene.events("alert") == []


def accused(scene: Scene) -> ProbeHost:
    """Read a host off twice; return the heartbeat that shall tell, which is not answered yet."""
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    for _ in range(2000):
        scene.run(0.02)
        asked = [order for order in scene.orders if isinstance(order, ProbeHost)]
        if asked:
            return asked[0]
    raise AssertionError("nothing was asked")


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda scene: scene.load(host("node7", agent("bmc", address="new.mgmt"))),
        lambda scene: scene.ask(
            lambda n: PowerRequested(request=n, host="node7", action=Action.OFF, by="eva")
        ),
    ],
    ids=["redefined", "in an operation"],
)
def test_an_answer_to_a_question_that_is_void_accuses_nobody(
    meanwhile: Callable[[Scene], object],
) -> None:
    scene = fed("bmc")
    question = accused(scene)
    meanwhile(scene)
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.put(HostProbed("node7", question.operation, 0, ProbeResult.ALIVE))
    scene.put(HostProbed("node7", "check_99", 0, ProbeResult.ALIVE))
    assert "miswired" not in [fields["alert"] for fields in scene.fields("alert.raised")]


def test_an_agent_that_reads_on_before_the_question_is_answered_is_not_accused() -> None:
    scene = fed("bmc")
    accused(scene)
    switch = scene.switches["node7", "bmc"]
    switch.power, switch.took_s = PowerStatus.ON, 0.0
    scene.ask(lambda n: StatusRequested(request=n, host="node7", by="eva"))
    scene.run(1.0)
    assert scene.events("alert") == []


def test_an_agent_that_a_reading_under_way_has_found_on_is_not_accused() -> None:
    node = host("node7", agent("bmc"), agent("feed-b"))
    site, machine = Site(epoch=1, started_at=0.0), Machine(host=node, watch=Up(0.0))
    machine.wiring.accused, machine.wiring.asked = node.outlets({"bmc"}), "check_1"
    machine.check = Check(id="check_2", host=node, waiting={"bmc", "feed-b"})
    on = Reply(result=AgentResult.OK, power=PowerStatus.ON)
    powerwatch.replied(
        site, machine, AgentReplied("node7", "check_2", 0, "bmc", FenceAction.STATUS, on), 1.0
    )
    inspection.probed(site, machine, HostProbed("node7", "check_1", 0, ProbeResult.ALIVE), 1.0)
    assert not machine.wiring.off


def test_a_suspicion_ends_with_a_silence() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("fence.agent_executed")
    scene.kill()
    scene.until("watch.grace_began")
    scene.alive["node7"] = True
    scene.until("fence.agent_executed")
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.run(60.0)
    assert scene.events("alert") == []


def test_what_was_read_while_it_still_booted_accuses_no_agent() -> None:
    feed = agent("feed-b", order=2, address="feed-b.mgmt")
    scene = Scene(host("node7", agent(), feed), rules=INSPECTED)
    feed_b = scene.switches["node7", "feed-b"]
    feed_b.power = PowerStatus.OFF
    scene.until("fence.agent_executed")  # which brings another reading when it answers again
    scene.kill()
    scene.boot_s = 15.0  # between the replies of the first reading of its boot
    scene.until("fence.on_proven")
    scene.switches["node7", "bmc"].took_s = 9.0
    scene.until("watch.answered")
    scene.until("fence.agent_executed")
    scene.until("fence.agent_executed")  # and once while it answers
    feed_b.power = PowerStatus.ON
    scene.run(60.0)
    assert scene.events("alert") == []


def test_a_host_that_is_removed_has_no_turn_any_more() -> None:
    scene = Scene(host("node7", agent()), host("node8", agent(address="8.mgmt")), rules=INSPECTED)
    scene.load(host("node8", agent(address="8.mgmt")))
    scene.run(WITHIN_S)
    assert readings(scene, "node7") == 0
    assert readings(scene, "node8") == 1


# whose turn it is ----------------------------------------------------------------------------


def test_no_two_turns_are_closer_together_than_a_tenth_of_a_second() -> None:
    rounds = Rounds()
    for number in range(1000):
        rounds.add(f"n{number}")
    now, had = 0.0, list[str]()
    while len(had) < 100:
        had += rounds.turns(now, within_s=0.0, every_s=EVERY_S, ready=lambda _: True)
        assert rounds.due_at is not None
        now = rounds.due_at
    assert now >= 9.9
    assert len(set(had)) == 100


def test_a_turn_looks_at_few_who_are_not_ready_and_comes_to_all() -> None:
    rounds = Rounds()
    for number in range(100):
        rounds.add(f"n{number}")
    looked: list[str] = []

    def ready(name: str) -> bool:
        looked.append(name)
        return name == "n99"

    now, had = 0.0, list[str]()
    while not had:
        before = len(looked)
        had = rounds.turns(now, within_s=100.0, every_s=EVERY_S, ready=ready)
        assert len(looked) - before <= TRIES
        assert rounds.due_at is not None
        now = rounds.due_at
    assert had == ["n99"]
    assert len(looked) == 100


def test_a_name_that_is_added_again_is_new_again() -> None:
    rounds = Rounds()
    rounds.add("one")
    assert rounds.turns(0.0, within_s=1.0, every_s=100.0, ready=lambda _: True) == []
    assert rounds.turns(0.5, within_s=1.0, every_s=100.0, ready=lambda _: True) == ["one"]
    rounds.add("one")
    assert rounds.turns(0.6, within_s=1.0, every_s=100.0, ready=lambda _: True) == []
    assert rounds.turns(1.1, within_s=1.0, every_s=100.0, ready=lambda _: True) == ["one"]
    rounds.forget("one")
    assert rounds.turns(500.0, within_s=1.0, every_s=100.0, ready=lambda _: True) == []
    assert rounds.due_at is None


def test_wires_mended_in_the_inventory_while_the_daemon_was_away_are_mended() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    other = agent("other", address="other.mgmt")
    later = Scene(host("node7", other), rules=INSPECTED, after=scene, at=scene.now + 5)
    later.run(10.0)
    assert later.alerts() == set()
    later.kill()
    later.until("fence.off_proven")


def test_a_person_who_reads_it_on_while_its_host_answers_has_shown_that_it_is_mended() -> None:
    scene = fed("bmc")
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.until("alert.raised")
    scene.ask(lambda n: MaintenanceRequested(request=n, host="node7", by="eva", reason="cables"))
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.ask(lambda n: StatusRequested(request=n, host="node7", by="eva"))
    scene.run(5.0)
    assert scene.alerts() == set()
