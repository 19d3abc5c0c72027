"""Behaviour 3, hold 16: immediately before every ``off`` everything is judged again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.events import (
    Answered,
    CanaryHeard,
    Event,
    HeartbeatsHeard,
    HostProbed,
    ObserverPaused,
    Silent,
)
from pmwatchd.core.model import FenceAction, Grace, Host, Opinion, ProbeResult
from pmwatchd.core.orders import ProbeHost
from pmwatchd.core.rules import StormRules
from tests.core.scene import CANARY, Scene, agent, dead, fleet, host, ruled

NODE = host("node7", agent())
OTHER = host("node8", agent())
SHADOW = replace(NODE, automatic=False)


def test_a_last_look_that_we_could_not_make_is_made_again_once_a_heartbeat_has_told() -> None:
    scene = dead(NODE)
    scene.faulty = True
    scene.until("fence.opened")
    scene.run(0.5)
    scene.faulty = scene.hears = False
    scene.run(10)
    assert scene.commands() == []
    scene.hears = True
    scene.run(30)

    assert scene.commands() == ["off", "on"]


def test_what_only_local_faults_kept_from_us_is_no_silence_even_beyond_its_grace() -> None:
    node = host("node7", agent(), grace=Grace(period_s=60.0, failures=3))
    scene = dead(node, OTHER)
    scene.run(15)
    deaf_since = scene.now
    scene.hears, scene.faulty = False, True
    scene.until("fence.opened")
    scene.run(5)
    told = Silent("node7", 1005.5, deaf_since=deaf_since, deaf_until=scene.now)
    scene.faulty = False
    scene.put(HeartbeatsHeard(silent=(told,)))
    scene.hears = True
    scene.run(30)
    assert scene.commands() == []
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_a_last_look_that_we_can_never_make_ends_the_operation_with_the_reason() -> None:
    scene = dead(NODE)

    def probed(order: ProbeHost) -> None:
        fault = ProbeResult.LOCAL_FAULT
        scene.put(HostProbed("node7", order.operation, order.turn, fault))

    scene._probed = probed  # type: ignore[method-assign]
    scene.until("fence.closed")

    assert scene.outcomes() == ["cancelled"]
    assert scene.fields("fence.closed")[0]["reason"] == (
        "no heartbeat can be sent: a fault of our own"
    )
    assert scene.commands() == []


def test_what_others_said_is_asked_again_for_a_later_off() -> None:
    scene = dead(host("node7", agent("a"), agent("b", order=2)), OTHER)
    scene.switches["node7", "a"].stuck = {FenceAction.OFF}
    scene.until("fence.off_failed")
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(120)

    assert scene.commands(switch="b") == []


@pytest.mark.parametrize("first", [CanaryHeard(CANARY.words, answers=False), ObserverPaused(11.0)])
def test_an_illness_of_ours_that_is_told_with_the_look_stops_the_off(first: Event) -> None:
    scene = dead(NODE, OTHER)
    scene.beside_looks = (first,)
    scene.until("fence.closed")

    assert "observer_ill" in str(scene.fields("fence.closed")[0]["reason"])
    assert scene.commands() == []


def test_a_storm_that_is_told_with_the_look_stops_the_off() -> None:
    nodes = fleet(4)
    scene = Scene(NODE, *nodes, rules=ruled(storm=StormRules(), witnesses=0))
    scene.run(10)
    scene.kill()
    silent = tuple(Silent(node.name, scene.now) for node in nodes[:3])
    scene.beside_looks = (HeartbeatsHeard((), silent),)
    scene.until("fence.closed")

    assert "storm: 4 of 5 hosts" in str(scene.fields("fence.closed")[0]["reason"])
    assert scene.commands() == []


def test_the_last_other_host_that_falls_silent_with_the_look_stops_the_off() -> None:
    scene = dead(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.beside_looks = (HeartbeatsHeard((), (Silent("node8", scene.now),)),)
    scene.until("fence.closed")

    assert "observer_ill: nothing answers at all" in str(scene.fields("fence.closed")[0]["reason"])
    assert scene.commands() == []


def test_an_answer_that_is_told_with_the_look_stops_the_off() -> None:
    scene = dead(NODE, OTHER)
    scene.until("fence.opened")
    scene.beside_looks = (HeartbeatsHeard((Answered("node7", scene.now),)),)
    scene.until("fence.closed")

    assert scene.outcomes() == ["cancelled"]
    assert scene.commands() == []


def test_a_reload_into_shadow_mode_before_the_look_stops_the_off() -> None:
    scene = dead(NODE, OTHER)
    scene.switches["node7", "bmc"].took_s = 4.0  # its status takes a while
    scene.until("fence.opened")
    scene.load(SHADOW, OTHER)
    scene.run(60)

    assert scene.commands() == []
    assert scene.holds() == ["shadow"]
    assert scene.outcomes() == ["cancelled"]


def killed_with_an_off_under_way(node: Host, *others: Host) -> Scene:
    """The daemon dies in the middle of an off that never takes effect."""
    before = dead(node, *others)
    before.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    before.until("fence.intended")
    before.run(0.5)
    before.switches["node7", "bmc"].stuck = set()
    return before


def test_an_operation_that_is_continued_after_a_restart_into_shadow_mode_sends_no_off() -> None:
    before = killed_with_an_off_under_way(NODE, OTHER)
    before.switches["node7", "bmc"].commands.clear()
    scene = Scene(SHADOW, OTHER, after=before, at=before.now + 5)
    scene.run(300)

    assert "off" not in scene.commands()


def test_an_operation_that_is_continued_waits_for_its_grace_though_others_are_asked() -> None:
    node = replace(NODE, grace=Grace(period_s=60.0, failures=3))
    before = killed_with_an_off_under_way(node, OTHER)
    scene = Scene(node, OTHER, after=before, at=before.now + 5)
    started_at = scene.now
    scene.run(300)

    assert scene.events("fence.opened") == []  # the same one went on
    assert scene.outcomes() == ["done"]
    assert scene.switches["node7", "bmc"].commands[1][0] - started_at >= 60.0
