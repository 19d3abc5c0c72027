"""Behaviour 1: a local fault proves nothing, and what is not known is not called up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core import watch
from pmwatchd.core.events import Answered, HeartbeatsHeard, Silent, Unheard
from pmwatchd.core.model import AgentResult, Probe, ProbeType
from pmwatchd.core.rules import Rules, StormRules
from pmwatchd.core.watch import Booting, Connecting, NonResponsive, Unknown, Up
from tests.core.scene import ALONE, RULES, Scene, agent, dead, host, ruled

NODE = host("node7", agent())
OTHER = host("node8", agent())
UNHEARD = Unheard("node7", "unresolvable")


def deaf(*others: str, rules: Rules = RULES) -> Scene:
    """Nothing but local faults comes of a host that was up; these others answer."""
    scene = Scene(NODE, *(host(name, agent()) for name in others), rules=rules)
    scene.run(10)
    scene.hears = False
    scene.put(HeartbeatsHeard(unheard=(UNHEARD,)))
    return scene


def test_a_host_of_which_nothing_is_heard_is_not_known_to_be_up() -> None:
    assert watch.step(NODE, Up(10), UNHEARD, 100) == Connecting(100, base_at=100)
    for other in (Unknown(5), Connecting(5, 5, 2), NonResponsive(5, 5), Booting(5, 60)):
        assert watch.step(NODE, other, UNHEARD, 100) == other


def test_a_host_of_which_nothing_is_heard_is_held_and_named_with_the_fault() -> None:
    scene = deaf("node8")
    scene.run(3600)

    assert scene.status() == "connecting"
    assert scene.holds() == ["observer_ill"]
    view = scene.fleet.host("node7")
    assert view is not None
    assert "unresolvable" in view.holds[0].reason
    assert scene.alerts() == {"observer_ill"}
    assert scene.events("watch.grace_began", "observer") == []
    assert scene.commands() == []


def test_the_first_answer_ends_that_nothing_is_heard() -> None:
    scene = deaf("node8")
    scene.put(HeartbeatsHeard((Answered("node7", scene.now),)))

    assert scene.status() == "up"
    assert (scene.holds(), scene.alerts()) == ([], set())


def test_silence_after_that_counts_from_when_we_hear_again_and_is_fenced() -> None:
    scene = deaf("node8")
    scene.run(100)
    scene.hears = True
    scene.kill()
    heard_at = scene.now
    for _ in range(6):
        silent = Silent("node7", 1010.0, deaf_since=1010.0, deaf_until=heard_at)
        scene.put(HeartbeatsHeard(silent=(silent,)))
        scene.run(5)
    assert scene.events("watch.non_responsive") == ["watch.non_responsive"]
    scene.run(60)

    assert scene.commands() == ["off", "on"]
    assert scene.alerts() == set()


def test_a_host_of_which_nothing_is_heard_does_not_show_that_we_are_well() -> None:
    scene = Scene(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.put(HeartbeatsHeard(unheard=(Unheard("node8", "no_route"),)))
    scene.hears = False
    for _ in range(20):
        scene.put(HeartbeatsHeard(silent=(Silent("node7", 1005.5),)))
        scene.run(5)

    assert scene.holds() == ["observer_ill"]
    assert scene.commands() == []


def test_a_silent_host_of_which_nothing_is_heard_any_more_is_held() -> None:
    scene = dead(NODE, OTHER)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.closed")
    scene.hears = False
    scene.put(HeartbeatsHeard(unheard=(UNHEARD,)))
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(600)

    assert scene.status() == "non_responsive"
    assert scene.holds() == ["observer_ill"]
    assert scene.commands() == []


def test_a_host_that_is_asked_otherwise_now_may_be_heard() -> None:
    scene = deaf("node8")
    probe = Probe(type=ProbeType.TCP, address="10.9.9.9", port=22)
    scene.load(replace(NODE, heartbeat=replace(NODE.heartbeat, probes=(probe,))), OTHER)

    assert scene.status() == "unknown"
    assert (scene.holds(), scene.alerts()) == ([], set())


def test_hosts_of_which_nothing_is_heard_count_in_a_storm_by_what_was_heard_last() -> None:
    scene = deaf("node8", "node9", rules=ruled(storm=StormRules()))
    scene.run(2)
    assert scene.fleet.shares()["fleet", ""] == 0.0
    scene.put(HeartbeatsHeard(silent=(Silent("node8", 1005.5),)))
    assert scene.fleet.shares()["fleet", ""] == pytest.approx(1 / 3)
    scene.put(HeartbeatsHeard(unheard=(Unheard("node8", "no route"),)))

    assert scene.fleet.shares()["fleet", ""] == pytest.approx(1 / 3)


def test_a_removed_host_of_which_nothing_is_heard_is_held_by_nothing() -> None:
    scene = dead(NODE, OTHER, rules=ALONE)
    scene.switches["node7", "bmc"].took_s = 90.0
    scene.until("fence.opened")
    scene.put(HeartbeatsHeard(unheard=(UNHEARD,)))
    scene.load(OTHER)
    scene.run(1)

    assert scene.holds() == []
