"""Behaviour 2 and 3: what holds a silent host, and whose turn it is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from pmwatchd.core.events import CanaryHeard, ObserverPaused
from pmwatchd.core.model import (
    AgentResult,
    AliveCheck,
    FenceAction,
    Grace,
    HoldName,
    Host,
    Opinion,
    PowerManagement,
    PowerStatus,
    SoftFencing,
)
from pmwatchd.core.orders import RunAgent
from pmwatchd.core.rules import Rules, Safety, Spacing, StormRules
from tests.core.scene import CANARY, RULES, SAFETY, Scene, agent, host

NODE = host("node7", agent())


def ruled(**safety: object) -> Rules:
    return replace(RULES, safety=replace(SAFETY, **safety))  # type: ignore[arg-type]


def fleet(number: int) -> list[Host]:
    return [host(f"n{n}", agent(address=f"{n}.mgmt"), address=f"10.1.0.{n}") for n in range(number)]


def dead(*others: Host, node: Host = NODE, rules: Rules = RULES) -> Scene:
    scene = Scene(node, *others, rules=rules)
    scene.run(10)
    scene.kill()
    return scene


# the observer ------------------------------------------------------------------------------


def test_where_nothing_answers_at_all_nobody_is_fenced() -> None:
    scene = dead(rules=ruled(canaries=()))
    scene.run(300)

    assert scene.commands() == []
    assert scene.holds() == ["observer_ill"]


def test_another_host_that_answers_shows_that_we_are_well() -> None:
    scene = dead(host("node8", agent()), rules=ruled(canaries=(), witnesses=0))
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_more_than_half_of_the_canaries_silent_is_a_hold_and_an_alert_and_ends_with_it() -> None:
    scene = dead(host("node8", agent()))
    scene.put(CanaryHeard(CANARY.words, answers=False))
    scene.run(60)
    assert scene.commands() == []
    assert scene.holds() == ["observer_ill"]
    (alert,) = scene.fleet.alerts()
    assert (str(alert.name), CANARY.words in alert.reason) == ("observer_ill", True)
    scene.put(CanaryHeard(CANARY.words, answers=True))
    scene.run(30)

    assert scene.fleet.alerts() == ()
    assert scene.events("observer") == ["observer.ill", "observer.well"]
    assert scene.commands() == ["off", "on"]


def cut_off(scene: Scene, *names: str) -> None:
    """From here on neither canaries nor these hosts can be heard."""
    for name in names:
        scene.kill(name)
    scene.put(CanaryHeard(CANARY.words, answers=False))


def mend(scene: Scene, *names: str) -> None:
    """Everything can be heard again, and these hosts answer."""
    for name in names:
        scene.alive[name] = True
    scene.put(CanaryHeard(CANARY.words, answers=True))


def test_silence_of_a_time_in_which_we_were_cut_off_is_forgotten() -> None:
    scene = Scene(NODE, host("node8", agent()))
    scene.run(10)
    cut_off(scene, "node7", "node8")
    scene.run(100)
    mend(scene, "node8")
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at == pytest.approx(NODE.grace.period_s, abs=2.0)


def test_a_silence_that_is_older_than_our_own_fault_goes_on_where_it_was() -> None:
    node = replace(NODE, grace=Grace(period_s=60.0, failures=3))
    scene = Scene(node, host("node8", agent()))
    scene.run(10)
    scene.kill()
    scene.run(45)
    cut_off(scene)
    scene.run(100)
    mend(scene)
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at == pytest.approx(60.0 - 45.0 - 5.0, abs=5.0)


def test_a_host_that_was_dead_long_before_our_own_fault_is_fenced_right_after_it() -> None:
    scene = Scene(NODE, host("node8", agent()))
    scene.run(10)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.kill()
    scene.until("fence.closed")
    cut_off(scene)
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(100)
    mend(scene)
    scene.run(1.0)

    assert scene.events("fence.opened") == ["fence.opened"] * 2


def test_a_boot_during_our_own_fault_is_given_that_time_as_well() -> None:
    scene = Scene(NODE, host("node8", agent()))
    scene.boots = False
    scene.run(10)
    scene.kill()
    scene.until("fence.on_proven")
    proven_at = scene.now
    cut_off(scene)
    scene.run(50)
    mend(scene)
    scene.until("watch.non_responsive")

    assert scene.now - proven_at == pytest.approx(50 + 60 + NODE.grace.period_s, abs=3.0)


def test_where_nothing_answered_at_all_everything_is_heard_anew_when_something_does() -> None:
    scene = Scene(NODE, host("node8", agent()), rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.kill("node7")
    scene.kill("node8")
    scene.until("observer.ill")
    assert [str(alert.name) for alert in scene.fleet.alerts()] == ["observer_ill"]
    scene.run(100)
    scene.alive["node8"] = True
    scene.until("observer.well")
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at == pytest.approx(NODE.grace.period_s, abs=2.0)


def test_a_witness_that_can_be_asked_shows_that_we_are_well() -> None:
    bastion = PowerManagement(agents=(agent(),), proxies=("bastion.example", "engine"))
    node = replace(NODE, power_management=bastion, heartbeat=replace(NODE.heartbeat, interval_s=1))
    scene = Scene(node, rules=ruled(canaries=()))
    scene.run(10)
    scene.kill()
    scene.until("fence.off_proven")

    assert len(scene.fields("observer.ill")) <= 1


def test_a_canary_that_the_configuration_drops_is_forgotten() -> None:
    scene = dead(host("node8", agent()))
    scene.put(CanaryHeard(CANARY.words, answers=False))
    scene.load(*scene.hosts.values(), rules=ruled(canaries=()))
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_after_a_pause_of_its_own_the_daemon_does_not_trust_itself_for_a_while() -> None:
    scene = Scene(NODE, host("node8", agent()))
    scene.run(10)
    scene.put(ObserverPaused(3.0))
    assert [str(alert.name) for alert in scene.fleet.alerts()] == ["observer_ill"]
    scene.run(11)

    assert scene.fleet.alerts() == ()


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


# witnesses and the alive check -------------------------------------------------------------


def test_a_host_that_a_witness_reaches_is_not_fenced_we_are_cut_off() -> None:
    scene = dead(host("node8", agent()))
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(120)

    assert scene.commands() == []
    assert scene.holds() == ["seen_by_others"]
    assert scene.alerts() == {"partitioned"}


def test_fencing_goes_on_when_no_witness_reaches_it_any_more() -> None:
    scene = dead(host("node8", agent()))
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(60)
    scene.opinions["node8"] = Opinion.SILENT
    scene.run(30)

    assert scene.commands() == ["off", "on"]
    assert scene.alerts() == set()


def test_a_witness_that_cannot_be_asked_counts_for_nothing() -> None:
    scene = dead(host("node8", agent()))
    scene.opinions["node8"] = Opinion.NONE
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_a_witness_that_reaches_it_is_not_outvoted_by_one_that_cannot_be_asked() -> None:
    others = [host(f"w{n}", agent(), address=f"10.3.0.{n}") for n in range(3)]
    scene = dead(*others, rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.ALIVE, "w2": Opinion.NONE}
    scene.run(300)

    assert scene.commands() == []
    assert scene.holds() == ["seen_by_others"]


def test_a_machine_that_cannot_be_asked_does_not_take_the_place_of_one_that_can() -> None:
    others = [host(f"w{n}", agent(), address=f"10.3.0.{n}") for n in range(4)]
    scene = dead(*others, rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.NONE, "w2": Opinion.NONE}
    scene.run(60)
    said = [told.fields["result"] for _, told in scene.told if told.event == "witness.said"]

    assert said.count(Opinion.NONE) <= 3


def test_witnesses_are_asked_while_the_grace_lasts_and_at_most_every_5_s() -> None:
    scene = dead(host("node8", agent()))
    scene.run(15)
    asked = [at for at, told in scene.told if told.event == "witness.said"]
    gaps = [later - sooner for sooner, later in itertools.pairwise(asked)]

    assert scene.status() == "connecting"
    assert len(asked) > 1
    assert min(gaps) >= 5.0


def test_no_more_witnesses_than_configured_and_spread_over_clusters() -> None:
    others = [
        host(f"w{n}", agent(), cluster=cluster, address=f"10.3.0.{n}")
        for n, cluster in enumerate(["blue", "blue", "blue", "green"])
    ]
    scene = dead(*others, rules=ruled(witnesses=2))
    scene.run(15)
    said = [(at, told.fields["proxy"]) for at, told in scene.told if told.event == "witness.said"]
    first = {proxy for at, proxy in said if at < said[0][0] + 1.0}

    assert len(first) == 2
    assert "w3" in first


def test_an_answer_that_comes_after_the_next_question_proves_nothing() -> None:
    scene = dead(host("node8", agent()))
    scene.run(60)
    before = scene.events()
    scene.said_late("node7", question=1, witness="node8")

    assert scene.events() == before


@pytest.mark.parametrize(
    ("says", "hold_on_error", "held"),
    [
        (Opinion.ALIVE, True, True),
        (Opinion.SILENT, True, False),
        (Opinion.NONE, True, True),
        (Opinion.NONE, False, False),
    ],
)
def test_a_sites_own_command_may_know_it_alive(
    says: Opinion, *, hold_on_error: bool, held: bool
) -> None:
    check = AliveCheck(command=("lease",), hold_on_error=hold_on_error)
    scene = Scene(replace(NODE, alive_check=check))
    scene.check = says
    scene.run(10)
    scene.kill()
    scene.run(60)

    assert scene.holds() == (["alive_check"] if held else [])
    assert scene.commands() == ([] if held else ["off", "on"])


def test_a_slow_command_delays_fencing_and_does_not_prevent_it() -> None:
    check = AliveCheck(command=("lease",), timeout_s=10.0)
    scene = Scene(replace(NODE, alive_check=check))
    scene.check_s = 9.5
    scene.run(10)
    scene.kill()
    scene.until("fence.off_proven")


def test_an_alive_check_through_a_proxy_names_those_that_may_run_it() -> None:
    check = AliveCheck(command=("lease",), through_proxy=True)
    scene = dead(host("node8", agent()), node=replace(NODE, alive_check=check))
    scene.run(20)
    (first, *_) = scene.checks

    assert [candidate.name for candidate in first.chain] == ["node8"]


def test_what_others_said_is_asked_again_for_a_later_off() -> None:
    scene = dead(host("node8", agent()), node=host("node7", agent("a"), agent("b", order=2)))
    scene.switches["node7", "a"].stuck = {FenceAction.OFF}
    scene.until("fence.off_failed")
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(120)

    assert scene.commands(switch="b") == []


# soft fencing ------------------------------------------------------------------------------


def soft(wait_s: float = 30.0) -> Host:
    power = NODE.power_management
    softly = SoftFencing(command="restart", wait_s=wait_s)
    return replace(NODE, power_management=replace(power, soft_fencing=softly))


def test_a_host_that_its_own_command_mends_keeps_its_power() -> None:
    scene = dead(node=soft())
    scene.soft_helps = True
    scene.run(120)

    assert scene.softly == ["node7"]
    assert scene.commands() == []
    assert scene.status() == "up"


def test_soft_fencing_is_tried_once_per_silence_and_its_wait_is_kept() -> None:
    scene = dead(node=soft(wait_s=30.0))
    scene.until("fence.soft_ended")
    ended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - ended_at >= 29.0
    scene.run(200)
    assert scene.softly == ["node7"]


def test_a_host_whose_power_reads_off_is_spared_the_command() -> None:
    scene = dead(node=soft())
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.run(60)

    assert scene.softly == []
    assert scene.fields("fence.soft_ended")[0]["result"] == "skipped"
    assert scene.commands() == ["on"]


def test_a_command_that_could_not_be_run_is_not_waited_for() -> None:
    scene = dead(node=soft(wait_s=500.0))
    scene.soft_runs = False
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_an_old_answer_to_soft_fencing_changes_nothing() -> None:
    scene = dead(node=soft())
    scene.soft_ended_late("node7", question=9)

    assert "fence.soft_ended" not in scene.events()


# shadow, budget, loop ----------------------------------------------------------------------


def test_in_shadow_mode_everything_is_judged_and_nothing_is_done() -> None:
    scene = dead(node=replace(soft(), automatic=False))
    scene.run(300)

    assert scene.commands() == []
    assert scene.softly == []
    assert scene.holds() == [HoldName.SHADOW]
    assert len(scene.fields("fence.would_have")) == 1


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


def test_a_host_that_is_fenced_again_and_again_is_parked_until_a_person_looks_at_it() -> None:
    scene = dead(rules=ruled(loop_limit=2))
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
    scene = dead(rules=ruled(loop_limit=2, loop_window_s=100.0))
    scene.run(200)
    assert scene.memories["node7"].fenced == 0
    scene.kill()
    scene.run(60)

    assert scene.alerts() == set()
    assert scene.commands() == ["off", "on"] * 2


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


def test_safety_is_on_by_default() -> None:
    assert Safety().automatic
    assert PowerManagement().soft_fencing is None
