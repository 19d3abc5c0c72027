"""Behaviour 3 and 9: a person's words for the whole site, and for a parked host."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pmwatchd.core.events import (
    AckRequested,
    Answered,
    HeartbeatsHeard,
    JournalFailed,
    MaintenanceRequested,
    OverrideEndRequested,
    OverrideRequested,
    VouchRequested,
)
from pmwatchd.core.orders import Accepted, Refused
from pmwatchd.core.rules import StormRules
from tests.core.scene import RULES, SAFETY, START, WALL, Scene, agent, dead, host

NODE = host("node7", agent())
OTHER = host("node8", agent())


def override(scene: Scene, for_s: float = 600.0) -> object:
    expires_at = WALL + timedelta(seconds=scene.now + for_s)
    return scene.ask(
        lambda n: OverrideRequested(
            request=n, by="ann", reason="really dead", for_s=for_s, expires_at=expires_at
        )
    )


def refused(answer: object) -> str:
    assert isinstance(answer, Refused)
    return answer.type


def test_while_paused_nobody_is_fenced_and_it_says_whose_pause_it_is() -> None:
    scene = dead(NODE)
    assert scene.pause(100.0) == Accepted()
    scene.run(60)
    assert scene.holds() == ["paused"]
    assert scene.fleet.host("node7").holds[0].reason == "paused by ann: switch work"  # type: ignore[union-attr]
    view = scene.fleet.site().paused
    assert view is not None
    assert (view.by, view.reason) == ("ann", "switch work")
    scene.run(60)

    assert scene.events("pause") == ["pause.began", "pause.end_announced", "pause.ended"]
    assert scene.commands() == ["off", "on"]


def test_a_persons_resume_ends_it() -> None:
    scene = dead(NODE)
    scene.pause()
    scene.run(40)
    assert scene.resume() == Accepted()
    scene.run(20)

    assert scene.fields("pause.ended") == [{"by": "bob", "reason": "resume"}]
    assert scene.commands() == ["off", "on"]


def test_what_is_not_there_cannot_be_ended() -> None:
    scene = Scene(NODE)

    assert refused(scene.resume()) == "not-paused"
    ended = scene.ask(lambda n: OverrideEndRequested(request=n, by="b"))
    assert refused(ended) == "not-overridden"
    ack = scene.ask(lambda n: AckRequested(request=n, host="node7", by="b"))
    assert refused(ack) == "not-parked"


def test_a_promise_that_a_restart_would_forget_is_not_given() -> None:
    scene = Scene(NODE)
    scene.put(JournalFailed(frozenset(), "disk full"))

    assert refused(scene.pause()) == "journal-unwritable"


def test_pause_and_override_are_kept_across_a_restart_and_end_by_the_wall_clock() -> None:
    before = dead(NODE)
    before.pause(600.0)
    override(before, 300.0)
    scene = Scene(NODE, after=before, at=before.now + 400.0)
    assert scene.fleet.site().paused is not None
    scene.run(10)
    assert scene.fleet.site().override is None
    assert scene.site.override_until is None
    scene.run(250)

    assert scene.fleet.site().paused is None


def test_a_wall_clock_that_is_set_back_makes_no_word_longer_than_it_was_given_for() -> None:
    scene = Scene(NODE, at=START + 86400.0)
    override(scene, 600.0)
    scene.pause(700.0)
    scene.run(1)
    again = Scene(NODE, after=scene, at=START)  # a day earlier
    again.run(650)
    assert again.fleet.site().override is None
    assert again.fleet.site().paused is not None
    again.run(100)

    assert again.fleet.site().paused is None


def test_a_wall_clock_that_is_set_back_makes_no_maintenance_longer_than_it_was_given_for() -> None:
    scene = Scene(NODE, at=START + 86400.0)
    scene.ask(
        lambda n: MaintenanceRequested(
            request=n,
            host="node7",
            by="ann",
            reason="memory",
            for_s=600.0,
            expires_at=WALL + timedelta(seconds=scene.now + 600.0),
        )
    )
    scene.run(1)
    again = Scene(NODE, after=scene, at=START)  # a day earlier
    again.run(590)
    assert again.status() == "maintenance"
    again.run(20)

    assert again.status() == "up"


def test_a_person_may_say_that_a_storm_is_none() -> None:
    nodes = [host(f"n{n}", agent(address=f"{n}.mgmt"), address=f"10.1.0.{n}") for n in range(4)]
    rules = replace(RULES, safety=replace(SAFETY, storm=StormRules(), witnesses=0))
    scene = Scene(*nodes, rules=rules)
    scene.run(10)
    for name in ("n0", "n1", "n2"):
        scene.kill(name)
    scene.run(60)
    assert scene.events("fence") == []
    assert override(scene) == Accepted()
    scene.run(5)
    ended = scene.ask(lambda n: OverrideEndRequested(request=n, by="ann"))
    scene.run(60)

    assert ended == Accepted()
    assert scene.commands("n0") == ["off", "on"]
    assert scene.events("override") == ["override.began", "override.ended"]


def test_an_override_ends_at_once_though_the_journal_takes_nothing() -> None:
    scene = Scene(NODE)
    override(scene)
    scene.put(JournalFailed(frozenset(), "disk full"))
    ended = scene.ask(lambda n: OverrideEndRequested(request=n, by="ann"))

    assert ended == Accepted()  # the engine adds that a restart may forget it
    assert scene.fleet.site().override is None


def test_an_acknowledged_host_may_be_fenced_again() -> None:
    scene = Scene(NODE, rules=replace(RULES, safety=replace(SAFETY, loop_limit=1)))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.run(300)
    assert scene.holds() == ["parked"]
    scene.put(JournalFailed(frozenset(), "disk full"))
    ack = scene.ask(lambda n: AckRequested(request=n, host="node7", by="ann"))
    assert refused(ack) == "journal-unwritable"


def test_ack_ends_the_hold_and_the_alert() -> None:
    scene = Scene(NODE, rules=replace(RULES, safety=replace(SAFETY, loop_limit=1)))
    scene.run(10)
    scene.kill()
    scene.boots = False
    scene.run(300)
    answer = scene.ask(lambda n: AckRequested(request=n, host="node7", by="ann", reason="new RAM"))
    assert answer == Accepted()
    assert scene.alerts() == set()
    scene.run(20)

    assert scene.commands() == ["off", "on"] * 2


def test_a_host_that_hangs_but_for_its_kernel_is_half_alive_until_it_gives_strong_signs() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.run(19)
    assert scene.alerts() == set()
    scene.run(2)
    assert scene.alerts() == {"half_alive"}
    scene.put(HeartbeatsHeard((Answered("node7", scene.now),)))

    assert scene.alerts() == set()


def test_a_host_with_another_address_is_not_half_alive_for_what_it_gave_before() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.run(30)
    assert scene.alerts() == {"half_alive"}
    scene.load(replace(NODE, address="10.9.9.9"))
    assert scene.alerts() == set()
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.run(5)

    assert scene.alerts() == set()


def test_a_half_alive_host_that_falls_silent_is_not_looked_at_without_a_pause() -> None:
    scene = Scene(NODE)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.kill()
    scene.run(60)  # which fails when a deadline is over and nothing comes of it

    assert "half_alive" not in scene.alerts()


def test_a_half_alive_host_that_dies_is_called_so_no_more() -> None:
    scene = Scene(host("node7"), OTHER)
    scene.run(10)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.run(30)
    assert scene.alerts() == {"half_alive", "unprotected"}
    scene.kill()
    scene.run(60)

    assert scene.status() == "non_responsive"
    assert "half_alive" not in scene.alerts()


def test_a_host_that_comes_back_from_silence_is_weak_only_as_far_as_it_is_heard() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.kill()
    scene.until("watch.non_responsive")
    scene.pause()
    scene.hears = False
    scene.alive["node7"] = True
    scene.ask(lambda n: VouchRequested(request=n, host="node7", by="ann", reason="pulled"))
    scene.until("watch.answered")  # a fresh heartbeat, of which nobody knows how strong it was
    scene.run(5)

    assert "half_alive" not in scene.alerts()


def test_a_fresh_heartbeat_does_not_make_a_half_alive_host_whole() -> None:
    scene = Scene(NODE)
    scene.run(6)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now, weak=True),)))
    scene.run(30)
    assert scene.alerts() == {"half_alive"}
    scene.ask(lambda n: VouchRequested(request=n, host="node7", by="ann", reason="pulled"))
    scene.run(5)

    assert scene.alerts() == {"half_alive"}
