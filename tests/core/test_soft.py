"""Behaviour 2: soft fencing, a command on the host itself before its power is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pmwatchd.core.events import Answered, HeartbeatsHeard
from pmwatchd.core.model import AliveCheck, Host, Opinion, PowerStatus, SoftFencing
from pmwatchd.core.orders import RunAgent
from tests.core.scene import Scene, agent, dead, host

NODE = host("node7", agent())
OTHER = host("node8", agent())


def soft(wait_s: float = 30.0) -> Host:
    softly = SoftFencing(command="restart", wait_s=wait_s)
    return replace(NODE, power_management=replace(NODE.power_management, soft_fencing=softly))


def test_a_host_that_its_own_command_mends_keeps_its_power() -> None:
    scene = dead(soft())
    scene.soft_helps = True
    scene.run(120)

    assert scene.softly == ["node7"]
    assert scene.commands() == []
    assert scene.status() == "up"
    assert scene.events("fence.soft") == ["fence.soft_began", "fence.soft_ended"]


def test_soft_fencing_is_tried_once_per_silence_and_its_wait_is_kept() -> None:
    scene = dead(soft(wait_s=30.0))
    scene.until("fence.soft_ended")
    ended_at = scene.now
    scene.until("fence.opened")

    assert scene.now - ended_at >= 29.0
    scene.run(200)
    assert scene.softly == ["node7"]


def test_a_host_whose_power_reads_off_is_spared_the_command() -> None:
    scene = dead(soft())
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.run(60)

    assert scene.softly == []
    assert scene.fields("fence.soft_ended")[0]["result"] == "skipped"
    assert scene.commands() == ["on"]


def test_a_command_that_could_not_be_run_is_not_waited_for() -> None:
    scene = dead(soft(wait_s=500.0))
    scene.soft_runs = False
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_an_old_answer_to_soft_fencing_changes_nothing() -> None:
    scene = dead(soft())
    scene.soft_ended_late("node7", question=9)

    assert "fence.soft_ended" not in scene.events()


def power_is_read(scene: Scene) -> None:
    """Let time pass until its power is being read, because of the command."""
    scene.switches["node7", "bmc"].took_s = 4.0
    while not any(isinstance(order, RunAgent) for order in scene.orders):
        scene.run(0.1)


@pytest.mark.parametrize(
    "come",
    [Scene.pause, lambda scene: scene.load(replace(soft(), automatic=False), OTHER)],
    ids=["paused", "shadow"],
)
def test_a_hold_that_came_while_the_power_was_read_stops_the_command(
    come: Callable[[Scene], object],
) -> None:
    scene = dead(soft(), OTHER)
    power_is_read(scene)
    come(scene)
    scene.run(100)

    assert scene.softly == []
    assert scene.events("fence.soft") == []


@pytest.mark.parametrize("knows", ["witness", "alive check"])
def test_who_knows_the_host_alive_by_when_its_power_was_read_stops_the_command(knows: str) -> None:
    scene = dead(replace(soft(), alive_check=AliveCheck(command=("lease",))), OTHER)
    scene.reaches = False
    power_is_read(scene)
    scene.switches["node7", "bmc"].took_s = 12.0
    if knows == "witness":
        scene.opinions["node8"] = Opinion.ALIVE
    else:
        scene.check = Opinion.ALIVE
    scene.run(60)

    assert scene.softly == []
    assert scene.commands() == []


@pytest.mark.parametrize("took_s", [1.0, 5.5, 6.0, 12.0])
def test_a_reading_that_ends_while_others_are_asked_waits_for_them_and_is_not_lost(
    took_s: float,
) -> None:
    scene = dead(soft(), OTHER)
    scene.witness_s = 2.0
    scene.switches["node7", "bmc"].took_s = took_s
    scene.run(100)

    assert scene.softly == ["node7"]


def test_a_witness_that_is_still_asked_when_the_power_was_read_may_stop_the_command() -> None:
    scene = dead(soft(), OTHER)
    scene.witness_s = 2.0
    scene.switches["node7", "bmc"].took_s = 6.0
    scene.until("fence.agent_executed")
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(30)
    assert (scene.softly, scene.holds()) == ([], ["seen_by_others"])
    scene.opinions["node8"] = Opinion.SILENT
    scene.run(60)  # the reading has grown old meanwhile

    assert scene.softly == ["node7"]


def test_a_crash_while_the_power_is_read_does_not_spend_the_command() -> None:
    scene = dead(soft(), OTHER)
    power_is_read(scene)
    again = Scene(soft(), OTHER, after=scene, at=scene.now + 10)
    again.run(120)

    assert again.softly == ["node7"]


def test_a_crash_while_the_command_runs_has_spent_it() -> None:
    scene = dead(soft(), OTHER)
    scene.until("fence.soft_began")
    again = Scene(soft(), OTHER, after=scene, at=scene.now + 10)
    again.run(120)

    assert again.softly == []
    assert again.commands() == ["off", "on"]


def test_a_command_that_a_hold_stopped_is_run_when_the_hold_is_over() -> None:
    scene = dead(soft(), OTHER)
    power_is_read(scene)
    scene.pause(50.0)
    scene.run(40)
    assert scene.softly == []
    scene.run(30)

    assert scene.softly == ["node7"]


def test_a_host_that_answered_while_its_power_was_read_is_spared_the_command() -> None:
    scene = dead(soft(), OTHER)
    power_is_read(scene)
    scene.alive["node7"] = True
    scene.put(HeartbeatsHeard((Answered("node7", scene.now),)))
    scene.run(100)

    assert scene.status() == "up"
    assert scene.softly == []


def test_a_command_that_helped_before_it_was_over_is_told_to_have_ended_once() -> None:
    scene = dead(soft())
    scene.soft_helps, scene.soft_s = True, 10.0
    scene.until("fence.soft_began")
    scene.alive["node7"] = True
    scene.run(60)

    assert scene.status() == "up"
    assert scene.events("fence.soft") == ["fence.soft_began", "fence.soft_ended"]
    assert scene.fields("fence.soft_ended")[0]["result"] == "recovered"


def test_a_hold_that_is_over_is_not_shown_while_the_command_is_waited_for() -> None:
    scene = dead(soft(wait_s=60.0), OTHER)
    scene.pause()
    scene.run(60)
    assert scene.holds() == ["paused"]
    scene.resume()
    scene.run(30)

    assert scene.softly == ["node7"]
    assert scene.holds() == []
