"""Behaviour 2 and 3: what holds a silent host, and whose turn it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.events import CancelRequested, VouchRequested
from pmwatchd.core.model import (
    AgentResult,
    FenceAction,
    HoldName,
    PowerManagement,
    PowerStatus,
    SoftFencing,
)
from pmwatchd.core.orders import Accepted, RunAgent
from pmwatchd.core.rules import Safety, Spacing, StormRules
from pmwatchd.core.views import Hold
from tests.core.scene import Scene, agent, dead, fleet, host, ruled

NODE = host("node7", agent())


# storms ------------------------------------------------------------------------------------


def test_many_silent_hosts_are_no_dead_machines_until_one_stays_silent_alone() -> None:
    scene = Scene(*fleet(8), rules=ruled(storm=StormRules()))
    scene.run(10)
    for number in range(6):
        scene.kill(f"n{number}")
    scene.run(120)
    assert scene.events("fence") == []
    assert scene.holds("n0") == ["storm"]
    (alert,) = scene.fleet.alerts()
    assert "6 of 8 hosts of the fleet silent" in alert.reason
    for number in range(1, 6):
        scene.alive[f"n{number}"] = True
    scene.run(100)

    assert scene.commands("n0") == ["off", "on"]
    assert [scene.commands(f"n{number}") for number in range(1, 6)] == [[]] * 5
    assert scene.fleet.alerts() == ()
    assert scene.fleet.shares()["fleet", ""] == 0.0


# shadow ------------------------------------------------------------------------------------


def test_safety_is_on_by_default() -> None:
    assert Safety().automatic
    assert PowerManagement().soft_fencing is None


def test_in_shadow_mode_everything_is_judged_and_nothing_is_done() -> None:
    power = replace(NODE.power_management, soft_fencing=SoftFencing(command="restart"))
    softly = replace(NODE, power_management=power)
    scene = dead(replace(softly, automatic=False))
    scene.run(300)

    assert scene.commands() == []
    assert scene.softly == []
    assert scene.holds() == [HoldName.SHADOW]
    assert len(scene.fields("fence.would_have")) == 1


def test_a_hold_that_is_judged_last_stays_shown_while_others_are_asked_again() -> None:
    scene = dead(replace(NODE, automatic=False), host("node8", agent()))
    scene.run(120)

    assert [fields["hold"] for fields in scene.fields("hold.began")] == ["shadow"]
    assert scene.events("hold.ended") == []


def test_a_host_in_shadow_mode_takes_nobodys_turn() -> None:
    shadow = replace(host("a", agent(address="a.mgmt"), address="10.4.0.1"), automatic=False)
    scene = Scene(shadow, NODE, host("node8"), rules=ruled(max_concurrent=1, witnesses=0))
    scene.run(10)
    scene.kill("a")
    scene.run(30)
    scene.kill()
    scene.run(90)

    assert scene.commands() == ["off", "on"]
    assert scene.holds("a") == ["shadow"]


# budget ------------------------------------------------------------------------------------


def test_no_more_hosts_are_switched_off_at_once_than_the_budget_has_slots() -> None:
    scene = Scene(*fleet(4), NODE, rules=ruled(max_concurrent=2, witnesses=0))
    scene.run(10)
    for number in range(4):
        scene.switches[f"n{number}", "bmc"].took_s = 1.0
        scene.kill(f"n{number}")
    scene.until("fence.opened")
    scene.run(1)
    held = [name for name in scene.hosts if scene.holds(name) == ["budget"]]
    assert held == ["n2", "n3"]
    assert "number 1 in the queue" in scene.fields("hold.began")[0]["reason"]  # type: ignore[operator]
    scene.run(120)

    assert [scene.commands(f"n{number}") for number in range(4)] == [["off", "on"]] * 4


def test_the_budget_of_an_hour_counts_proven_offs() -> None:
    scene = Scene(*fleet(2), NODE, rules=ruled(per_hour=1, witnesses=0))
    scene.run(10)
    scene.kill("n0")
    scene.until("fence.closed")
    scene.kill("n1")
    scene.run(120)
    assert scene.holds("n1") == ["budget"]
    scene.run(3600)

    assert scene.commands("n1") == ["off", "on"]


def test_the_budget_counts_those_that_were_fenced_and_those_under_way_each_as_what_they_are() -> (
    None
):
    scene = Scene(*fleet(3), NODE, rules=ruled(per_hour=2, witnesses=0))
    scene.run(10)
    scene.kill("n0")
    scene.run(60)
    assert scene.commands("n0") == ["off", "on"]
    scene.switches["n1", "bmc"].late_s = 9.0
    scene.kill("n1")
    scene.kill("n2")
    scene.until("fence.opened")
    scene.run(2)
    (hold,) = budgeted(scene, "n2")
    assert "1 fenced within an hour and 1 being fenced" in hold.reason
    assert hold.until_at is None
    scene.run(30)
    (hold,) = budgeted(scene, "n2")

    assert "2 fenced within an hour and 0 being fenced" in hold.reason
    assert hold.until_at is not None


def budgeted(scene: Scene, name: str) -> list[Hold]:
    view = scene.fleet.host(name)
    assert view is not None
    return [hold for hold in view.holds if hold.name is HoldName.BUDGET]


def test_priority_goes_before_fewest_failures_before_longest_silence() -> None:
    urgent = host("z", agent(address="z.mgmt"), address="10.9.0.1", labels={"priority": "5"})
    scene = Scene(*fleet(2), urgent, NODE, rules=ruled(max_concurrent=1, witnesses=0))
    scene.run(10)
    for name in ("n0", "n1", "z"):
        scene.switches[name, "bmc"].took_s = 2.0
        scene.kill(name)
    scene.run(150)
    opened = [told.host for _, told in scene.told if told.event == "fence.opened"]

    assert opened == ["z", "n0", "n1"]


def test_a_slot_that_becomes_free_just_after_a_pause_is_given_to_nobody() -> None:
    scene = Scene(*fleet(2), NODE, rules=ruled(max_concurrent=1, witnesses=0))
    scene.run(10)
    scene.kill("n0")
    scene.kill("n1")
    scene.until("fence.intended")  # the off of n0; n1 waits for its slot
    scene.run(0.72)
    assert scene.events("fence.off_proven") == []
    assert scene.holds("n1") == ["budget"]
    scene.pause()
    scene.run(60)

    assert scene.events("fence.off_proven", host="n0")
    assert scene.events("fence.opened", host="n1") == []
    assert scene.holds("n1") == ["paused"]


# loop --------------------------------------------------------------------------------------


def test_a_host_that_is_fenced_again_and_again_is_parked_until_a_person_looks_at_it() -> None:
    scene = dead(NODE, rules=ruled(loop_limit=2))
    scene.boots = False
    scene.run(600)
    assert scene.commands() == ["off", "on", "off", "on"]
    assert scene.holds() == ["parked"]
    assert scene.status() == "failed"
    assert "parked" in scene.alerts()
    again = Scene(NODE, rules=scene.rules, after=scene, at=scene.now)
    again.run(200)
    assert again.commands() == ["off", "on", "off", "on"]
    assert "parked" in again.alerts()


def test_a_host_that_was_up_for_long_begins_a_new_count() -> None:
    scene = dead(NODE, rules=ruled(loop_limit=2, loop_window_s=100.0))
    scene.run(200)
    assert scene.memories["node7"].fenced == 0
    scene.kill()
    scene.run(60)

    assert scene.alerts() == set()
    assert scene.commands() == ["off", "on"] * 2


def test_an_operation_that_a_person_cancelled_does_not_count() -> None:
    scene = dead(NODE, rules=ruled(loop_limit=1))
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.off_proven")
    scene.run(3)
    scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann"))
    scene.run(10)

    assert scene.outcomes() == ["cancelled"]
    assert "parked" not in scene.alerts()
    assert scene.memories["node7"].fenced == 0


def test_a_host_that_is_found_off_and_left_so_is_not_fenced_again_and_again() -> None:
    rules = ruled(loop_limit=3, per_hour=2)
    leave_off = replace(rules, fencing=replace(rules.fencing, on_if_found_off=False))
    scene = dead(NODE, rules=leave_off)
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.run(300)

    assert len(scene.outcomes()) > 3
    assert set(scene.outcomes()) == {"done"}
    assert scene.alerts() == set()
    assert scene.holds() != ["budget"]


def test_an_operation_that_failed_does_not_count() -> None:
    scene = dead(NODE, rules=ruled(loop_limit=1))
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.until("fence.closed")

    assert scene.outcomes() == ["failed"]
    assert "parked" not in scene.alerts()


def test_an_off_that_a_person_vouched_for_was_not_proven_and_does_not_count() -> None:
    scene = dead(NODE, rules=ruled(loop_limit=1))
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.opened")
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.until("fence.off_proven")
    scene.switches["node7", "bmc"].unreadable = None
    scene.until("fence.closed")

    assert scene.outcomes() == ["done"]
    assert "parked" not in scene.alerts()


# spacing -----------------------------------------------------------------------------------


def test_power_ons_of_one_domain_are_spaced_and_all_agents_of_a_host_are_one() -> None:
    nodes = [
        host(f"n{n}", agent("a"), agent("b"), address=f"10.1.0.{n}", labels={"pdu": "r1"})
        for n in range(2)
    ]
    spacing = Spacing(by="label:pdu", gap_s=7.0)
    scene = Scene(*nodes, NODE, rules=ruled(poweron_spacing=spacing, witnesses=0))
    scene.run(10)
    scene.kill("n0")
    scene.kill("n1")
    scene.run(60)
    ons = {
        (order.host, order.agent.name): order.not_before
        for order in scene.orders
        if isinstance(order, RunAgent) and order.action is FenceAction.ON
    }

    assert ons["n0", "a"] == ons["n0", "b"]
    assert ons["n1", "a"] == ons["n1", "b"] == ons["n0", "a"] + 7.0


def spaced(gap_s: float) -> Scene:
    """Two hosts behind one breaker; the second one waits to be switched on."""
    nodes = [host(f"n{n}", agent(), address=f"10.1.0.{n}", labels={"pdu": "r1"}) for n in range(2)]
    rules = ruled(poweron_spacing=Spacing(by="label:pdu", gap_s=gap_s), witnesses=0)
    scene = Scene(*nodes, NODE, rules=rules)
    scene.run(10)
    scene.kill("n0")
    scene.kill("n1")
    scene.run(60)
    assert (scene.commands("n0"), scene.commands("n1")) == (["off", "on"], ["off"])
    return scene


def test_a_power_on_that_waits_for_its_turn_is_told_and_carried_out_when_it_comes() -> None:
    scene = spaced(gap_s=100.0)
    (told,) = scene.fields("fence.spaced")
    assert (told["agent"], told["reason"]) == ("bmc", "label:pdu")
    scene.run(100)

    first, second = (scene.switches[name, "bmc"].commands[1][0] for name in ("n0", "n1"))
    assert second - first == pytest.approx(100.0)


def test_a_power_on_that_waits_for_its_turn_is_not_carried_out_after_it_was_cancelled() -> None:
    scene = spaced(gap_s=600.0)
    cancel = scene.ask(lambda n: CancelRequested(request=n, host="n1", by="ann", reason="hands"))
    assert isinstance(cancel, Accepted)
    scene.run(1.0)
    assert scene.outcomes()[-1] == "cancelled"
    scene.run(1200)

    assert scene.commands("n1") == ["off"]  # somebody has his hands in the machine
