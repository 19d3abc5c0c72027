"""Behaviour 4: on follows off, feeds before chassis; miswired; and the watch over the power."""

from __future__ import annotations

import itertools
from dataclasses import replace

from pmwatchd.core.events import (
    Answered,
    CancelRequested,
    HeartbeatsHeard,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import Action, AgentResult, FenceAction, Grace, PowerStatus, Switches
from pmwatchd.core.orders import Accepted, PowerRead, ProbeHost, Refused, RunAgent
from pmwatchd.core.rules import Rules
from tests.core.scene import FENCING, RULES, Scene, agent, dead, host, hung, ruled

ON, OFF = PowerStatus.ON, PowerStatus.OFF
FEED = Switches.FEED


def feeds_and_chassis() -> Scene:
    """A host with two outlets that are tried first and a BMC behind them."""
    scene = Scene(
        host(
            "node7",
            agent("pdu-a", switches=FEED),
            agent("pdu-b", switches=FEED),
            agent("bmc", order=2),
        )
    )
    scene.run(10)
    scene.kill()
    return scene


def ons(scene: Scene, switch: str) -> list[float]:
    commands = scene.switches["node7", switch].commands
    return [at for at, action in commands if action is FenceAction.ON]


def test_feeds_that_are_on_do_not_make_a_host_on_whose_chassis_reads_off() -> None:
    scene = feeds_and_chassis()
    scene.switches["node7", "bmc"].power = OFF  # its power policy is to stay off
    scene.until("fence.on_proven")

    assert scene.commands(switch="bmc") == ["on"]
    assert ons(scene, "bmc")[0] > max(*ons(scene, "pdu-a"), *ons(scene, "pdu-b"))
    assert scene.switches["node7", "bmc"].power is ON


def test_a_chassis_that_reads_on_after_its_feeds_are_on_needs_no_command() -> None:
    scene = feeds_and_chassis()
    scene.run(60)

    assert scene.commands(switch="bmc") == []
    assert scene.outcomes() == ["done"]


def test_a_chassis_that_cannot_be_read_leaves_the_word_to_the_feeds() -> None:
    scene = feeds_and_chassis()
    scene.boots = False
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.closed")

    assert scene.outcomes() == ["done"]


def test_waiting_for_a_chassis_ends_when_the_host_answers() -> None:
    scene = feeds_and_chassis()
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.closed")

    assert scene.outcomes() == ["done"]
    assert scene.fields("fence.on_proven")[0]["agents"] == ("pdu-a", "pdu-b")


def test_a_chassis_that_was_unreadable_all_along_is_asked_once_more_and_not_awaited() -> None:
    scene = Scene(host("node7", agent("bmc"), agent("pdu", order=2, switches=FEED)))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.off_proven")
    off_at = scene.now
    scene.until("fence.closed")

    assert scene.now - off_at < 1.0
    assert scene.outcomes() == ["done"]


def test_a_chassis_that_was_switched_off_and_is_not_on_is_pursued_though_feeds_are_on() -> None:
    scene = Scene(host("node7", agent("pdu", switches=FEED), agent("bmc")))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    scene.run(60)

    assert scene.outcomes() == []
    assert "left_off" in scene.alerts()


def test_restoring_a_feed_also_restores_the_chassis_behind_it() -> None:
    scene = feeds_and_chassis()
    scene.boots = False
    scene.switches["node7", "pdu-b"].stuck = {FenceAction.OFF}
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.restoring")
    scene.switches["node7", "bmc"].unreadable = None
    scene.switches["node7", "bmc"].power = OFF
    scene.until("fence.closed")

    assert scene.switches["node7", "bmc"].power is ON


# miswired ----------------------------------------------------------------------------------


def test_what_it_said_before_it_was_read_off_and_is_told_after_that_proves_no_wrong_wires() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    alive_at = scene.now
    scene.kill()
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.OFF, by="ann"))
    while not any(isinstance(order, ProbeHost) for order in scene.orders):
        scene.run(0.02)
    scene.put(HeartbeatsHeard((Answered("node7", alive_at, weak=True),)))
    scene.run(20)

    assert scene.outcomes() == ["done"]
    assert "miswired" not in scene.alerts()


def miswired() -> Scene:
    """A host whose agent switches another machine: it answers again while its agent reads off."""
    scene = Scene(host("node7", agent()))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.until("fence.intended")
    scene.later(0.15, lambda: scene.alive.update(node7=True))
    return scene


def test_a_host_that_answers_while_its_agents_read_off_is_miswired_and_power_is_restored() -> None:
    scene = miswired()
    scene.until("fence.closed")

    assert "fence.off_proven" not in scene.events()
    assert scene.commands() == ["off", "on"]
    assert scene.outcomes() == ["failed"]
    assert "miswired" in scene.alerts()


def test_a_host_whose_power_came_back_by_itself_after_one_reading_of_off_is_not_miswired() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    scene.kill()
    switch = scene.switches["node7", "bmc"]
    switch.power = OFF  # a mains failure, which ends between the two readings
    scene.until("fence.agent_executed")
    switch.power = ON
    switch.withdraw = 1
    scene.until("fence.intended")
    scene.alive["node7"] = True
    scene.put(HeartbeatsHeard(answered=(Answered("node7", scene.now),)))
    scene.run(60)

    assert scene.outcomes() == ["recovered"]
    assert scene.alerts() == set()


def test_a_miswired_host_is_held_until_its_wiring_changes_even_across_a_restart() -> None:
    first = miswired()
    first.run(30)
    scene = Scene(*first.hosts.values(), after=first, at=first.now + 5)
    scene.run(10)
    scene.kill()
    scene.run(100)
    assert scene.holds() == ["miswired"]
    assert scene.alerts() >= {"miswired"}
    assert scene.commands() == ["off", "on"]
    scene.load(host("node7", agent(address="right.mgmt")))
    scene.run(5)

    assert "miswired" not in scene.alerts()
    assert "fence.opened" in scene.events()


def test_a_persons_off_waits_for_the_heartbeat_that_follows_the_first_reading_of_off() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    scene.put(PowerRequested(request=1, host="node7", action=Action.OFF, by="ann"))
    probes: list[ProbeHost] = []
    scene._probed = probes.append  # type: ignore[method-assign, assignment]
    scene.run(20)
    assert len(probes) == 1
    assert "fence.off_proven" not in scene.events()
    Scene._probed(scene, probes[0])

    assert scene.outcomes() == ["done"]


def test_on_does_not_wait_for_that_heartbeat_and_a_late_answer_is_an_alert() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    scene.put(PowerRequested(request=1, host="node7", action=Action.RESTART, by="ann"))
    probes: list[ProbeHost] = []
    scene._probed = probes.append  # type: ignore[method-assign, assignment]
    scene.switches["node7", "bmc"].late_s = 1.0
    scene.until("fence.intended")
    scene.run(3.5)
    assert scene.commands() == ["off", "on"]
    scene.alive["node7"] = True
    Scene._probed(scene, probes[0])

    assert "miswired" in scene.alerts()


def test_an_off_that_is_proven_with_nobody_answering_shows_that_the_wiring_is_right() -> None:
    scene = miswired()
    scene.run(30)
    scene.put(PowerRequested(request=1, host="node7", action=Action.RESTART, by="ann"))
    scene.run(30)

    assert "miswired" not in scene.alerts()


def test_a_persons_word_that_a_host_is_off_does_not_show_that_its_wiring_is_right() -> None:
    scene = miswired()
    scene.run(30)
    scene.kill()
    scene.run(6)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    scene.run(10)
    assert scene.status() == "maintenance"
    scene.switches["node7", "bmc"].unreadable = None
    scene.put(MaintenanceEndRequested(request=2, host="node7", by="ann"))
    scene.run(120)

    assert scene.holds() == ["miswired"]
    assert scene.commands() == ["off", "on"]


# the watch over the power ------------------------------------------------------------------


def booting() -> Scene:
    scene = Scene(host("node7", agent(), boot_timeout_s=600.0))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.until("fence.closed")
    assert scene.status() == "booting"
    return scene


def test_a_host_that_loses_its_power_while_it_boots_gets_on_again() -> None:
    scene = booting()
    scene.switches["node7", "bmc"].power = OFF
    scene.run(9)
    assert scene.commands() == ["off", "on"]
    scene.run(14)

    assert scene.commands() == ["off", "on", "on"]
    assert scene.outcomes() == ["done", "done"]


def test_one_reading_of_off_is_not_enough() -> None:
    scene = booting()
    scene.switches["node7", "bmc"].power = OFF
    scene.run(12)
    scene.switches["node7", "bmc"].power = ON
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_the_watch_ends_when_the_host_answers() -> None:
    scene = booting()
    scene.alive["node7"] = True
    scene.run(10)
    before = len(scene.orders)
    scene.run(120)

    assert not [order for order in scene.orders[before:] if isinstance(order, RunAgent)]


def test_nothing_is_switched_on_in_a_maintenance() -> None:
    scene = booting()
    scene.put(MaintenanceRequested(request=1, host="node7", by="ann", reason="disk"))
    scene.switches["node7", "bmc"].power = OFF
    scene.run(120)

    assert scene.commands() == ["off", "on"]


def test_a_reading_that_was_asked_for_before_an_operation_began_proves_nothing() -> None:
    scene = booting()
    scene.switches["node7", "bmc"].took_s = 5.0
    scene.run(12)
    scene.put(PowerRequested(request=1, host="node7", action=Action.RESTART, by="ann"))
    scene.switches["node7", "bmc"].took_s = 0.1
    scene.run(60)

    assert scene.commands() == ["off", "on", "off", "on"]


def test_a_reading_of_agents_that_a_reload_renamed_proves_nothing() -> None:
    scene = booting()
    scene.switches["node7", "bmc"].took_s = 5.0
    scene.run(12)
    scene.load(host("node7", agent("ilo"), boot_timeout_s=600.0))
    scene.run(60)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "booting"


def degraded(rules: Rules = RULES) -> Scene:
    """One of two supplies could not be switched on again."""
    scene = Scene(host("node7", agent("a"), agent("b")), rules=rules)
    scene.run(10)
    scene.kill()
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.until("fence.closed")
    assert scene.alerts() == {"degraded_power"}
    return scene


def test_a_supply_that_was_left_off_is_pursued_while_the_host_is_up() -> None:
    scene = degraded()
    scene.switches["node7", "b"].stuck = set()
    scene.run(120)

    assert scene.switches["node7", "b"].power is ON
    assert scene.alerts() == set()
    assert scene.commands(switch="a") == ["off", "on"]


def test_a_supply_that_cannot_be_switched_on_is_tried_after_longer_and_longer_pauses() -> None:
    patient = replace(RULES, fencing=replace(FENCING, retry_max_s=640.0))
    scene = degraded(patient)
    scene.run(3600)
    opened = [at for at, record in scene.told if record.event == "fence.opened"][1:]
    pauses = [later - earlier for earlier, later in itertools.pairwise(opened)]

    assert pauses == sorted(pauses)
    assert pauses[-1] > 640.0
    assert scene.alerts() == {"degraded_power"}


def completing(took_s: float = 0.1) -> Scene:
    """The supply that was left off is just being switched on again, in vain, when the host dies."""
    scene = degraded(replace(RULES, fencing=replace(FENCING, on_status_retries=20)))
    scene.switches["node7", "b"].took_s = took_s
    scene.until("fence.opened")
    scene.until("fence.intended")
    scene.boots = False
    scene.kill()
    scene.until("watch.grace_began")
    return scene


def test_a_silent_host_is_fenced_though_its_power_is_just_being_completed() -> None:
    scene = completing()
    scene.until("watch.non_responsive")
    silent_at = scene.now
    scene.until("fence.off_proven")

    assert scene.now - silent_at < 5.0
    assert scene.outcomes() == ["degraded", "cancelled"]
    assert scene.commands(switch="a")[-2:] == ["off", "on"]
    assert scene.alerts() == {"degraded_power"}


def test_what_completes_its_power_is_not_ended_while_a_command_is_on_its_way() -> None:
    scene = completing(took_s=30.0)
    scene.until("watch.non_responsive")
    scene.run(2)
    assert scene.outcomes() == ["degraded"]
    scene.until("fence.opened")

    assert scene.outcomes() == ["degraded", "cancelled"]


def test_its_power_is_completed_on_while_something_else_holds_a_silent_host() -> None:
    scene = completing()
    scene.pause()
    scene.until("fence.closed")

    assert scene.outcomes() == ["degraded", "degraded"]


def test_what_completes_its_power_gives_way_after_a_restart_too() -> None:
    first = completing(took_s=20.0)
    scene = Scene(*first.hosts.values(), after=first, at=first.now + 5)
    scene.switches["node7", "b"].took_s = 0.1
    scene.until("watch.non_responsive")
    scene.until("fence.opened")

    assert scene.outcomes() == ["cancelled"]


def give_up(scene: Scene) -> Accepted | Refused | PowerRead | None:
    return scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann", reason="broken"))


def test_a_supply_that_a_person_gives_up_is_not_pursued_until_a_person_wants_it_on() -> None:
    first = degraded()
    first.until("fence.intended")
    assert give_up(first) == Accepted(operation="op_1_2")
    tried = first.commands(switch="b")
    first.run(300)
    scene = Scene(*first.hosts.values(), after=first, at=first.now + 5)
    scene.run(300)
    (alert,) = scene.fleet.hosts()[0].alerts
    assert (str(alert.name), alert.reason) == ("degraded_power", "not on again: b (given up)")
    assert scene.commands(switch="b") == tried
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.ON, by="eva"))
    scene.switches["node7", "b"].stuck = set()
    scene.run(60)

    assert scene.switches["node7", "b"].power is ON
    assert scene.alerts() == set()


def test_a_supply_can_be_given_up_between_two_tries_once() -> None:
    scene = degraded()
    assert give_up(scene) == Accepted()
    refused = give_up(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "nothing-to-cancel"


def test_a_supply_that_was_given_up_and_is_found_on_is_pursued_when_it_is_off_again() -> None:
    scene = degraded()
    give_up(scene)
    b = scene.switches["node7", "b"]
    b.power, b.stuck = ON, set()
    scene.put(StatusRequested(request=99, host="node7", by="ann"))
    scene.run(5)
    assert scene.alerts() == set()
    b.stuck = {FenceAction.ON}
    scene.run(60)
    scene.kill()
    scene.until("fence.closed")
    assert scene.alerts() == {"degraded_power"}
    b.stuck = set()
    scene.run(120)

    assert b.power is ON


def test_a_boot_that_lost_its_power_is_left_off_when_its_on_is_cancelled() -> None:
    scene = booting()
    scene.switches["node7", "bmc"].power = OFF
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.intended")
    give_up(scene)
    scene.run(10)

    assert scene.outcomes() == ["done", "cancelled"]
    assert scene.alerts() == {"left_off"}
    assert scene.status() == "maintenance"


def test_a_supply_that_is_found_on_is_not_missing_any_more() -> None:
    scene = degraded()
    scene.switches["node7", "b"].power = ON
    scene.run(60)

    assert scene.alerts() == set()


def test_what_is_missing_is_remembered_across_a_restart() -> None:
    first = degraded()
    scene = Scene(*first.hosts.values(), after=first, at=first.now + 5)
    assert scene.alerts() == {"degraded_power"}
    scene.switches["node7", "b"].stuck = set()
    scene.run(200)

    assert scene.switches["node7", "b"].power is ON


def test_the_next_operation_owes_what_an_earlier_one_left_off() -> None:
    rules = replace(RULES, fencing=replace(FENCING, quiet_time_s=0.0))
    scene = Scene(host("node7", agent("bmc"), agent("pdu", order=2)), rules=rules)
    scene.run(10)
    scene.kill()
    scene.put(PowerRequested(request=1, host="node7", action=Action.OFF, by="ann"))
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.until("fence.closed")
    assert scene.switches["node7", "pdu"].power is OFF
    scene.put(PowerRequested(request=2, host="node7", action=Action.ON, by="ann"))
    scene.run(60)

    assert scene.switches["node7", "pdu"].power is ON
    assert scene.status() == "up"


def test_a_supply_that_a_persons_on_could_not_switch_on_is_missing_too() -> None:
    scene = Scene(host("node7", agent("a"), agent("b")))
    scene.kill()
    for name in "ab":
        scene.switches["node7", name].power = OFF
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.put(PowerRequested(request=1, host="node7", action=Action.ON, by="ann"))
    scene.until("fence.closed")

    assert scene.outcomes() == ["degraded"]
    assert scene.alerts() == {"degraded_power"}


def test_a_persons_on_counts_the_group_that_works_and_not_the_one_that_does_not() -> None:
    scene = Scene(host("node7", agent("bmc"), agent("pdu", order=2)))
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.put(PowerRequested(request=1, host="node7", action=Action.ON, by="ann"))
    scene.until("fence.closed")

    assert scene.outcomes() == ["done"]


def test_a_supply_that_was_found_off_and_fails_to_go_on_is_missing_and_accuses_no_wires() -> None:
    scene = Scene(host("node7", agent("a"), agent("b")), rules=ruled(inspect_every_s=60.0))
    scene.run(10)
    scene.switches["node7", "b"].power = OFF
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.kill()
    scene.until("fence.closed")
    assert scene.outcomes() == ["degraded"]
    scene.run(300)

    assert scene.alerts() == {"degraded_power"}


def test_a_persons_reading_that_still_finds_it_off_changes_nothing() -> None:
    scene = degraded()
    scene.put(StatusRequested(request=9, host="node7", by="ann"))
    scene.run(1)

    assert scene.alerts() == {"degraded_power"}


def test_an_outlet_that_no_agent_switches_now_is_missing_until_a_person_gives_it_up() -> None:
    before = degraded()
    scene = Scene(host("node7", agent("a")), after=before, at=before.now + 5.0)
    scene.run(120)
    (alert,) = scene.fleet.hosts()[0].alerts
    assert alert.reason == "not on again: b.mgmt:/ (no agent switches it now)"
    scene.put(CancelRequested(request=1, host="node7", by="ann"))

    assert scene.answers[1] == Accepted()
    assert scene.alerts() == set()


def test_a_supply_is_still_missing_when_its_agent_gets_another_name() -> None:
    scene = degraded()
    scene.switches["node7", "left"] = scene.switches["node7", "b"]
    scene.load(host("node7", agent("a"), agent("left", address="b.mgmt")))
    assert scene.alerts() == {"degraded_power"}
    scene.switches["node7", "left"].stuck = set()
    scene.run(120)

    assert scene.switches["node7", "left"].power is ON
    assert scene.alerts() == set()


def test_a_host_found_off_is_on_though_what_an_earlier_operation_left_off_stays_off() -> None:
    scene = degraded()
    scene.run(60)
    scene.boots = False
    scene.switches["node7", "a"].power = OFF
    scene.kill()
    scene.until("fence.on_proven")
    scene.run(30)

    assert scene.switches["node7", "a"].power is ON
    assert scene.alerts() == {"degraded_power"}


def test_an_on_that_fails_within_the_grace_period_neither_alerts_nor_delays_anything() -> None:
    scene = degraded()
    scene.run(30)
    scene.load(replace(scene.hosts["node7"], grace=Grace(period_s=300.0)))
    scene.kill()
    scene.boots = False
    for name in "ab":
        scene.switches["node7", name].unreadable = None
    scene.switches["node7", "a"].power = OFF
    scene.switches["node7", "a"].stuck = {FenceAction.ON}
    scene.until("fence.closed")
    while scene.outcomes()[-1] != "failed":
        scene.until("fence.closed")

    assert scene.status() == "connecting"
    assert scene.alerts() == {"degraded_power"}


def test_an_off_that_lands_after_its_power_was_restored_is_found_and_undone() -> None:
    patient = replace(FENCING, off_status_retries=15)
    scene = Scene(host("node7", agent("a"), agent("b")), rules=replace(RULES, fencing=patient))
    scene.run(10)
    scene.kill()
    late = scene.switches["node7", "a"]
    late.result = AgentResult.ERROR  # and yet the device has taken the command
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.until("fence.restoring")
    late.result = AgentResult.OK
    scene.until("fence.closed")
    scene.alive["node7"] = True
    scene.run(15)
    late.power = OFF
    scene.run(120)

    assert late.power is ON
    assert scene.alerts() == set()


def test_an_off_that_may_land_late_is_watched_on_whatever_is_done_meanwhile() -> None:
    patient = replace(FENCING, off_status_delay_s=10.0, off_status_retries=18)
    node = host("node7", agent(), automatic=False)
    scene = dead(node, host("node8", agent()), rules=replace(RULES, fencing=patient))
    late = scene.switches["node7", "bmc"]
    late.result = AgentResult.ERROR
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.OFF, by="eva"))
    scene.until("fence.closed")
    assert scene.outcomes() == ["failed"]
    late.result = AgentResult.OK
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.ON, by="eva"))
    scene.run(node.boot_timeout_s + 5)
    assert scene.outcomes() == ["failed", "done"]
    late.power = OFF
    scene.run(120)

    assert late.power is ON


def test_a_host_that_hangs_at_boot_is_fenced_again_though_one_supply_stays_off() -> None:
    scene = hung()
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.run(600)

    assert scene.commands(switch="a").count("off") > 1


def test_a_partial_off_of_a_miswired_host_is_told_until_its_power_is_restored() -> None:
    scene = miswired()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")

    assert scene.switches["node7", "bmc"].power is PowerStatus.OFF
    assert "partial_off" in scene.alerts()


def test_a_partial_off_is_told_on_after_a_reload() -> None:
    scene = hung()
    scene.switches["node7", "a"].stuck = {FenceAction.ON}
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.until("fence.restoring")
    scene.load(replace(scene.hosts["node7"], boot_timeout_s=61.0))
    scene.run(1)

    assert scene.switches["node7", "a"].power is PowerStatus.OFF
    assert "partial_off" in scene.alerts()


def test_an_off_that_may_land_late_is_watched_on_after_a_restart() -> None:
    patient = replace(RULES, fencing=replace(FENCING, off_status_retries=30))
    scene = hung(rules=patient)
    late = scene.switches["node7", "a"]
    late.result = AgentResult.ERROR
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.until("fence.restoring")
    late.result = AgentResult.OK
    scene.until("fence.closed")
    scene.alive["node7"] = True
    scene.run(6)
    again = Scene(*scene.hosts.values(), rules=patient, after=scene, at=scene.now + 1.0)
    late.power = PowerStatus.OFF
    again.run(200)

    assert late.power is PowerStatus.ON or again.alerts()


def test_degraded_power_names_what_a_reload_took_away() -> None:
    scene = Scene(host("node7", agent("a"), agent("b")))
    scene.run(10)
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.put(PowerRequested(request=1, host="node7", action=Action.RESTART, by="ann"))
    scene.until("fence.closed")
    scene.load(host("node7", agent("a")))
    (alert,) = scene.fleet.hosts()[0].alerts

    assert "no agent switches it now" in alert.reason


def test_any_answer_after_the_first_reading_of_off_says_that_it_is_not_off() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    scene.run(0.35)
    assert [r.event for _, r in scene.told][-1] == "fence.agent_executed"
    scene.put(HeartbeatsHeard((Answered("node7", scene.now),)))

    assert "fence.restoring" in scene.events()
    assert scene.alerts() == {"miswired", "partial_off"}
