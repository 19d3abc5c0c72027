"""Behaviour 4, 7 and 9: what is off, what is owed and what is known is forgotten by nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.events import CancelRequested, PersonEvent, PowerRequested, StatusRequested
from pmwatchd.core.model import Action, AgentResult, FenceAction, PowerStatus, Switches
from pmwatchd.core.orders import Accepted, PowerRead, Refused
from tests.core.scene import FENCING, RULES, SAFETY, Scene, Switch, agent, dead, host
from tests.core.test_power import miswired

ON, OFF = PowerStatus.ON, PowerStatus.OFF
MUTE = AgentResult.UNREACHABLE
BOTH = agent("bmc"), agent("pdu", order=2)
OTHER = host("node8", agent())


def power(scene: Scene, action: Action) -> None:
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=action, by="ann"))


def cancel(scene: Scene) -> None:
    scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann"))


def switch(scene: Scene, name: str = "bmc") -> Switch:
    return scene.switches["node7", name]


# a pursuit of on, and a host that is silent -------------------------------------------------


def bmc_dies_at_its_off(*, recovers: bool) -> Scene:
    """The BMC hangs at its off and never speaks again; the PDU cannot be reached just then."""
    scene = Scene(host("node7", *BOTH), OTHER)
    scene.run(10)
    scene.kill()
    scene.boots = False
    switch(scene).stuck = {FenceAction.OFF}
    scene.until("fence.intended")
    scene.run(0.5)
    switch(scene).unreadable = switch(scene, "pdu").unreadable = MUTE
    scene.alive["node7"] = recovers
    scene.until("fence.restoring")
    switch(scene, "pdu").unreadable = None
    scene.run(300)
    return scene


def test_a_restoring_that_cannot_end_does_not_leave_a_host_unfenced_that_dies_later() -> None:
    scene = bmc_dies_at_its_off(recovers=True)
    assert scene.commands(switch="pdu") == []
    scene.kill()
    scene.run(300)

    assert scene.commands(switch="pdu")[:2] == ["off", "on"]
    assert "degraded_power" in scene.alerts()


def test_a_restoring_that_cannot_end_does_not_leave_a_host_unfenced_that_stays_silent() -> None:
    scene = bmc_dies_at_its_off(recovers=False)
    scene.run(300)

    assert scene.commands(switch="pdu")[:2] == ["off", "on"]
    assert scene.outcomes()[0] == "failed"
    assert scene.memories["node7"].missing == ("bmc.mgmt:/",)


def test_what_a_failed_restoring_left_is_on_as_soon_as_its_agent_can_be_read() -> None:
    scene = bmc_dies_at_its_off(recovers=True)
    switch(scene).unreadable = None
    switch(scene).stuck = set()
    switch(scene).power = OFF
    scene.run(120)

    assert switch(scene).power is ON
    assert scene.alerts() == set()


def test_a_pursuit_of_on_that_is_continued_while_its_host_answers_ends() -> None:
    before = Scene(host("node7", *BOTH), OTHER)
    before.run(10)
    before.kill()
    before.until("fence.off_proven")
    scene = Scene(host("node7"), OTHER, after=before, at=before.now + 60.0)
    scene.alive["node7"] = True  # somebody has pressed its button
    scene.run(30)
    switch(scene).unreadable = MUTE
    scene.load(host("node7", *BOTH), OTHER)
    scene.run(600)

    assert scene.outcomes() == ["recovered"]


def test_a_host_that_was_never_proven_off_is_not_shown_off() -> None:
    scene = bmc_dies_at_its_off(recovers=True)

    assert "fence.off_proven" not in scene.events()
    assert scene.status() == "powering_on"


def test_a_host_whose_power_was_restored_may_boot() -> None:
    scene = Scene(host("node7", agent(), boot_timeout_s=600.0), OTHER)
    scene.run(10)
    scene.boot_s = 120.0
    scene.kill()
    switch(scene).result = AgentResult.ERROR  # and yet the device has taken the command
    scene.until("fence.intended")
    switch(scene).power, switch(scene).unreadable = OFF, MUTE
    scene.until("fence.restoring")
    switch(scene).unreadable, switch(scene).result = None, AgentResult.OK
    scene.run(110)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "booting"


def test_a_persons_on_that_found_it_on_is_no_excuse_for_its_silence() -> None:
    scene = dead(host("node7", agent(), boot_timeout_s=600.0), OTHER)
    scene.run(12)
    power(scene, Action.ON)
    scene.run(60)

    assert "off" in scene.commands()


def test_a_persons_on_that_found_it_on_ends_no_backoff() -> None:
    scene = dead(host("node7", agent()), OTHER)
    switch(scene).unreadable = AgentResult.AUTH_ERROR
    scene.until("fence.closed")
    switch(scene).unreadable = None
    scene.run(1)
    power(scene, Action.ON)
    scene.run(3)

    assert scene.holds() == ["backoff"]
    assert "unfenced" in scene.alerts()


def test_a_chassis_that_loses_its_power_at_boot_behind_feeds_that_are_on_gets_on_again() -> None:
    node = host("node7", agent("pdu", switches=Switches.FEED), agent("bmc", order=2))
    scene = dead(replace(node, boot_timeout_s=600.0))
    scene.boots = False
    scene.until("fence.closed")
    switch(scene).power = OFF
    scene.run(60)

    assert scene.commands(switch="bmc") == ["on"]


# what a person wants off --------------------------------------------------------------------


@pytest.mark.parametrize("feed", [False, True], ids=["two chassis", "a feed before the chassis"])
def test_a_second_off_that_fails_does_not_switch_on_what_is_kept_off(*, feed: bool) -> None:
    kind = Switches.FEED if feed else Switches.CHASSIS
    scene = Scene(host("node7", agent("bmc"), agent("pdu", order=2, switches=kind)))
    switch(scene).alone = True
    scene.run(10)
    power(scene, Action.OFF)
    scene.run(5)
    assert scene.status() == "maintenance"
    switch(scene).unreadable = MUTE
    switch(scene, "pdu").stuck = {FenceAction.OFF}
    power(scene, Action.OFF)  # to be sure
    scene.until("fence.restoring")
    switch(scene).unreadable = None
    scene.run(60)

    assert scene.commands(switch="bmc") == ["off"]
    assert scene.outcomes() == ["done", "failed"]


def restoring_after_an_off_that_took_effect() -> Scene:
    """A person's off came back as an error, and cut the power: it is restored, in vain so far."""
    scene = Scene(host("node7", agent()), OTHER)
    scene.run(10.6)
    switch(scene).result = AgentResult.ERROR
    power(scene, Action.OFF)
    scene.run(0.3)
    switch(scene).power, switch(scene).unreadable = OFF, MUTE
    scene.kill()
    scene.boots = False
    scene.until("fence.restoring")
    switch(scene).unreadable, switch(scene).result = None, AgentResult.OK
    switch(scene).stuck = {FenceAction.ON}
    scene.run(0.3)
    return scene


def test_a_host_whose_restoring_is_cancelled_before_it_was_missed_is_left_off() -> None:
    scene = restoring_after_an_off_that_took_effect()
    cancel(scene)
    switch(scene).stuck = set()
    scene.run(60)

    assert scene.outcomes() == ["cancelled"]
    assert scene.alerts() >= {"left_off"}
    assert switch(scene).power is OFF


def test_a_host_that_is_kept_off_is_not_degraded_by_a_reload() -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    power(scene, Action.OFF)
    scene.run(5)
    scene.load(replace(scene.hosts["node7"], boot_timeout_s=61.0))

    assert scene.alerts() == set()


# readings that are out of date --------------------------------------------------------------


def status_asked_before_off() -> Scene:
    """A person's question has read one agent on, and waits for a slow one."""
    scene = Scene(host("node7", agent("a"), agent("b", order=2)), OTHER)
    switch(scene, "a").alone = True
    scene.run(10)
    switch(scene, "b").took_s = 60.0

    def ask(number: int) -> PersonEvent:
        return StatusRequested(request=99, host="node7", by=f"bob {number}")

    scene.ask(ask)
    scene.run(1)
    return scene


def test_a_reading_from_before_an_off_does_not_forget_what_is_off_and_is_not_shown() -> None:
    scene = status_asked_before_off()
    power(scene, Action.OFF)
    scene.run(80)
    read = scene.answers[99]

    assert scene.memories["node7"].missing == ("a.mgmt:/",)
    assert isinstance(read, PowerRead)
    assert (read.power, read.agents["a"]) == (PowerStatus.UNKNOWN, PowerStatus.UNKNOWN)
    assert "ask again" in read.reasons["a"]


def test_a_reading_from_before_an_off_does_not_clear_left_off() -> None:
    scene = status_asked_before_off()
    switch(scene, "a").stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.off_proven")
    cancel(scene)
    scene.run(80)

    assert "left_off" in scene.alerts()


def test_a_reading_that_ends_while_an_operation_runs_that_it_knew_nothing_of_is_not_shown() -> None:
    scene = status_asked_before_off()
    switch(scene, "a").stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.run(80)
    read = scene.answers[99]

    assert isinstance(read, PowerRead)
    assert read.power is PowerStatus.UNKNOWN


# wrong wires, and an off that lands late ----------------------------------------------------


def proven_miswired() -> Scene:
    """It answered after its agent read off: that agent switches another machine."""
    scene = miswired()
    scene.run(30)
    assert "miswired" in scene.alerts()
    switch(scene).elsewhere = True
    scene.run((0.6 - scene.now) % 5)  # just after a round of heartbeats
    return scene


@pytest.mark.parametrize("faulty", [False, True], ids=["answered", "not sent"])
def test_wrong_wires_are_not_acquitted_by_an_operation_that_ends_before_its_heartbeat(
    *, faulty: bool
) -> None:
    scene = proven_miswired()
    scene.probe_s, scene.faulty = 1.4, faulty
    power(scene, Action.RESTART)
    scene.run(60)
    scene.faulty = False
    before = scene.commands()
    scene.kill()
    scene.run(100)

    assert scene.commands() == before
    assert "miswired" in scene.alerts()


def test_wires_that_were_mended_are_acquitted_when_that_heartbeat_was_silent() -> None:
    scene = proven_miswired()
    switch(scene).elsewhere = False
    scene.probe_s, scene.boots = 1.4, True
    power(scene, Action.RESTART)
    scene.until("fence.closed")
    assert "miswired" in scene.alerts()
    scene.run(5)

    assert scene.alerts() == set()


def test_an_answer_after_a_short_operation_has_ended_may_be_of_the_next_boot() -> None:
    scene = Scene(host("node7", agent()), OTHER)
    scene.run(10.6)
    scene.probe_s = 8.0
    power(scene, Action.RESTART)
    scene.run(30)

    assert scene.status() == "up"
    assert scene.alerts() == set()


def test_an_off_during_which_only_local_faults_came_acquits_no_wires() -> None:
    scene = proven_miswired()
    scene.faulty = True
    scene.hears = False
    power(scene, Action.OFF)
    scene.run(60)

    assert scene.outcomes()[-1] == "done"
    assert "miswired" in scene.alerts()


def test_another_part_of_the_device_is_another_definition() -> None:
    scene = proven_miswired()
    scene.load(host("node7", agent(options={"switch": "2"})))

    assert "miswired" not in scene.alerts()


def test_a_local_fault_after_the_first_reading_of_off_is_no_silence() -> None:
    scene = proven_miswired()
    scene.faulty = True
    power(scene, Action.OFF)
    scene.run(4)
    assert "fence.off_proven" not in scene.events()
    scene.faulty = False
    scene.run(10)

    assert "fence.off_proven" not in scene.events()
    assert "miswired" in scene.alerts()


def test_an_off_is_not_waited_for_without_end_because_of_a_local_fault() -> None:
    scene = Scene(host("node7", agent()), OTHER)
    scene.run(10)
    scene.faulty = True
    power(scene, Action.OFF)
    scene.run(25)
    assert scene.outcomes() == []
    scene.run(10)

    assert scene.outcomes() == ["done"]


def test_an_off_in_vain_that_lands_late_is_undone_though_another_group_was_proven_off() -> None:
    patient = replace(FENCING, off_status_delay_s=10.0, off_status_retries=18)
    inspected = replace(SAFETY, inspect_every_s=600.0, startup_hold_s=5.0)
    rules = replace(RULES, fencing=patient, safety=inspected)
    feeds = agent("a", switches=Switches.FEED), agent("b", switches=Switches.FEED)
    scene = Scene(host("node7", *feeds, agent("bmc", order=2)), OTHER, rules=rules)
    switch(scene).alone = True
    scene.run(20)
    scene.kill()
    for name in "ab":
        switch(scene, name).result = AgentResult.ERROR  # and yet the device has taken the command
    scene.until("fence.off_proven")
    for name in "ab":
        switch(scene, name).result = AgentResult.OK
    scene.run(30)
    assert scene.status() == "up"
    switch(scene, "a").power = OFF
    scene.run(1500)

    assert switch(scene, "a").power is ON
    assert scene.alerts() == set()


def test_what_was_proven_off_and_is_found_on_after_a_crash_is_in_no_doubt() -> None:
    before = dead(host("node7", agent()), OTHER)
    before.until("fence.off_proven")
    while switch(before).power is OFF:
        before.run(0.02)
    assert before.outcomes() == []
    scene = Scene(host("node7", agent()), OTHER, after=before, at=before.now + 1.0)
    scene.until("fence.closed")
    scene.run(1)

    assert scene.commands() == ["off", "on"]
    assert scene.memories["node7"].missing == ()


# hosts that the inventory lacks -------------------------------------------------------------


def test_nobody_switches_what_the_operation_of_a_removed_host_still_switches() -> None:
    scene = dead(host("node7", agent()), OTHER)
    switch(scene).stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    scene.switches["node6", "bmc"] = switch(scene)
    scene.alive["node6"] = False
    scene.load(host("node6", agent(), address=scene.hosts["node7"].address), OTHER)
    scene.put(PowerRequested(request=99, host="node6", action=Action.OFF, by="ann"))
    refused = scene.answers[99]
    assert isinstance(refused, Refused)
    assert "op_1_1 of node7" in refused.reason
    switch(scene).stuck = set()
    scene.run(60)
    scene.put(PowerRequested(request=100, host="node6", action=Action.OFF, by="ann"))

    assert isinstance(scene.answers[100], Accepted)


def test_the_operation_of_a_removed_host_is_not_held_by_what_it_switches_itself() -> None:
    scene = Scene(host("node7", *BOTH), OTHER)
    scene.run(10)
    scene.kill()
    switch(scene).stuck = {FenceAction.OFF}
    scene.until("fence.intended")
    scene.load(OTHER)
    scene.run(100)

    assert scene.commands(switch="pdu") == ["off", "on"]


def left_behind() -> Scene:
    """The operation of a removed host has ended, and one of its supplies is off."""
    scene = dead(host("node7", agent("a"), agent("b")), OTHER)
    switch(scene, "b").stuck = {FenceAction.ON}
    scene.until("fence.off_proven")
    scene.load(OTHER)
    scene.run(60)
    assert scene.fleet.host("node7") is None
    return scene


def test_a_supply_of_a_removed_host_that_was_left_off_is_told_until_a_person_gives_it_up() -> None:
    first = left_behind()
    scene = Scene(OTHER, after=first, at=first.now + 5.0)
    (alert,) = scene.fleet.alerts()
    assert (str(alert.name), "node7" in alert.reason) == ("left_off", True)
    cancel(scene)
    assert scene.fleet.alerts() == ()
    again = Scene(OTHER, after=scene, at=scene.now + 5.0)

    assert again.fleet.alerts() == ()


def test_a_supply_of_a_removed_host_is_pursued_when_the_host_is_back() -> None:
    scene = left_behind()
    switch(scene, "b").stuck = set()
    scene.load(host("node7", agent("a"), agent("b")), OTHER)
    scene.run(120)

    assert scene.fleet.alerts() == ()
    assert switch(scene, "b").power is ON


def test_a_host_that_a_person_keeps_off_is_not_owed_anything_when_it_is_removed() -> None:
    scene = Scene(host("node7", agent()), OTHER)
    power(scene, Action.OFF)
    scene.run(10)
    assert scene.status() == "maintenance"
    scene.load(OTHER)

    assert scene.fleet.alerts() == ()
