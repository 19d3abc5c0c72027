"""Behaviour 3, hold 8: a host that writes its crash dump keeps its power."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.dump import Dump, of_this_silence
from pmwatchd.core.events import Answered, DumpHeard, HeartbeatsHeard, ObserverPaused
from pmwatchd.core.model import Host, PowerStatus
from pmwatchd.core.rules import KdumpRules
from tests.core.scene import RULES, Scene, agent, host

KDUMP = KdumpRules(enabled=True, start_window_s=15.0, quiet_after_s=12.0, ceiling_s=100.0)
KRULES = replace(RULES, kdump=KDUMP)
NODE = host("node7", agent())
NODE = replace(NODE, power_management=replace(NODE.power_management, kdump=True))
OTHER = host("node8", agent())


def send(scene: Scene) -> None:
    """A datagram of the host arrives."""
    scene.put(DumpHeard("node7", scene.now))


def stand_still(scene: Scene) -> None:
    """The daemon is stopped for a while."""
    scene.put(ObserverPaused(11.0))


def dumping(for_s: float, *, kdump: bool = True, enabled: bool = True) -> Scene:
    """A host crashes, and sends a datagram every 5 s for so long."""
    node = host("node7", agent())
    node = replace(node, power_management=replace(node.power_management, kdump=kdump))
    rules = replace(KRULES, kdump=replace(KDUMP, enabled=enabled))
    scene = Scene(node, rules=rules)
    scene.run(10)
    scene.kill()
    at_s = 2.0
    while at_s < for_s:
        scene.later(at_s, lambda: send(scene))
        at_s += 5.0
    return scene


def test_the_picture_of_a_host_that_boots_after_its_dump_says_that_we_did_not_power_it_on() -> None:
    scene = dumping(30.0)
    scene.until("kdump.ended")

    view = scene.fleet.host("node7")
    assert view is not None
    assert (scene.status(), view.ours) == ("booting", False)


def test_a_host_that_dumps_is_held_and_boots_by_itself_without_a_power_cycle() -> None:
    scene = dumping(60.0)
    scene.run(50)
    assert scene.status() == "kdumping"
    assert scene.holds() == ["kdump"]
    scene.run(25)
    assert scene.status() == "booting"
    scene.alive["node7"] = True
    scene.run(30)

    assert scene.status() == "up"
    assert scene.commands() == []
    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]


def test_beyond_the_ceiling_it_is_fenced_though_it_still_sends() -> None:
    scene = dumping(400.0)
    scene.run(95)
    assert scene.commands() == []
    scene.run(40)

    assert scene.commands() == ["off", "on"]
    assert scene.fields("kdump.ended")[0]["reason"] == "it takes too long"


def test_the_first_datagram_is_waited_for_in_a_window_after_the_grace() -> None:
    scene = dumping(0.0)
    scene.run(30)
    assert scene.holds() == ["kdump"]
    assert scene.commands() == []
    scene.run(20)

    assert scene.commands() == ["off", "on"]


def test_a_host_that_does_not_come_back_from_its_dump_is_fenced_without_another_window() -> None:
    scene = dumping(30.0)
    scene.run(50)
    assert scene.status() == "booting"
    scene.run(100)

    assert scene.commands() == ["off", "on"]


def test_datagrams_of_a_host_without_kdump_or_where_it_is_off_mean_nothing() -> None:
    for scene in (dumping(60.0, kdump=False), dumping(60.0, enabled=False)):
        scene.run(50)

        assert scene.commands() == ["off", "on"]
        assert scene.events("kdump") == []


def test_an_answer_ends_the_dump_and_the_next_silence_may_dump_again() -> None:
    scene = dumping(18.0)
    scene.run(20)
    scene.alive["node7"] = True
    scene.run(20)
    scene.kill()
    scene.later(2.0, lambda: send(scene))
    scene.run(5)

    assert scene.events("kdump.began") == ["kdump.began"] * 2


def test_a_forged_datagram_of_a_host_that_answers_does_not_spoil_its_real_dump() -> None:
    scene = dumping(0.0)
    scene.alive["node7"] = True
    send(scene)
    scene.run(60)
    scene.kill()
    scene.run(8)
    for after_s in (2.0, 7.0, 12.0, 17.0, 22.0):
        scene.later(after_s, lambda: send(scene))
    scene.run(30)

    assert scene.status() == "kdumping"
    assert scene.commands() == []


def test_forged_datagrams_before_the_silence_use_up_nothing_of_the_ceiling() -> None:
    scene = dumping(0.0)
    scene.alive["node7"] = True
    for after_s in range(0, 95, 5):
        scene.later(float(after_s), lambda: send(scene))
    scene.run(93)
    scene.kill()
    for after_s in range(2, 60, 5):
        scene.later(float(after_s), lambda: send(scene))
    scene.run(50)

    assert scene.status() == "kdumping"
    assert scene.commands() == []


def test_a_datagram_of_an_unknown_host_is_nothing() -> None:
    scene = dumping(0.0)
    scene.put(DumpHeard("nobody", scene.now))

    assert scene.events("kdump") == []


def test_datagrams_after_the_end_of_the_wait_do_not_begin_another() -> None:
    scene = dumping(20.0)
    scene.run(40)
    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]
    scene.put(DumpHeard("node7", scene.now))
    scene.run(100)

    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]
    assert scene.commands() == ["off", "on"]


# a datagram proves nothing: it may make us wait, never switch anything -------------------------


def off_for_a_while(node: Host, *, unknown: bool = False) -> Scene:
    """It has switched itself off, as some are told to after a dump; its grace is not over yet."""
    scene = Scene(node, OTHER, rules=KRULES)
    scene.alive["node7"] = not unknown
    scene.run(10)
    scene.kill()
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.run(18)
    return scene


def test_the_end_of_a_dump_switches_nothing_on_in_shadow_mode() -> None:
    scene = off_for_a_while(replace(NODE, automatic=False))
    send(scene)
    scene.run(120)

    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]
    assert scene.commands() == []


def test_the_end_of_a_dump_switches_nothing_on_while_paused() -> None:
    scene = off_for_a_while(NODE)
    scene.pause()
    send(scene)
    scene.run(120)

    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]
    assert scene.commands() == []


def test_a_forged_datagram_switches_nothing_on_that_never_answered() -> None:
    scene = off_for_a_while(NODE, unknown=True)
    assert scene.status() == "unknown"
    send(scene)
    scene.until("kdump.ended")
    assert scene.status() == "unknown"
    scene.run(120)

    assert scene.status() == "unknown"
    assert scene.commands() == []


def test_a_host_that_boots_by_itself_is_not_switched_on_after_a_restart_either() -> None:
    before = off_for_a_while(NODE)
    send(before)
    before.pause()
    before.until("kdump.ended")
    assert before.status() == "booting"
    scene = Scene(NODE, OTHER, rules=KRULES, after=before, at=before.now + 5)
    assert scene.status() == "booting"
    scene.run(120)

    assert scene.commands() == []


# an ill observer ---------------------------------------------------------------------------


def test_a_pause_of_the_daemon_does_not_forget_the_dump() -> None:
    scene = dumping(30.0)
    scene.run(31)
    assert scene.status() == "kdumping"
    stand_still(scene)
    scene.later(55.0, lambda: scene.alive.update(node7=True))  # it boots: within boot_timeout
    scene.run(120)

    assert scene.commands() == []


def test_pauses_of_the_daemon_do_not_begin_the_ceiling_anew() -> None:
    scene = dumping(1000.0)
    for number in range(10):
        scene.later(80.0 * number + 33.5, lambda: stand_still(scene))
    scene.until("kdump.ended")
    scene.until("fence.off_proven")

    assert scene.fields("kdump.ended")[0]["took_s"] == pytest.approx(100.0, abs=1.0)


# told once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pauses", [0, 1])
def test_a_dump_is_told_to_begin_and_to_end_once_though_the_host_answers_before(
    pauses: int,
) -> None:
    scene = dumping(30.0)
    scene.run(20)
    for _ in range(pauses):
        stand_still(scene)
    scene.run(11)
    scene.alive["node7"] = True
    scene.run(30)

    assert scene.status() == "up"
    assert scene.events("kdump") == ["kdump.began", "kdump.ended"]
    assert scene.fields("kdump.ended")[0]["reason"] == "it answers"


def test_datagrams_of_a_host_that_answers_are_not_told() -> None:
    scene = dumping(0.0)
    scene.alive["node7"] = True
    send(scene)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now + 1.0),)))
    scene.run(60)

    assert scene.events("kdump") == []


def test_a_dump_that_was_told_is_not_told_again_when_a_part_of_it_does_not_count() -> None:
    assert of_this_silence(Dump(1.0, 9.0, told=True), 5.0) == Dump(9.0, 9.0, told=True)
