"""Behaviour 1 to 9 where several rules meet: each of these was a hole between two of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.events import Answered as Heard
from pmwatchd.core.events import (
    CancelRequested,
    HeartbeatsHeard,
    JournalFailed,
    PowerRequested,
    Unheard,
    VouchRequested,
)
from pmwatchd.core.model import (
    Action,
    AgentResult,
    FenceAction,
    Grace,
    Heartbeat,
    Host,
    PowerStatus,
    Probe,
    ProbeType,
    Switches,
)
from pmwatchd.core.orders import Accepted, PowerRead, Recall, Refused
from tests.core.scene import FENCING, RULES, Scene, Switch, agent, host, ruled

ON, OFF = PowerStatus.ON, PowerStatus.OFF
MUTE = AgentResult.UNREACHABLE
BOTH = agent("bmc"), agent("pdu", order=2)
OTHER = host("node8", agent())

Answered = Accepted | Refused | PowerRead | None


def power(scene: Scene, action: Action, name: str = "node7") -> Answered:
    return scene.ask(lambda n: PowerRequested(request=n, host=name, action=action, by="ann"))


def switch(scene: Scene, name: str = "bmc") -> Switch:
    return scene.switches["node7", name]


def up(*agents: object, **more: object) -> Scene:
    scene = Scene(host("node7", *agents, **more), OTHER)  # type: ignore[arg-type]
    scene.run(10)
    scene.boots = False
    return scene


# a boot that this daemon began --------------------------------------------------------------

SLOW_BOOT = host("node7", agent(), boot_timeout_s=600.0, grace=Grace(period_s=60.0, failures=3))


def crashed(before: Scene) -> Scene:
    """Start the daemon again; the host boots for 450 s more."""
    scene = Scene(
        SLOW_BOOT, OTHER, rules=ruled(startup_hold_s=300.0), after=before, at=before.now + 3
    )
    scene.boots = False
    scene.alive["node7"] = False
    return scene


def test_a_host_that_a_person_powered_on_before_a_crash_may_boot() -> None:
    before = Scene(SLOW_BOOT, OTHER)
    before.run(10)
    power(before, Action.OFF)
    before.run(10)
    before.boots = False
    power(before, Action.ON)
    before.until("fence.intended")
    before.run(0.15)
    scene = crashed(before)
    scene.run(440)

    assert scene.status() == "booting"
    assert scene.commands() == ["off", "on"]


def test_a_host_that_was_restored_before_a_crash_may_boot() -> None:
    before = Scene(SLOW_BOOT, OTHER)
    before.run(10)
    before.kill()
    before.boots = False
    switch(before).result = AgentResult.ERROR  # and yet the device has taken the command
    before.until("fence.intended")
    before.run(0.12)
    switch(before).power, switch(before).unreadable = OFF, MUTE
    before.until("fence.restoring")
    switch(before).unreadable, switch(before).result = None, AgentResult.OK
    before.until("fence.intended")
    before.run(0.15)
    scene = crashed(before)
    scene.run(440)

    assert scene.status() == "booting"
    assert scene.commands() == ["off", "on"]


def test_a_host_that_another_way_to_its_chassis_powered_on_may_boot() -> None:
    scene = up(agent("ipmi"), agent("redfish", order=2), boot_timeout_s=600.0)
    switch(scene, "ipmi").alone = True
    power(scene, Action.OFF)
    scene.run(10)
    switch(scene, "redfish").power = OFF
    switch(scene, "ipmi").result = AgentResult.ERROR  # and yet the BMC has taken the command
    power(scene, Action.ON)
    scene.until("fence.intended")
    scene.run(0.12)
    switch(scene, "ipmi").unreadable = MUTE
    switch(scene, "redfish").power = ON
    scene.run(200)

    assert scene.status() == "booting"
    assert scene.commands(switch="ipmi").count("off") == 1


def test_a_supply_that_is_found_on_beside_one_that_is_switched_on_was_on_before() -> None:
    feeds = (agent("a", switches=Switches.FEED), agent("b", switches=Switches.FEED))
    scene = up(*feeds, boot_timeout_s=600.0)
    scene.kill()
    switch(scene, "b").power = OFF
    power(scene, Action.ON)
    scene.run(60)

    assert scene.commands(switch="b")[0] == "on"
    assert "off" in scene.commands(switch="a")


# what may not block a fencing ---------------------------------------------------------------


def test_a_persons_restart_that_cannot_end_its_restoring_gives_way_to_fencing() -> None:
    scene = up(*BOTH)
    switch(scene).stuck = {FenceAction.OFF}
    power(scene, Action.RESTART)
    scene.run(0.5)
    switch(scene).unreadable = switch(scene, "pdu").unreadable = MUTE
    scene.until("fence.restoring")
    switch(scene, "pdu").unreadable = None
    scene.run(300)
    scene.kill()
    scene.run(300)

    assert scene.commands(switch="pdu")[:2] == ["off", "on"]


def test_a_chassis_that_cannot_be_read_any_more_is_left_to_its_feeds() -> None:
    scene = up(agent("bmc"), agent("pdu", order=2, switches=Switches.FEED))
    scene.kill()
    switch(scene).stuck = {FenceAction.OFF}
    switch(scene, "pdu").alone = True
    scene.until("fence.intended")
    scene.run(0.5)
    switch(scene).unreadable = MUTE
    scene.until("fence.closed")

    assert scene.outcomes() == ["degraded"]
    assert scene.memories["node7"].missing == ("bmc.mgmt:/",)
    scene.run(3600)
    assert len(scene.commands(switch="pdu")) > 2


def test_a_host_whose_heartbeat_takes_long_is_fenced_by_its_secondary() -> None:
    probe = Probe(type=ProbeType.TCP, address="10.0.0.7", port=22)
    beat = Heartbeat(probes=(probe,), interval_s=60.0, timeout_s=45.0)
    scene = up(*BOTH, heartbeat=beat, grace=Grace(period_s=180.0, failures=3))
    scene.probe_s = 45.0
    scene.kill()
    switch(scene).stuck = {FenceAction.OFF}
    scene.run(1200)

    assert scene.commands(switch="pdu")[:2] == ["off", "on"]


def test_what_others_do_not_say_in_time_is_no_fault_of_our_own() -> None:
    scene = up(*BOTH)
    scene.kill()
    switch(scene).stuck = {FenceAction.OFF}
    scene.until("fence.intended")
    scene.witness_s = 600.0
    scene.until("fence.restoring")

    assert scene.commands(switch="pdu") == []
    [told] = scene.fields("fence.restoring")
    assert told["reason"] == "nobody else said in time whether they reach it"


def test_an_off_that_a_renamed_host_waits_for_after_a_crash_is_given_up() -> None:
    node = host("node7", agent())
    before = Scene(node, OTHER)
    before.run(10)
    before.kill()
    before.boots = False
    switch(before).stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.run(0.5)
    scene = Scene(node, OTHER, after=before, at=before.now + 2)
    scene.boots = False
    scene.run(6)
    scene.load(replace(node, name="node9"), OTHER)
    scene.run(600)

    assert scene.outcomes() == ["cancelled"]


def test_nobody_switches_on_what_the_operation_of_a_renamed_host_switches_off() -> None:
    patient = replace(RULES, fencing=replace(FENCING, off_status_retries=60))
    old = host("node7", agent("bmc", address="x.mgmt"))
    new: Host = replace(old, name="node9")
    scene = Scene(new, OTHER, rules=patient)
    scene.run(10)
    outlet = scene.switches["node7", "bmc"] = scene.switches["node9", "bmc"]
    scene.alive["node7"] = False
    scene.boots = False
    power(scene, Action.RESTART, "node9")
    scene.until("fence.on_proven")
    scene.run(1)
    scene.load(old, OTHER)
    scene.run(3)
    outlet.late_s = 3.0
    power(scene, Action.OFF, "node7")
    scene.run(1)
    scene.load(new, OTHER)
    scene.probe_s = 60.0  # the heartbeat after its first off takes its time
    scene.run(40)

    assert [str(action) for _, action in outlet.commands] == ["off", "on", "off"]


# a person's word ----------------------------------------------------------------------------


def test_a_kept_off_host_that_answers_a_persons_restart_is_watched_again() -> None:
    scene = up(agent())
    power(scene, Action.OFF)
    scene.run(10)
    scene.boots = True
    power(scene, Action.RESTART)
    scene.until("fence.intended")
    scene.run(0.15)
    switch(scene).unreadable = MUTE
    scene.run(120)

    assert scene.outcomes()[-1] == "recovered"
    assert scene.status() == "up"


def test_a_cancel_is_obeyed_though_the_operation_was_given_up_for_a_fault_of_our_own() -> None:
    scene = up(*BOTH)
    scene.kill()
    switch(scene).stuck = {FenceAction.OFF}
    scene.until("fence.intended")
    scene.run(0.2)
    scene.faulty = True
    scene.until("fence.restoring")
    switch(scene).power, switch(scene).stuck, scene.faulty = OFF, {FenceAction.ON}, False
    scene.run(3)
    scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann"))
    scene.run(3)

    assert scene.memories["node7"].kept_off
    assert scene.memories["node7"].given_up == ("bmc.mgmt:/",)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_local_fault_is_no_silence_when_a_person_vouches_for_an_off(*, lasting: bool) -> None:
    scene = up(agent())
    scene.put(HeartbeatsHeard(unheard=(Unheard("node7", "dns"),)))
    switch(scene).unreadable = MUTE
    scene.faulty, scene.hears = True, False
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="unplugged"))
    scene.run(5)
    assert 77 not in scene.answers

    scene.faulty = lasting
    scene.run(40)

    taken = isinstance(scene.answers[77], Accepted)
    assert taken == lasting  # nothing but an answer stands against a word, and it had its time


def test_a_supply_that_a_person_gave_up_is_left_alone_by_fencing() -> None:
    before = up(agent("a"), agent("b", order=2))
    memory = before.memories["node7"]
    before.memories["node7"] = replace(memory, missing=("b.mgmt:/",), given_up=("b.mgmt:/",))
    switch(before, "b").power = OFF
    node = host("node7", agent("a"), agent("b", order=2))
    scene = Scene(node, OTHER, after=before, at=before.now + 5)
    scene.run(60)
    switch(scene, "a").alone = True
    scene.kill()
    scene.run(60)

    assert scene.commands(switch="a") == ["off", "on"]
    assert scene.commands(switch="b") == []


def test_a_command_does_not_join_an_operation_that_only_restores() -> None:
    scene = up(*BOTH)
    switch(scene).stuck = {FenceAction.OFF}
    switch(scene, "pdu").unreadable = MUTE
    power(scene, Action.RESTART)
    scene.until("fence.restoring")
    refused = power(scene, Action.RESTART)

    assert isinstance(refused, Refused)
    assert refused.type == "host-busy"


# an off that is on its way ------------------------------------------------------------------


def on_its_way() -> Scene:
    scene = up(agent())
    switch(scene).took_s = 20.0
    scene.kill()
    scene.until("fence.intended")
    return scene


def recalled(scene: Scene) -> bool:
    return any(isinstance(order, Recall) for order in scene.orders)


def test_an_off_that_nothing_forbids_is_not_recalled() -> None:
    scene = on_its_way()
    scene.run(3)

    assert not recalled(scene)


def test_an_off_that_no_agent_was_told_yet_is_recalled_by_a_pause() -> None:
    scene = on_its_way()
    scene.pause()
    scene.run(1)

    assert recalled(scene)


def test_an_off_that_no_agent_was_told_yet_is_recalled_by_an_answer_that_a_reload_forgets() -> None:
    scene = on_its_way()
    scene.alive["node7"] = True
    scene.put(HeartbeatsHeard((Heard("node7", scene.now),)))
    scene.run(1)

    assert recalled(scene)


def test_an_off_that_no_agent_was_told_yet_is_recalled_when_its_host_leaves() -> None:
    scene = on_its_way()
    scene.load(OTHER)
    scene.run(1)

    assert recalled(scene)


def test_an_off_is_carried_to_its_end_though_the_journal_cannot_be_written_any_more() -> None:
    scene = on_its_way()
    scene.put(JournalFailed(frozenset(), "disk full"))
    scene.run(1)

    assert not recalled(scene)
