"""Behaviour 7: every open operation is continued from its last journalled step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.events import (
    AgentReplied,
    CancelRequested,
    HostProbed,
    InventoryLoaded,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import (
    Action,
    AgentResult,
    Cause,
    FenceAction,
    Outcome,
    PowerStatus,
    ProbeResult,
    Reply,
)
from pmwatchd.core.orders import (
    Accepted,
    HoldDevice,
    ProbeHost,
    Record,
    Refused,
    RunAgent,
    SaveHost,
    SaveOperation,
)
from pmwatchd.core.resume import resume
from tests.core.scene import FENCING, RULES, SAFETY, WALL, Scene, agent, host, ruled

NODE = host("node7", agent())


def killed_when(scene: Scene, told: str) -> Scene:
    """The daemon dies right after something was journalled, and is started again a minute later."""
    scene.until(told)
    return Scene(*scene.hosts.values(), rules=scene.rules, after=scene, at=scene.now + 60.0)


def dying(*agents: object, **more: object) -> Scene:
    scene = Scene(host("node7", *(agents or (agent(),))), **more)  # type: ignore[arg-type]
    scene.run(10)
    scene.kill()
    return scene


def test_killed_between_off_and_on_the_host_is_powered_on_and_no_second_off_is_sent() -> None:
    scene = killed_when(dying(), "fence.off_proven")
    assert scene.status() == "off"
    scene.run(120)

    assert scene.commands() == ["off", "on", "on"]  # an intent of on without result: on again
    assert scene.switches["node7", "bmc"].power is PowerStatus.ON
    assert scene.outcomes() == ["done"]
    assert scene.status() == "up"


def test_killed_after_off_was_read_the_first_time_the_off_is_proven_anew() -> None:
    before = dying()
    before.until("fence.intended")
    before.run(0.35)
    scene = Scene(NODE, after=before, at=before.now + 5.0)
    scene.run(150)

    assert scene.commands() == ["off", "on"]
    assert scene.events("fence.o")[:2] == ["fence.off_proven", "fence.on_proven"]


def test_an_intent_without_result_blocks_its_device_for_a_full_execution_time() -> None:
    scene = killed_when(dying(), "fence.intended")
    started_at = scene.now
    scene.run(FENCING.over_s(FenceAction.OFF) - 0.1)
    assert not [order for order in scene.orders if isinstance(order, RunAgent)]
    assert scene.status() == "powering_off"
    scene.run(0.2)

    assert [order.action for order in scene.orders if isinstance(order, RunAgent)] == ["status"]
    assert scene.now - started_at >= FENCING.over_s(FenceAction.OFF)


def test_the_block_lasts_as_long_as_the_former_start_allowed_its_executions() -> None:
    patient = replace(RULES, fencing=replace(FENCING, agent_timeout_s=120.0))
    before = dying(rules=patient)
    before.until("fence.intended")
    scene = Scene(NODE, after=before, at=before.now + 1.0)
    holds = [order for order in scene.orders if isinstance(order, HoldDevice)]
    assert [(hold.device, hold.for_s) for hold in holds] == [
        ("bmc.mgmt:", 20.0),
        ("bmc.mgmt:", 130.0),
    ]
    scene.run(129)

    assert not [order for order in scene.orders if isinstance(order, RunAgent)]


def test_the_device_of_a_host_that_the_inventory_lacks_is_held_as_long() -> None:
    before = dying()
    before.until("fence.intended")
    scene = Scene(host("node8", agent()), after=before, at=before.now + 1.0)
    holds = {order.for_s for order in scene.orders if isinstance(order, HoldDevice)}

    assert holds == {20.0, FENCING.over_s(FenceAction.OFF)}


def test_a_reload_does_not_shorten_what_was_journalled_of_a_command_on_its_way() -> None:
    before = dying(agent("a"), agent("b"))
    before.switches["node7", "b"].took_s = 30.0
    before.until("fence.intended")
    hasty = replace(RULES, fencing=replace(FENCING, agent_timeout_s=3.0, kill_after_s=1.0))
    before.load(*before.hosts.values(), rules=hasty)
    before.run(5)  # the other one ends, which is journalled
    scene = Scene(*before.hosts.values(), rules=hasty, after=before, at=before.now + 1.0)
    holds = {(o.device, o.for_s) for o in scene.orders if isinstance(o, HoldDevice)}

    assert ("b.mgmt:", FENCING.over_s(FenceAction.OFF)) in holds


def test_a_second_crash_still_waits_for_what_the_first_one_left_running() -> None:
    before = dying(agent("a"), agent("b"))
    before.until("fence.intended")
    before.alive["node7"] = True
    second = Scene(*before.hosts.values(), after=before, at=before.now + 1.0)
    second.run(5)  # meanwhile the host answers, which is journalled
    scene = Scene(*before.hosts.values(), after=second, at=second.now + 1.0)
    holds = {(o.device, o.for_s) for o in scene.orders if isinstance(o, HoldDevice)}
    over_s = FENCING.over_s(FenceAction.OFF)
    assert holds >= {("a.mgmt:", over_s), ("b.mgmt:", over_s)}
    scene.run(over_s - 0.1)

    assert not [order for order in scene.orders if isinstance(order, RunAgent)]


def test_an_operation_is_continued_when_its_agents_are_back_in_the_inventory() -> None:
    before = dying()
    before.until("fence.off_proven")
    scene = Scene(host("node7"), after=before, at=before.now + 60.0)
    scene.run(10)
    assert [alert.name for alert in scene.fleet.alerts()] == ["left_off"]
    scene.load(NODE)
    scene.run(100)

    assert scene.events("fence.continued", "fence.closed") == ["fence.continued", "fence.closed"]
    assert scene.switches["node7", "bmc"].power is PowerStatus.ON


def test_no_second_operation_is_opened_beside_one_whose_agents_are_back() -> None:
    before = dying()
    before.until("fence.off_proven")
    before.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene = Scene(host("node7"), after=before, at=before.now + 60.0)
    scene.run(400)
    assert scene.status() == "non_responsive"
    scene.load(NODE)
    scene.run(1)

    assert "fence.continued" in scene.events()
    assert set(scene.saved) == {"op_1_1"}


def left_without_agents() -> Scene:
    """An operation is open, and the inventory has no agent for its host any more."""
    before = dying()
    before.until("fence.off_proven")
    scene = Scene(host("node7"), after=before, at=before.now + 60.0)
    scene.run(10)
    return scene


@pytest.mark.parametrize(
    "word",
    [
        VouchRequested(request=1, host="node7", by="ann", reason="cable is out"),
        PowerRequested(request=1, host="node7", by="ann", action=Action.ON),
    ],
)
def test_nothing_is_begun_beside_an_operation_that_waits_for_its_agents(word: PersonEvent) -> None:
    scene = left_without_agents()
    scene.put(word)
    refused = scene.answers[1]

    assert isinstance(refused, Refused)
    assert (refused.type, refused.operation) == ("host-busy", "op_1_1")
    assert set(scene.saved) == {"op_1_1"}


def test_a_person_may_give_up_an_operation_that_no_agent_can_carry_on() -> None:
    scene = left_without_agents()
    scene.put(CancelRequested(request=1, host="node7", by="ann", reason="scrapped"))

    assert scene.answers[1] == Accepted(operation="op_1_1")
    assert scene.saved["op_1_1"].outcome is Outcome.CANCELLED
    assert scene.fleet.alerts() == ()
    assert "left_off" in scene.alerts()


def test_a_host_that_answers_is_not_left_off_by_giving_up_its_operation() -> None:
    scene = left_without_agents()
    scene.alive["node7"] = True
    scene.run(10)
    scene.put(CancelRequested(request=1, host="node7", by="ann", reason="it is up"))

    assert scene.saved["op_1_1"].outcome is Outcome.CANCELLED
    assert "left_off" not in scene.alerts()
    assert scene.status() == "up"


def test_what_was_switched_off_is_brought_back_by_agents_of_another_name() -> None:
    before = dying()
    before.until("fence.off_proven")
    renamed = replace(NODE.power_management.agents[0], name="ilo")
    after = replace(NODE, power_management=replace(NODE.power_management, agents=(renamed,)))
    before.switches["node7", "ilo"] = before.switches["node7", "bmc"]
    scene = Scene(after, after=before, at=before.now + 60.0)
    scene.run(60)

    assert scene.commands(switch="ilo") == ["off", "on", "on"]
    assert scene.outcomes() == ["done"]


def test_what_no_agent_switches_now_is_remembered_until_one_does() -> None:
    before = dying(agent("bmc"), agent("pdu", order=2))
    before.until("fence.off_proven")
    scene = Scene(host("node7", agent("pdu", order=2)), after=before, at=before.now + 60.0)
    scene.until("fence.closed")
    assert scene.memories["node7"].missing == ("bmc.mgmt:/",)
    scene.load(host("node7", agent("bmc"), agent("pdu", order=2)))
    scene.run(100)

    assert scene.switches["node7", "bmc"].power is PowerStatus.ON
    assert not scene.memories["node7"].missing


def test_restoring_ends_when_no_agent_switches_what_was_switched_off_and_nothing_is_forgotten() -> (
    None
):
    before = dying(agent("a"), agent("b"))
    before.boots = False
    before.switches["node7", "a"].stuck = {FenceAction.ON}
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    before.until("fence.restoring")
    scene = Scene(host("node7", agent("new")), after=before, at=before.now + 1.0)
    scene.until("fence.closed")

    assert scene.outcomes() == ["failed"]
    assert scene.memories["node7"].missing == ("a.mgmt:/", "b.mgmt:/")


def test_a_long_pursuit_of_on_is_continued_with_the_longest_pause() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.ON}
    before.until("fence.on_failed")
    saved = before.saved["op_1_1"]
    before.saved["op_1_1"] = replace(saved, document={**saved.document, "retries": 2000})
    scene = Scene(NODE, after=before, at=before.now + 1.0)
    scene.until("fence.on_failed")
    failed_at = scene.now
    scene.until("fence.intended")

    assert scene.now - failed_at >= FENCING.retry_max_s


def test_what_is_no_number_of_seconds_blocks_nothing() -> None:
    saved = SaveOperation(
        id="op_1_1",
        host="node7",
        action=Action.RESTART,
        cause=Cause.AUTOMATIC,
        reason="",
        by="",
        outcome=None,
        document={"outstanding": {"bmc": {"over_s": "soon"}}},
    )

    assert resume(saved, NODE, 5.0).until_at == 5.0


def test_a_host_found_on_and_answering_after_the_restart_is_left_alone() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.alive["node7"] = True
    scene = Scene(NODE, after=before, at=before.now + 5.0)
    scene.run(120)

    assert scene.commands() == ["off"]
    assert scene.outcomes() == ["recovered"]


def test_a_host_found_on_and_silent_gets_a_full_grace_since_this_start_before_another_off() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.switches["node7", "bmc"].stuck = set()
    rules = replace(RULES, fencing=replace(FENCING, agent_timeout_s=1.0, kill_after_s=1.0))
    scene = Scene(NODE, rules=rules, after=before, at=before.now + 5.0)
    started_at = scene.now
    scene.run(120)
    offs = [at for at, action in scene.switches["node7", "bmc"].commands if action == "off"]

    assert len(offs) == 2
    assert offs[1] - started_at >= NODE.grace.period_s
    assert scene.outcomes() == ["done"]


def test_all_holds_apply_to_a_continued_off_and_it_waits_for_their_end() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.switches["node7", "bmc"].stuck = set()
    rules = replace(RULES, safety=replace(SAFETY, startup_hold_s=200.0))
    scene = Scene(NODE, rules=rules, after=before, at=before.now + 5)
    scene.run(199)
    assert scene.commands() == ["off"]
    scene.run(60)

    assert scene.commands() == ["off", "off", "on"]


def continued(*, hears: bool = True, **rules: object) -> Scene:
    """One of two hosts was about to be switched off when the daemon died; there is one slot."""
    nodes = [host(name, agent(address=f"{name}.mgmt")) for name in ("node7", "node8", "node9")]
    narrow = ruled(max_concurrent=1, witnesses=0)
    before = Scene(*nodes, rules=narrow)
    before.run(10)
    before.kill()
    before.until("fence.opened")
    kind = Scene if hears else Deaf
    scene = kind(*nodes, rules=ruled(max_concurrent=1, witnesses=0, **rules), after=before, at=2e3)
    scene.run(10)
    scene.kill("node8")
    return scene


class Deaf(Scene):
    """No heartbeat can be sent to ``node7``: its name is not known here any more."""

    def _beat(self) -> None:
        hosts = self.hosts
        self.hosts = {name: one for name, one in hosts.items() if name != "node7"}
        super()._beat()
        self.hosts = hosts

    def _probed(self, order: ProbeHost) -> None:
        if order.host.name != "node7":
            super()._probed(order)
            return
        fault = ProbeResult.LOCAL_FAULT
        self.put(HostProbed("node7", order.operation, order.turn, fault))


def test_a_continued_off_that_waits_takes_no_turn_of_another() -> None:
    scene = continued(startup_hold_s=300.0)
    scene.run(120)

    assert scene.status("node7") == "powering_off"
    assert scene.commands("node7") == []
    assert scene.commands("node8") == ["off", "on"]


def test_a_continued_off_waits_for_its_turn_once_it_may_go_on() -> None:
    scene = continued(startup_hold_s=60.0)
    scene.switches["node8", "bmc"].took_s = 30.0
    scene.run(70)
    assert scene.status("node8") == "powering_off"
    assert scene.holds("node7") == ["budget"]
    assert scene.commands("node7") == []
    scene.run(300)

    assert "off" in scene.commands("node7")


def test_a_continued_off_to_a_host_that_cannot_be_asked_for_long_is_given_up() -> None:
    scene = continued(hears=False)
    scene.run(120)

    assert "cancelled" in scene.outcomes()
    assert scene.status("node7") == "connecting"


def halfway() -> Scene:
    """Killed after one of two supplies went off; the other one had not been told yet."""
    before = dying(agent("a"), agent("b"))
    before.boots = False
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene = killed_when(before, "fence.intended")
    scene.boots = False
    scene.run(FENCING.over_s(FenceAction.OFF) - 1)
    return scene


def test_a_continued_off_that_a_maintenance_stops_brings_back_what_is_off() -> None:
    scene = halfway()
    asked = MaintenanceRequested(request=1, host="node7", by="ann", reason="disk")
    scene.put(asked)
    scene.run(60)

    assert scene.outcomes() == ["cancelled"]
    assert scene.switches["node7", "a"].power is PowerStatus.ON


def test_a_continued_off_of_a_host_that_became_unknown_brings_back_what_is_off() -> None:
    scene = halfway()
    moved = replace(scene.hosts["node7"], address="10.0.9.9")
    scene.load(moved)
    scene.run(60)

    assert scene.outcomes() == ["cancelled"]
    assert scene.switches["node7", "a"].power is PowerStatus.ON


def test_the_last_look_asks_a_host_where_it_is_known_now() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    scene = Scene(replace(NODE, address="10.9.9.9"), after=before, at=before.now + 5.0)
    scene.run(5)
    scene.load(NODE)
    scene.run(120)
    asked = {order.host.address for order in scene.orders if isinstance(order, ProbeHost)}

    assert asked == {NODE.address}


def test_a_restoring_operation_goes_on_restoring() -> None:
    before = dying(agent("a"), agent("b"))
    before.boots = False
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene = killed_when(before, "fence.restoring")
    scene.boots = False
    scene.until("fence.closed")

    assert scene.commands(switch="a")[0] == "off"
    assert scene.switches["node7", "a"].power is PowerStatus.ON
    assert scene.outcomes() == ["failed"]


def test_restoring_goes_on_with_agents_of_another_name() -> None:
    before = dying(agent("a"), agent("b"))
    before.switches["node7", "a"].stuck = {FenceAction.ON}
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    before.until("fence.restoring")
    for old, new in (("a", "left"), ("b", "right")):
        before.switches["node7", new] = before.switches["node7", old]
    before.switches["node7", "left"].stuck = set()
    renamed = agent("left", address="a.mgmt"), agent("right", address="b.mgmt")
    scene = Scene(host("node7", *renamed), after=before, at=before.now + 60.0)
    scene.until("fence.closed")

    assert scene.outcomes() == ["failed"]
    assert scene.switches["node7", "left"].power is PowerStatus.ON


def test_restoring_goes_on_without_the_metadata_that_told_the_port_of_an_agent() -> None:
    before = dying(agent("a", default_ipport=623), agent("b", default_ipport=623))
    before.boots = False
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    before.switches["node7", "b"].took_s = 3.0
    before.until("fence.intended")
    before.run(2)
    scene = Scene(host("node7", agent("a"), agent("b")), after=before, at=before.now + 1.0)
    scene.boots = False
    holds = {(o.device, o.for_s) for o in scene.orders if isinstance(o, HoldDevice)}
    assert ("b.mgmt:", FENCING.over_s(FenceAction.OFF)) in holds
    scene.until("fence.closed")

    assert scene.switches["node7", "a"].power is PowerStatus.ON


def test_a_partial_off_is_told_again_after_a_restart() -> None:
    before = dying(agent("a"), agent("b"))
    before.switches["node7", "a"].stuck = {FenceAction.ON}
    before.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene = killed_when(before, "fence.restoring")

    assert "partial_off" in scene.alerts()


def vouched() -> Scene:
    """A person has vouched for a host that no agent can switch on yet."""
    before = dying()
    before.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    before.until("fence.opened")
    before.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    return before


def test_an_off_that_a_person_vouched_for_is_not_claimed_again_after_a_restart() -> None:
    before = vouched()
    scene = killed_when(before, "fence.off_proven")
    scene.switches["node7", "bmc"].unreadable = None
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.run(60)

    assert "fence.off_proven" not in scene.events()
    assert scene.outcomes() == ["done"]


def test_a_persons_word_about_a_host_without_agents_takes_effect_after_a_crash() -> None:
    before = Scene(host("node7"))
    before.kill()
    before.run(60)
    before.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    before.until("fence.opened")
    scene = Scene(host("node7"), after=before, at=before.now + 1.0)
    scene.run(10)

    assert scene.outcomes() == ["done"]
    assert scene.status() == "maintenance"
    assert scene.fleet.alerts() == ()


def test_a_persons_word_is_void_when_the_host_answers_before_it_takes_effect() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene = Scene(NODE, after=before, at=before.now + 1.0)
    scene.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    scene.run(3)
    assert scene.answers[1] == Accepted(operation="op_1_1")
    scene.alive["node7"] = True
    scene.run(FENCING.over_s(FenceAction.OFF) + 10)

    assert "fence.off_proven" not in scene.events()


def word_given() -> Scene:
    """A person has vouched for a host without agents; the word has not taken effect yet."""
    before = Scene(host("node7"))
    before.run(10)
    before.kill()
    before.run(60)
    before.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    before.until("fence.opened")
    return before


def test_a_persons_word_is_void_when_the_host_answers_the_first_heartbeat_after_a_restart() -> None:
    before = word_given()
    before.alive["node7"] = True
    scene = Scene(host("node7"), after=before, at=before.now + 1.0)
    scene.run(10)

    assert scene.outcomes() == ["recovered"]
    assert "fence.off_proven" not in scene.events()
    assert scene.status() == "up"


def test_an_operation_whose_word_is_contradicted_while_it_listens_goes_on() -> None:
    before = dying()
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    vouching = Scene(NODE, after=before, at=before.now + 1.0)
    vouching.put(VouchRequested(request=1, host="node7", by="ann", reason="cable is out"))
    vouching.run(3)
    scene = Scene(NODE, after=vouching, at=vouching.now)
    scene.switches["node7", "bmc"].unreadable = None
    scene.probe_s = 2.0
    scene.run(FENCING.over_s(FenceAction.OFF) + 0.5)
    scene.put(StatusRequested(request=2, host="node7", by="bob"))
    scene.run(1)
    assert "fence.off_proven" not in scene.events()
    scene.switches["node7", "bmc"].stuck = set()
    scene.run(120)

    assert scene.outcomes() == ["done"]
    assert scene.commands()[-2:] == ["off", "on"]


def test_a_persons_word_does_not_wait_for_ever_for_a_heartbeat_that_cannot_be_sent() -> None:
    before = word_given()
    scene = Deaf(host("node7"), after=before, at=before.now + 1.0)
    scene.run(25)
    assert scene.outcomes() == []
    scene.run(10)

    assert scene.outcomes() == ["done"]


def test_killed_while_the_second_supply_is_awaited_it_is_awaited_on() -> None:
    before = dying(agent("a"), agent("b"))
    before.switches["node7", "b"].late_s = 3.0
    scene = killed_when(before, "fence.on_proven")
    assert scene.fields("fence.continued")[0]["phase"] == "proven on"
    scene.run(60)

    assert scene.outcomes() == ["done"]
    assert scene.switches["node7", "b"].power is PowerStatus.ON


def test_a_late_reply_from_before_the_end_of_a_stage_is_told_and_proves_nothing() -> None:
    scene = killed_when(dying(), "fence.intended")
    late = AgentReplied(
        "node7",
        "op_1_1",
        99,
        "bmc",
        FenceAction.STATUS,
        Reply(result=AgentResult.OK, power=PowerStatus.OFF),
    )
    told = scene.put(late)

    assert [order.event for order in told if isinstance(order, Record)] == ["fence.agent_executed"]
    assert scene.status() == "powering_off"


def test_a_persons_off_is_carried_to_its_end() -> None:
    before = Scene(NODE)
    before.run(10)
    ask = PowerRequested(request=1, host="node7", action=Action.OFF, by="ann", reason="dust")
    before.put(ask)
    scene = killed_when(before, "fence.intended")
    scene.run(120)

    assert scene.outcomes() == ["done"]
    assert scene.status() == "maintenance"


def restarting(*, alive: bool, moved: bool = False) -> Scene:
    """The daemon was killed when it had ordered the off of a person's restart."""
    before = Scene(NODE)
    before.run(10)
    before.put(PowerRequested(request=1, host="node7", action=Action.RESTART, by="ann"))
    before.until("fence.intended")
    before.alive["node7"] = alive
    before.boots = False
    node = replace(NODE, address="10.0.9.9") if moved else NODE
    return Scene(node, after=before, at=before.now + 60.0)


def test_a_persons_restart_ends_after_a_crash_when_the_host_answers_by_then() -> None:
    scene = restarting(alive=True)
    scene.run(120)

    assert scene.outcomes() == ["recovered"]
    assert scene.commands() == ["off"]


def test_a_persons_restart_goes_on_after_a_crash_when_the_host_is_silent_for_its_whole_grace() -> (
    None
):
    scene = restarting(alive=False)
    scene.put(MaintenanceRequested(request=2, host="node7", by="ann", reason="disk"))
    scene.until("fence.intended")
    silent_s = scene.now - (scene.told[0][0])
    scene.run(60)

    assert silent_s >= NODE.grace.period_s
    assert scene.outcomes() == ["done"]
    assert scene.commands() == ["off", "off", "on"]


def test_a_persons_restart_of_a_host_that_became_unknown_waits_for_no_grace() -> None:
    scene = restarting(alive=False, moved=True)
    scene.until("fence.intended", limit_s=FENCING.over_s(FenceAction.OFF) + 2.0)

    assert scene.commands() == ["off", "off"]


def test_a_persons_on_is_carried_to_its_end() -> None:
    before = Scene(NODE)
    before.alive["node7"] = False
    before.switches["node7", "bmc"].power = PowerStatus.OFF
    before.put(PowerRequested(request=1, host="node7", action=Action.ON, by="ann"))
    scene = killed_when(before, "fence.intended")
    assert scene.status() == "powering_on"
    scene.run(60)

    assert "off" not in scene.commands()
    assert scene.status() == "up"


def test_a_person_may_give_up_the_operation_of_a_host_that_is_gone_for_good() -> None:
    before = dying()
    before.until("fence.off_proven")
    scene = Scene(host("node8", agent()), after=before, at=before.now + 60.0)
    scene.put(CancelRequested(request=1, host="node7", by="ann", reason="scrapped"))
    assert scene.answers[1] == Accepted(operation="op_1_1")
    assert scene.saved["op_1_1"].outcome is Outcome.CANCELLED
    assert scene.fleet.alerts() == ()
    memory = scene.memories["node7"]
    assert memory.missing == memory.given_up == ("bmc.mgmt:/",)


def test_an_operation_of_a_host_that_the_inventory_lacks_is_not_forgotten() -> None:
    before = dying()
    before.until("fence.off_proven")
    scene = Scene(host("node1"), after=before, at=before.now + 60.0)
    (alert,) = scene.fleet.alerts()
    assert alert.name == "left_off"
    assert "node7" in alert.reason
    scene.load(host("node1"), NODE)
    scene.run(120)

    assert scene.fleet.alerts() == ()
    assert scene.switches["node7", "bmc"].power is PowerStatus.ON


def test_booting_is_kept_and_runs_its_full_length_anew() -> None:
    before = dying()
    before.boots = False
    scene = killed_when(before, "fence.closed")
    scene.boots = False
    scene.run(59)
    assert scene.status() == "booting"
    scene.run(3)

    assert scene.status() == "connecting"


def test_quiet_time_is_kept_and_runs_its_full_length_anew() -> None:
    node = replace(NODE, boot_timeout_s=1.0)
    before = Scene(node, rules=replace(RULES, fencing=replace(FENCING, quiet_time_s=100.0)))
    before.run(10)
    before.kill()
    before.boots = False
    scene = killed_when(before, "fence.closed")
    scene.boots = False
    scene.run(98)
    assert scene.holds() == ["quiet_time"]
    scene.run(3)

    assert "fence.opened" in scene.events()


def test_maintenance_is_kept_and_ends_by_the_wall_clock() -> None:
    before = Scene(NODE)
    before.run(10)
    expires_at = WALL.replace(hour=1)  # one hour after the wall clock's zero
    asked = MaintenanceRequested(
        request=1, host="node7", by="ann", reason="disk", for_s=2600.0, expires_at=expires_at
    )
    before.put(asked)
    scene = Scene(NODE, after=before, at=3500.0)
    assert scene.status() == "maintenance"
    scene.run(101)

    assert scene.status() == "up"
    assert scene.fields("maintenance.ended")[0]["reason"] == "its time is over"


def test_the_end_of_a_maintenance_is_announced_after_a_restart() -> None:
    before = Scene(NODE)
    before.run(10)
    expires_at = WALL.replace(hour=1)
    asked = MaintenanceRequested(
        request=1, host="node7", by="ann", reason="disk", for_s=2600.0, expires_at=expires_at
    )
    before.put(asked)
    scene = Scene(NODE, after=before, at=before.now + 5)
    scene.until("maintenance.end_announced", limit_s=3000.0)
    announced_at = scene.now
    scene.until("maintenance.ended", limit_s=400.0)

    assert scene.now - announced_at == pytest.approx(300.0, abs=0.1)
    assert scene.events("maintenance") == ["maintenance.end_announced", "maintenance.ended"]


def test_a_host_that_was_left_off_says_so_after_a_restart() -> None:
    memory = SaveHost(host="node7", fingerprint=NODE.fingerprint, left_off=True)
    before = Scene(NODE)
    before.memories["node7"] = memory
    before.alive["node7"] = False
    scene = Scene(NODE, after=before)

    assert scene.alerts() == {"left_off"}


def test_a_known_host_is_not_unknown_after_a_restart_and_a_redefined_one_is() -> None:
    before = Scene(NODE)
    before.run(10)
    assert Scene(NODE, after=before).status() == "connecting"
    assert Scene(replace(NODE, address="10.0.9.9"), after=before).status() == "unknown"


def test_a_document_that_lacks_everything_is_read_as_nothing_done() -> None:
    saved = SaveOperation(
        id="op_1_1",
        host="node7",
        action=Action.RESTART,
        cause=Cause.AUTOMATIC,
        reason="",
        by="",
        outcome=None,
        document={},
    )
    operation = resume(saved, NODE, 5.0)

    assert operation.sent_off == frozenset()
    assert operation.proven_off_at is None
    assert operation.until_at == 5.0


def test_an_agent_that_the_inventory_has_lost_is_not_waited_for() -> None:
    document = {
        "switched": ["bmc.mgmt:/", "old:/3"],
        "restoring": Outcome.FAILED,
        "proven_on": True,
    }
    saved = SaveOperation(
        id="op_1_1",
        host="node7",
        action=Action.RESTART,
        cause=Cause.AUTOMATIC,
        reason="",
        by="",
        outcome=None,
        document=document,
    )
    operation = resume(saved, NODE, 5.0)

    assert operation.sent_off == {"bmc"}
    assert operation.restoring is Outcome.FAILED
    assert operation.proven_on_at == 5.0


def test_a_reload_does_not_disturb_an_operation() -> None:
    scene = dying()
    scene.until("fence.intended")
    scene.put(InventoryLoaded({}, scene.rules))
    assert scene.fleet.host("node7") is not None
    scene.run(30)

    assert scene.commands() == ["off", "on"]
    assert scene.fleet.host("node7") is None
