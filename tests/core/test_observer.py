"""Behaviour 3, hold 6: is it us?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from pmwatchd.core.events import (
    Answered,
    CanaryHeard,
    HeartbeatsHeard,
    ObserverPaused,
    PowerRequested,
    Silent,
)
from pmwatchd.core.model import Action, AgentResult, Grace, Host, Opinion, Probe
from pmwatchd.core.observer import STEADY_S
from pmwatchd.core.rules import Rules
from tests.core.scene import ALONE, BASTION, CANARY, Scene, agent, dead, host, ruled

NODE = host("node7", agent())
OTHER = host("node8", agent())


def site_alerts(scene: Scene) -> list[str]:
    return [str(alert.name) for alert in scene.fleet.alerts()]


def cut_off(scene: Scene, *names: str) -> None:
    """From here on neither canaries nor these hosts can be heard."""
    for name in names:
        scene.kill(name)
    for canary in scene.rules.safety.canaries:
        scene.put(CanaryHeard(canary.words, answers=False))


def mend(scene: Scene, *names: str) -> None:
    """Everything can be heard again, and these hosts answer."""
    for name in names:
        scene.alive[name] = True
    for canary in scene.rules.safety.canaries:
        scene.put(CanaryHeard(canary.words, answers=True))


def test_where_nothing_answers_at_all_nobody_is_fenced() -> None:
    scene = dead(NODE, rules=ALONE)
    scene.run(300)

    assert scene.commands() == []
    assert scene.holds() == ["observer_ill"]


def test_another_host_that_answers_shows_that_we_are_well() -> None:
    scene = dead(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_more_than_half_of_the_canaries_silent_is_a_hold_and_an_alert_and_ends_with_it() -> None:
    scene = dead(NODE, OTHER)
    scene.put(CanaryHeard(CANARY.words, answers=False))
    scene.run(60)
    assert scene.commands() == []
    assert scene.holds() == ["observer_ill"]
    (alert,) = scene.fleet.alerts()
    assert (str(alert.name), CANARY.words in alert.reason) == ("observer_ill", True)
    scene.put(CanaryHeard(CANARY.words, answers=True))
    scene.run(30)

    assert site_alerts(scene) == []
    assert scene.events("observer") == ["observer.ill", "observer.well"]
    assert scene.commands() == ["off", "on"]


def test_silence_of_a_time_in_which_we_were_cut_off_is_forgotten() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    cut_off(scene, "node7", "node8")
    scene.run(100)
    mend(scene, "node8")
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at >= NODE.grace.period_s
    assert scene.now - mended_at <= NODE.grace.period_s + STEADY_S


def test_a_silence_that_is_older_than_our_own_fault_goes_on_where_it_was() -> None:
    node = replace(NODE, grace=Grace(period_s=60.0, failures=3))
    scene = Scene(node, OTHER)
    scene.run(10)
    scene.kill()
    scene.run(45)
    cut_off(scene)
    scene.run(100)
    mend(scene)
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at == pytest.approx(STEADY_S, abs=2.0)  # 15 s of grace were left


def test_a_host_that_was_dead_long_before_our_own_fault_is_fenced_right_after_it() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.kill()
    scene.until("fence.closed")
    cut_off(scene)
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(100)
    mend(scene)
    scene.run(STEADY_S + 2)

    assert scene.events("fence.opened") == ["fence.opened"] * 2


def test_a_boot_during_our_own_fault_is_given_that_time_as_well() -> None:
    scene = Scene(NODE, OTHER)
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
    scene = Scene(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.kill("node7")
    scene.kill("node8")
    scene.until("observer.ill")
    assert site_alerts(scene) == ["observer_ill"]
    scene.run(100)
    scene.alive["node8"] = True
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at >= NODE.grace.period_s
    assert scene.events("observer") == ["observer.ill", "observer.well"]


def test_right_after_a_start_nobody_has_had_the_time_to_answer() -> None:
    before = dead(NODE, rules=ALONE)
    scene = Scene(NODE, rules=ALONE, after=before, at=before.now + 60.0)
    scene.run(9)
    assert scene.events("observer") == []
    scene.run(5)

    assert scene.events("observer") == ["observer.ill"]


class Paced(Scene):
    """Each host is asked at its own pace, and of some nothing but local faults comes."""

    def __init__(self, *hosts: Host, rules: Rules) -> None:
        super().__init__(*hosts, rules=rules)
        self.hears = False
        self.unasked: set[str] = set()
        for one in hosts:
            self._every(one.heartbeat.interval_s, partial(self._beat_of, one.name))

    def _beat_of(self, name: str) -> None:
        if name in self.unasked:
            return
        if not self.alive[name]:
            self.put(HeartbeatsHeard(silent=(Silent(name, self._last_answer.get(name)),)))
        elif self._reported.get(name) is not True:
            self.put(HeartbeatsHeard((Answered(name, self.now),)))
        if self.alive[name]:
            self._last_answer[name] = self.now
        self._reported[name] = self.alive[name]


def slow(one: Host, interval_s: float) -> Host:
    return replace(one, heartbeat=replace(one.heartbeat, interval_s=interval_s))


def test_a_neighbour_that_has_not_been_asked_since_the_silence_began_shows_nothing() -> None:
    scene = Paced(NODE, slow(OTHER, 120.0), rules=ALONE)
    scene.run(125)
    scene.opinions = {"node8": Opinion.NONE}
    scene.kill("node7")
    scene.kill("node8")  # our own cable: its heartbeat that will tell is far away
    scene.run(90)

    assert scene.status("node8") == "up"
    assert scene.holds() == ["observer_ill"]
    assert scene.commands() == []


def test_a_slow_neighbour_that_answers_during_a_silence_shows_that_we_are_well() -> None:
    scene = Paced(NODE, slow(OTHER, 120.0), rules=ruled(canaries=(), witnesses=0))
    scene.run(125)
    scene.kill("node7")
    scene.run(90)
    assert scene.holds() == ["observer_ill"]
    scene.run(60)

    assert scene.commands() == ["off", "on"]
    assert site_alerts(scene) == []


def test_a_neighbour_of_which_only_local_faults_come_shows_nothing() -> None:
    scene = Paced(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.kill("node7")
    scene.unasked = {"node8"}
    scene.run(3600)

    assert scene.commands() == []
    assert site_alerts(scene) == ["observer_ill"]


def test_a_witness_that_can_be_asked_shows_that_we_are_well() -> None:
    often = replace(BASTION.heartbeat, interval_s=1.0)
    scene = dead(replace(BASTION, heartbeat=often), rules=ALONE)
    scene.until("fence.off_proven")

    assert len(scene.fields("observer.ill")) <= 1


def test_a_canary_that_the_configuration_drops_is_forgotten() -> None:
    scene = dead(NODE, OTHER)
    scene.put(CanaryHeard(CANARY.words, answers=False))
    scene.load(*scene.hosts.values(), rules=ALONE)
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_after_a_pause_of_its_own_the_daemon_does_not_trust_itself_for_a_while() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    scene.put(ObserverPaused(10.1))
    assert site_alerts(scene) == ["observer_ill"]
    scene.run(11)

    assert site_alerts(scene) == []


def test_a_daemon_that_is_late_by_less_than_two_heartbeats_trusts_itself() -> None:
    scene = Scene(NODE, slow(OTHER, 1.5))
    scene.run(10)
    scene.put(ObserverPaused(3.0))
    assert site_alerts(scene) == []
    scene.put(ObserverPaused(3.1))  # the host that is asked most often was not heard

    assert site_alerts(scene) == ["observer_ill"]


def test_a_disk_that_makes_every_pass_a_little_late_does_not_keep_a_dead_host_unfenced() -> None:
    scene = dead(NODE, OTHER)
    for _ in range(60):
        scene.put(ObserverPaused(2.2))
        scene.run(1)

    assert scene.commands() == ["off", "on"]
    assert scene.events("observer") == []


def test_a_pause_is_told_once_per_illness_and_is_not_written_where_that_makes_the_next() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    for _ in range(3):
        scene.put(ObserverPaused(11.0))
        scene.run(5)
    (paused,) = [record for _, record in scene.told if record.event == "observer.paused"]
    assert not paused.journalled
    scene.run(20)
    scene.put(ObserverPaused(11.0))

    assert len(scene.fields("observer.paused")) == 2


@pytest.mark.parametrize("canaries", [(CANARY,), ()], ids=["canaries", "nothing at all"])
def test_a_host_that_is_heard_again_a_little_later_than_others_is_not_fenced(
    canaries: tuple[Probe, ...],
) -> None:
    scene = Scene(NODE, OTHER, rules=ruled(canaries=canaries))
    scene.run(10)
    scene.opinions = {"node7": Opinion.NONE, "node8": Opinion.NONE}  # no way to them either
    cut_off(scene, "node7", "node8")
    scene.run(120)
    scene.opinions.clear()
    mend(scene, "node8")
    scene.later(12.0, lambda: scene.alive.update(node7=True))  # its switch port takes its time
    scene.run(60)

    assert scene.status() == "up"
    assert scene.commands() == []


def test_the_daemons_own_host_does_not_show_that_our_cable_is_plugged_in() -> None:
    own = host("engine-host", agent(), engine=True)
    scene = dead(NODE, own, rules=ALONE)
    scene.run(300)

    assert scene.commands() == []
    assert scene.holds() == ["observer_ill"]


def test_that_nothing_answers_at_all_is_an_alert_until_something_does_for_a_while() -> None:
    scene = dead(NODE, rules=ALONE)
    scene.run(120)
    assert site_alerts(scene) == ["observer_ill"]
    scene.alive["node7"] = True
    scene.run(10)
    assert site_alerts(scene) == ["observer_ill"]
    scene.run(STEADY_S)

    assert site_alerts(scene) == []
    assert scene.events("observer") == ["observer.ill", "observer.well"]


def test_a_single_host_with_a_bastion_as_witness_is_fenced() -> None:
    scene = dead(BASTION, rules=ALONE)
    scene.run(60)

    assert scene.commands() == ["off", "on"]


@pytest.mark.parametrize("interval_s", [1.0, 5.0])
def test_a_witness_is_asked_again_after_a_pause_and_ends_the_doubt(interval_s: float) -> None:
    often = replace(BASTION, heartbeat=replace(BASTION.heartbeat, interval_s=interval_s))
    scene = dead(often, rules=ALONE)
    scene.pause()
    scene.run(150)
    assert scene.holds() == ["paused"]  # nobody is asked, and who was reached lately counts
    scene.resume()
    scene.run(90)

    assert scene.commands() == ["off", "on"]


def test_a_silence_that_began_shortly_before_nothing_answered_at_all_begins_anew() -> None:
    scene = dead(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.kill("node8")
    scene.until("observer.ill")
    scene.run(60)
    scene.alive["node8"] = True
    mended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - mended_at >= NODE.grace.period_s


def test_that_nothing_answers_is_an_illness_after_two_intervals() -> None:
    scene = dead(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.pause()
    scene.run(40)
    scene.kill("node8")
    scene.until("watch.grace_began")
    silent_at = scene.now
    scene.until("observer.ill")

    assert scene.now - silent_at == pytest.approx(10.0, abs=1.1)


# hosts that are watched no more -------------------------------------------------------------


def test_a_silent_host_that_a_reload_removes_is_missed_by_nobody() -> None:
    scene = dead(NODE, rules=ALONE)
    scene.run(10)
    assert site_alerts(scene) == ["observer_ill"]
    scene.load()
    scene.run(60)

    assert site_alerts(scene) == []


def test_a_silent_host_that_its_operation_keeps_is_missed_by_nobody() -> None:
    scene = dead(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.switches["node7", "bmc"].took_s = 90.0
    scene.until("fence.opened")
    scene.load(OTHER)
    scene.kill("node8")
    scene.run(15)
    assert site_alerts(scene) == ["observer_ill"]
    scene.load()
    scene.run(STEADY_S + 2)

    assert scene.fleet.host("node7") is not None
    assert site_alerts(scene) == []


def test_a_host_that_only_its_operation_keeps_does_not_show_that_we_are_well() -> None:
    scene = Scene(NODE, OTHER, rules=ruled(canaries=(), witnesses=0))
    scene.run(10)
    scene.switches["node8", "bmc"].took_s = 200.0
    scene.ask(lambda n: PowerRequested(request=n, host="node8", action=Action.RESTART, by="ann"))
    scene.load(NODE)
    scene.kill("node7")
    scene.run(60)

    assert "observer_ill" in scene.holds()
    assert scene.commands() == []


def test_a_boot_while_nothing_was_ever_heard_since_the_start_ends_in_time() -> None:
    scene = Scene(NODE, OTHER, rules=ALONE)
    scene.run(6)
    scene.kill("node7")
    scene.kill("node8")
    later = Scene(NODE, OTHER, rules=ALONE, after=scene, at=scene.now + 5)
    later.boots = False
    later.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="ann"))
    later.until("fence.on_proven")
    later.run(20)
    later.alive["node8"] = True
    later.until("watch.non_responsive")
