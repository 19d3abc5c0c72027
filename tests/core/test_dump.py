"""Behaviour 3, hold 8: a host that writes its crash dump keeps its power."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.events import DumpHeard
from pmwatchd.core.rules import KdumpRules
from tests.core.scene import RULES, Scene, agent, host

KDUMP = KdumpRules(enabled=True, start_window_s=15.0, quiet_after_s=12.0, ceiling_s=100.0)
KRULES = replace(RULES, kdump=KDUMP)


def send(scene: Scene) -> None:
    """A datagram of the host arrives."""
    scene.put(DumpHeard("node7", scene.now))


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
