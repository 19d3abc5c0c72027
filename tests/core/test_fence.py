"""Behaviour 2 and 4: off, seen off, on, seen on; primary, secondary, concurrent."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from pmwatchd.core.events import (
    AgentReplied,
    Answered,
    DeadlineReached,
    HeartbeatsHeard,
    HostProbed,
    PowerRequested,
)
from pmwatchd.core.model import (
    Action,
    AgentResult,
    FenceAction,
    PowerManagement,
    PowerStatus,
    ProbeResult,
    ProxyResult,
    ProxySource,
    Reply,
    Try,
)
from pmwatchd.core.orders import ProbeHost, RunAgent, SaveOperation
from tests.core.scene import FENCING, RULES, Scene, Switch, agent, host

ON, OFF = PowerStatus.ON, PowerStatus.OFF


def dead(*agents_of_node7: object, **more: object) -> Scene:
    """A site with one host that has just begun to hang."""
    scene = Scene(host("node7", *agents_of_node7), **more)  # type: ignore[arg-type]
    scene.run(10)
    scene.kill()
    return scene


def power(scene: Scene, action: Action, name: str = "node7") -> object:
    return scene.ask(lambda n: PowerRequested(request=n, host=name, action=action, by="ann"))


def statuses(scene: Scene) -> int:
    return sum(
        isinstance(order, RunAgent) and order.action is FenceAction.STATUS for order in scene.orders
    )


# the straight line -------------------------------------------------------------------------


def test_a_dead_host_is_switched_off_seen_off_switched_on_and_comes_back() -> None:
    scene = dead(agent())
    scene.run(120)

    assert scene.commands() == ["off", "on"]
    assert scene.outcomes() == ["done"]
    assert scene.status() == "up"
    assert scene.events("watch", "fence.o", "fence.closed") == [
        "watch.answered",
        "watch.grace_began",
        "watch.non_responsive",
        "fence.opened",
        "fence.off_proven",
        "fence.on_proven",
        "fence.closed",
        "watch.answered",
    ]


def test_the_shown_status_follows_the_operation() -> None:
    scene = dead(agent())
    shown: list[str] = []
    for _ in range(1000):
        scene.run(0.1)
        if scene.status() not in shown[-1:]:
            shown.append(scene.status())

    line = ["up", "connecting", "non_responsive", "powering_off", "powering_on", "booting", "up"]
    assert shown == [word for word in line if word != "non_responsive"]


def test_an_intent_is_journalled_before_every_command() -> None:
    scene = dead(agent())
    scene.run(120)
    for index, order in enumerate(scene.orders):
        if isinstance(order, RunAgent):
            saved = [o for o in scene.orders[:index] if isinstance(o, SaveOperation)][-1]
            outstanding = saved.document["outstanding"]
            assert isinstance(outstanding, dict)
            assert outstanding["bmc"]["action"] == order.action


def test_off_is_read_twice_and_not_sooner_than_the_confirm_gap() -> None:
    scene = dead(agent())
    scene.run(120)
    offs = [
        (at, record.fields["power"])
        for at, record in scene.told
        if record.event == "fence.agent_executed" and record.fields.get("power") == "off"
    ]
    (proven_at,) = [at for at, record in scene.told if record.event == "fence.off_proven"]

    assert len(offs) == 2
    assert offs[1][0] - offs[0][0] >= FENCING.confirm_gap_s
    assert proven_at == offs[1][0]


def test_the_confirming_reading_waits_until_the_agent_has_settled() -> None:
    scene = dead(agent(settle_s=4.0))
    scene.run(120)
    off_at = scene.switches["node7", "bmc"].commands[0][0]
    (proven_at,) = [at for at, record in scene.told if record.event == "fence.off_proven"]

    assert proven_at - off_at >= 4.0
    assert scene.outcomes() == ["done"]


def test_a_device_that_switches_late_is_awaited() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].late_s = 6.0
    scene.run(120)

    assert scene.outcomes() == ["done"]
    assert scene.commands() == ["off", "on"]


def test_readings_follow_at_once_and_then_ever_more_slowly() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.run(60)
    reads = [at for at, record in scene.told if record.fields.get("power")]
    pauses = [round(b - a - 0.1, 3) for a, b in itertools.pairwise(reads[1:])]

    assert pauses[:5] == [0.5, 1.0, 2.0, 2.0, 2.0]


def test_a_lost_reading_never_ends_the_wait() -> None:
    scene = dead(agent())
    switch = scene.switches["node7", "bmc"]
    scene.until("fence.intended")
    switch.unreadable = AgentResult.ERROR
    scene.run(4)
    assert "fence.off_proven" not in scene.events()
    switch.unreadable = None
    scene.run(90)

    assert scene.outcomes() == ["done"]


def test_an_answer_to_an_older_turn_proves_nothing() -> None:
    scene = dead(agent())
    scene.until("fence.intended")
    (order,) = [o for o in scene.orders if isinstance(o, RunAgent) and o.action is FenceAction.OFF]
    stale = AgentReplied(
        "node7",
        order.operation,
        1,
        "bmc",
        FenceAction.STATUS,
        Reply(result=AgentResult.OK, power=OFF),
    )
    scene.put(stale)
    scene.put(stale)

    assert "fence.off_proven" not in scene.events()


# last look ---------------------------------------------------------------------------------


def test_a_host_that_answers_the_last_look_is_left_alone() -> None:
    scene = dead(agent())
    scene.until("fence.opened")
    scene.alive["node7"] = True
    scene.run(60)

    assert scene.commands() == []
    assert scene.outcomes() == ["recovered"]
    assert scene.alerts() == set()


def test_every_off_has_a_last_look_of_its_own() -> None:
    scene = dead(agent(), rules=replace(RULES, fencing=replace(FENCING, off_attempts=3)))
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.run(60)
    acts = [
        "look" if isinstance(order, ProbeHost) else "off"
        for order in scene.orders
        if isinstance(order, ProbeHost)
        or (isinstance(order, RunAgent) and order.action is FenceAction.OFF)
    ]

    assert acts[:6] == ["look", "off"] * 3
    assert all(pair == ("look", "off") for pair in zip(acts[::2], acts[1::2], strict=False))


def test_a_host_that_answers_between_two_attempts_gets_its_power_restored() -> None:
    rules = replace(RULES, fencing=replace(FENCING, off_attempts=2))
    scene = dead(agent(), rules=rules)
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.run(25)
    assert scene.commands() == ["off"]
    scene.alive["node7"] = True
    scene.run(60)

    assert scene.commands() == ["off"]
    assert scene.outcomes() == ["recovered"]
    assert scene.status() == "up"


def test_an_off_that_came_too_late_after_its_last_look_needs_another_one() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].withdraw = 2
    scene.run(60)

    looks = [order for order in scene.orders if isinstance(order, ProbeHost)][:-1]  # one doubt
    assert len(looks) == 3
    assert scene.outcomes() == ["done"]


def test_an_off_that_was_withdrawn_leaves_nothing_to_restore() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].withdraw = 1
    scene.until("fence.intended")
    scene.alive["node7"] = True
    scene.run(60)

    assert scene.outcomes() == ["recovered"]
    assert "fence.restoring" not in scene.events()


def test_an_off_that_one_proxy_carried_out_and_the_next_one_withdrew_is_brought_back() -> None:
    scene = dead(agent("a"), agent("b"))
    ordinary = scene._reply

    def reply(order: RunAgent, switch: Switch) -> Reply:
        if order.action is not FenceAction.OFF:
            return ordinary(order, switch)
        tries: tuple[Try, ...] = ()
        if order.agent.name == "a":  # its session dropped after the outlet had switched
            switch.power = OFF
            ok = ProxyResult.OK
            tries = (Try(proxy="p1", source=ProxySource.DC, result=ok, answer=AgentResult.ERROR),)
        return Reply(result=AgentResult.WITHDRAWN, tries=tries)

    scene._reply = reply  # type: ignore[method-assign]
    scene.until("fence.intended")
    scene.alive["node7"] = True
    scene.until("fence.closed")

    assert scene.fields("fence.restoring")[0]["agents"] == ("a",)
    assert scene.switches["node7", "a"].power is ON


def test_a_last_look_of_an_older_turn_permits_nothing() -> None:
    scene = dead(agent())
    scene.until("fence.agent_executed")
    (look,) = [order for order in scene.orders if isinstance(order, ProbeHost)]
    stale = HostProbed("node7", look.operation, look.turn - 1, ProbeResult.SILENT)
    scene.put(stale)

    assert scene.commands() == []


def test_time_alone_permits_nothing_while_the_last_look_is_awaited() -> None:
    scene = dead(agent())
    scene.until("fence.agent_executed")
    scene.put(DeadlineReached())

    assert scene.commands() == []


def test_an_answer_from_before_the_proven_off_does_not_end_the_pursuit_of_on() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    scene.put(HeartbeatsHeard((Answered("node7", at=scene.now - 100.0),)))

    assert scene.outcomes() == []


# primary and secondary ---------------------------------------------------------------------


def pair() -> tuple[object, object]:
    return agent("bmc", order=1), agent("pdu", order=2)


def test_the_secondary_is_tried_when_the_primary_cannot_be_read_and_no_off_is_sent_there() -> None:
    scene = dead(*pair())
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.run(120)

    assert scene.commands(switch="bmc") == []
    assert scene.commands(switch="pdu") == ["off", "on"]
    assert scene.outcomes() == ["done"]


def test_the_secondary_is_tried_when_the_primary_fails() -> None:
    scene = dead(*pair())
    scene.switches["node7", "bmc"].result = AgentResult.ERROR
    scene.run(120)

    assert scene.commands(switch="bmc")[:1] == ["off"]
    assert scene.commands(switch="pdu") == ["off", "on"]
    assert scene.status() == "up"


def test_every_agent_that_was_sent_off_is_switched_on_again() -> None:
    scene = dead(*pair())
    scene.switches["node7", "bmc"].late_s = 10.5  # it switches when its budget is over
    scene.run(100)

    assert scene.commands(switch="pdu") == ["off", "on"]
    assert scene.commands(switch="bmc") == ["off", "on", "on"]  # as late as the off
    assert scene.switches["node7", "bmc"].power is ON
    assert scene.outcomes() == ["done"]


def test_when_no_group_is_proven_off_power_is_restored_and_the_operation_fails() -> None:
    scene = dead(agent("a"), agent("b"))
    scene.boots = False
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.until("fence.closed")

    assert scene.commands(switch="a") == ["off", "on"]
    assert scene.outcomes() == ["failed"]
    assert "fence.off_proven" not in scene.events()
    assert scene.status() == "failed"
    assert scene.alerts() == {"unfenced"}


def test_a_partial_off_is_told_while_it_lasts() -> None:
    scene = dead(agent("a"), agent("b"))
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.run(40)
    told = [(e["alert"]) for e in scene.fields("alert.raised")]

    assert "partial_off" in told
    assert {"alert": "partial_off"} in scene.fields("alert.cleared")


def test_an_unreadable_last_group_is_asked_again_until_its_budget_ends() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.run(25)
    assert scene.outcomes() == []
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(90)

    assert scene.outcomes() == ["done"]


def test_a_status_that_stays_unreadable_fails_the_operation_without_any_off() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.run(35)

    assert scene.commands() == []
    assert scene.outcomes() == ["failed"]


def test_a_wrong_password_is_not_tried_again_at_once() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].unreadable = AgentResult.AUTH_ERROR
    scene.run(21)

    assert statuses(scene) == 1
    assert scene.outcomes() == ["failed"]


# concurrent --------------------------------------------------------------------------------


def both() -> tuple[object, object]:
    return agent("a"), agent("b")


def test_a_concurrent_group_is_off_only_when_all_are_off_at_the_same_time() -> None:
    scene = dead(*both())
    scene.switches["node7", "b"].late_s = 3.0
    scene.run(120)
    (proven_at,) = [at for at, record in scene.told if record.event == "fence.off_proven"]
    offs = [at for at, _ in (scene.switches["node7", name].commands[0] for name in "ab")]
    ons = [at for at, _ in (scene.switches["node7", name].commands[1] for name in "ab")]

    assert offs[0] == offs[1]
    assert proven_at >= offs[0] + 3.0
    assert min(ons) >= proven_at
    assert scene.outcomes() == ["done"]


def test_a_supply_that_comes_back_before_the_final_reading_is_not_off() -> None:
    scene = dead(*both())
    scene.boots = False
    scene.switches["node7", "b"].late_s = 3.0
    scene.until("fence.intended")
    scene.run(2.5)
    scene.switches["node7", "a"].power = ON  # somebody pressed its button
    scene.until("fence.closed")

    assert "fence.off_proven" not in scene.events()
    assert scene.outcomes() == ["failed"]


def test_one_supply_that_is_on_makes_the_host_on_and_the_other_is_carried_to_its_end() -> None:
    scene = dead(*both())
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.run(50)
    (proven,) = [at for at, record in scene.told if record.event == "fence.on_proven"]
    (closed,) = [at for at, record in scene.told if record.event == "fence.closed"]

    assert closed - proven >= FENCING.budget_s(FenceAction.ON)
    assert scene.outcomes() == ["degraded"]
    assert scene.alerts() == {"degraded_power"}
    assert scene.status() == "up"


def test_a_member_found_off_needs_no_command_but_counts_in_the_final_reading() -> None:
    scene = dead(*both())
    scene.switches["node7", "a"].power = OFF
    scene.run(120)

    assert scene.commands(switch="a") == ["on"]
    assert scene.commands(switch="b") == ["off", "on"]
    assert scene.outcomes() == ["done"]


# found off ---------------------------------------------------------------------------------


def test_a_host_found_off_is_read_twice_and_powered_on() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].power = OFF
    scene.run(90)

    assert scene.commands() == ["on"]
    assert scene.fields("fence.off_proven")[0]["found"] is True
    assert scene.outcomes() == ["done"]


def test_a_host_found_off_stays_off_where_that_is_wanted() -> None:
    rules = replace(RULES, fencing=replace(FENCING, on_if_found_off=False))
    scene = dead(agent(), rules=rules)
    scene.switches["node7", "bmc"].power = OFF
    scene.run(40)

    assert scene.commands() == []
    assert scene.outcomes() == ["done"]


def test_a_host_found_off_that_is_on_at_the_second_reading_is_looked_at_again() -> None:
    scene = dead(agent())
    switch = scene.switches["node7", "bmc"]
    switch.power = OFF
    scene.until("fence.agent_executed")
    switch.power = ON
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_a_second_reading_that_is_lost_is_made_again() -> None:
    scene = dead(agent())
    switch = scene.switches["node7", "bmc"]
    switch.power = OFF
    scene.until("fence.agent_executed")
    switch.unreadable = AgentResult.GARBAGE
    scene.run(3)
    assert "fence.off_proven" not in scene.events()
    switch.unreadable = None
    scene.run(60)

    assert scene.commands() == ["on"]


def test_a_second_reading_that_never_comes_proves_nothing() -> None:
    scene = dead(agent())
    switch = scene.switches["node7", "bmc"]
    switch.power = OFF
    scene.until("fence.agent_executed")
    switch.unreadable = AgentResult.GARBAGE
    scene.until("fence.closed")

    assert "fence.off_proven" not in scene.events()
    assert scene.outcomes() == ["failed"]


# on ----------------------------------------------------------------------------------------


def test_what_was_switched_off_is_switched_on_again_however_long_it_takes() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.run(300)
    assert "fence.off_proven" in scene.events()
    assert scene.outcomes() == []
    scene.until("fence.on_failed")
    assert scene.status() == "off"
    assert "left_off" in scene.alerts()
    scene.switches["node7", "bmc"].stuck = set()
    scene.run(120)

    assert scene.outcomes() == ["done"]
    assert scene.alerts() == set()


def test_on_is_tried_twice_before_the_group_has_failed() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.run(50)

    assert scene.commands()[:3] == ["off", "on", "on"]


def test_the_pursuit_of_on_ends_when_the_host_answers() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    scene.alive["node7"] = True  # somebody pressed its button
    scene.switches["node7", "bmc"].power = ON
    scene.run(60)

    assert scene.outcomes() == ["recovered"]
    assert scene.alerts() == set()


def test_on_through_another_group_does_not_count_while_the_switched_one_is_off() -> None:
    scene = dead(*pair())
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.switches["node7", "pdu"].stuck = {FenceAction.ON}
    scene.run(60)
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(60)

    assert scene.outcomes() == []
    assert "left_off" in scene.alerts()


def test_a_reading_of_on_before_the_agent_has_settled_is_not_proof() -> None:
    scene = Scene(host("node7", agent(settle_s=4.0)))
    scene.switches["node7", "bmc"].power = OFF
    scene.alive["node7"] = False
    power(scene, Action.ON)
    scene.run(30)
    sent_at = scene.switches["node7", "bmc"].commands[0][0]
    (proven_at,) = [at for at, record in scene.told if record.event == "fence.on_proven"]

    assert proven_at - sent_at >= 4.0


# the unknown outcome -----------------------------------------------------------------------


def proxied() -> list[object]:
    target = host("node7", power_management=PowerManagement(agents=(agent(),), proxies=("dc",)))
    return [host("node1"), host("node2"), target]


def test_a_command_lost_on_its_way_goes_through_another_proxy_when_the_status_says_so() -> None:
    scene = Scene(*proxied())  # type: ignore[arg-type]
    scene.run(10)
    scene.kill()
    scene.switches["node7", "bmc"].lost = {"node1"}
    scene.run(120)

    assert scene.commands() == ["off", "off", "on"]
    assert scene.outcomes() == ["done"]
    offs = [o for o in scene.orders if isinstance(o, RunAgent) and o.action is FenceAction.OFF]
    assert [o.chain[0].name for o in offs] == ["node1", "node2"]


def test_a_command_lost_at_every_proxy_fails_and_is_brought_back() -> None:
    scene = Scene(*proxied())  # type: ignore[arg-type]
    scene.run(10)
    scene.kill()
    scene.switches["node7", "bmc"].lost = {"node1", "node2"}
    scene.until("fence.closed")

    assert scene.commands()[:2] == ["off", "off"]
    assert "fence.no_proxy" in scene.events()
    assert scene.outcomes() == ["failed"]


def test_no_proxy_means_no_command_and_an_error_that_says_so() -> None:
    target = host("node7", power_management=PowerManagement(agents=(agent(),), proxies=("dc",)))
    scene = Scene(target)
    scene.run(10)
    scene.kill()
    scene.run(60)

    assert scene.commands() == []
    assert scene.fields("fence.no_proxy")[0]["reason"] == "no proxy is eligible"
    assert "unfenced" in scene.alerts()


# again -------------------------------------------------------------------------------------


def test_a_failed_operation_waits_and_is_tried_again_while_the_host_is_silent() -> None:
    scene = dead(agent())
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.run(200)
    opened = [at for at, record in scene.told if record.event == "fence.opened"]
    closed = [at for at, record in scene.told if record.event == "fence.closed"]
    pauses = [round(b - a) for a, b in zip(closed, opened[1:], strict=False)]

    assert pauses[:3] == [10, 20, 40]
    assert scene.holds() == ["backoff"] or scene.status() == "powering_off"


def test_a_long_row_of_failures_waits_for_the_longest_pause() -> None:
    before = dead(agent())
    before.run(1)
    before.memories["node7"] = replace(before.memories["node7"], failures=2000)
    scene = Scene(*before.hosts.values(), after=before)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.closed")
    closed_at = scene.now
    scene.until("fence.opened")

    assert scene.now - closed_at == pytest.approx(FENCING.retry_max_s, abs=0.1)


def test_a_status_is_asked_again_through_a_budget_of_any_length() -> None:
    long = replace(FENCING, off_status_delay_s=0.5, off_status_retries=1500)
    scene = dead(agent(), rules=replace(RULES, fencing=long))
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.run(700)

    assert scene.status() == "powering_off"


def test_after_a_proven_off_there_is_quiet_time() -> None:
    scene = dead(agent())
    scene.boots = False
    scene.run(400)
    opened = [at for at, record in scene.told if record.event == "fence.opened"]
    closed = [at for at, record in scene.told if record.event == "fence.closed"]

    assert len(opened) >= 2
    assert opened[1] - closed[0] >= 60.0 + 20.0  # boot timeout, then a full grace


@pytest.mark.parametrize("action", list(Action))
def test_a_persons_command_runs_through_the_same_proof(action: Action) -> None:
    scene = Scene(host("node7", agent()))
    scene.run(10)
    power(scene, action)
    scene.run(60)

    wanted = {Action.OFF: ["off"], Action.ON: [], Action.RESTART: ["off", "on"]}
    assert scene.commands() == wanted[action]
    assert scene.outcomes() == ["done"]
