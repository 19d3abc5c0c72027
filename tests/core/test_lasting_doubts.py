"""Behaviour 2 and 3: a doubt that comes again and again hides no dead host, and tells no lies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from pmwatchd.core.events import (
    CanaryHeard,
    HeartbeatsHeard,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PowerRequested,
    Silent,
)
from pmwatchd.core.model import (
    Action,
    AliveCheck,
    Grace,
    Opinion,
    PowerStatus,
)
from pmwatchd.core.orders import Order, ProbeHost, RunAgent
from tests.core.scene import ALONE, BASTION, CANARY, RULES, Scene, agent, dead, host, ruled

NODE = host("node7", agent())
OTHER = host("node8", agent())


class Slow(Scene):
    """A heartbeat that nobody answers takes its time-out, as a real one does."""

    def _obey(self, order: Order) -> None:
        if isinstance(order, ProbeHost) and not self.alive[order.host.name]:
            self.later(order.host.heartbeat.timeout_s, partial(self._probed, order))
            return
        super()._obey(order)


def power(scene: Scene, action: Action) -> None:
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=action, by="ann"))


def test_a_slow_alive_check_on_a_site_of_one_host_does_not_forgive_it_for_ever() -> None:
    scene = dead(
        replace(BASTION, alive_check=AliveCheck(command=("x",), timeout_s=20)), rules=ALONE
    )
    scene.check_s = 9.5
    scene.run(900)

    assert scene.commands()[:1] == ["off"]


def test_a_bastion_that_is_lost_now_and_then_does_not_forgive_a_dead_host_for_ever() -> None:
    scene = dead(replace(BASTION, grace=Grace(period_s=60, failures=3)), rules=ALONE)
    for _ in range(40):
        scene.opinions["bastion.example"] = Opinion.NONE
        scene.run(15)
        scene.opinions.clear()
        scene.run(50)

    assert scene.commands()[:1] == ["off"]


def test_a_canary_that_comes_and_goes_is_one_illness_and_is_shown_as_a_hold() -> None:
    scene = dead(NODE, OTHER, rules=ruled(witnesses=0))
    for _ in range(20):
        scene.put(CanaryHeard(CANARY.words, answers=False))
        scene.run(5)
        scene.put(CanaryHeard(CANARY.words, answers=True))
        scene.run(10)

    assert scene.holds() == ["observer_ill"]
    assert scene.events("observer") == ["observer.ill"]


@pytest.mark.parametrize("took_s", [0.1, 8.0, 9.5])
def test_a_slow_bmc_of_a_site_of_one_host_does_not_keep_it_unfenced(took_s: float) -> None:
    scene = Slow(BASTION, rules=ALONE)
    scene.run(10)
    scene.kill()
    scene.switches["node7", "bmc"].took_s = took_s
    scene.run(900)

    assert "off" in scene.commands()


@pytest.mark.parametrize(("timeout_s", "good_for_s"), [(2.0, 10.0), (5.0, 10.0), (12.0, 17.0)])
def test_after_a_last_look_there_are_5_s_at_least_to_begin_its_off(
    timeout_s: float, good_for_s: float
) -> None:
    beat = replace(NODE.heartbeat, interval_s=30.0, timeout_s=timeout_s)
    scene = Slow(replace(NODE, heartbeat=beat), OTHER, rules=RULES)
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    (off,) = [o for o in scene.orders if isinstance(o, RunAgent) and o.looked_at is not None]

    assert off.look_good_for_s == good_for_s


@pytest.mark.parametrize("timeout_s", [2.0, 8.0, 10.0])
def test_a_dead_host_is_fenced_however_long_its_heartbeat_is_waited_for(timeout_s: float) -> None:
    beat = replace(NODE.heartbeat, interval_s=12.0, timeout_s=timeout_s)
    scene = Slow(replace(NODE, heartbeat=beat), OTHER, rules=RULES)
    scene.run(10)
    scene.kill()
    scene.run(600)

    assert "off" in scene.commands()


def test_who_fell_silent_with_us_begins_anew_though_its_own_interval_is_short() -> None:
    beat = replace(NODE.heartbeat, interval_s=1.0, timeout_s=0.5)
    scene = Scene(replace(NODE, heartbeat=beat), OTHER, host("node9", agent()))
    scene.run(10)
    for name in scene.hosts:
        scene.kill(name)
    scene.run(12)  # so long it may take until the canary is missed
    scene.put(CanaryHeard(CANARY.words, answers=False))
    scene.run(60)
    scene.alive["node8"] = scene.alive["node9"] = True
    scene.put(CanaryHeard(CANARY.words, answers=True))
    scene.later(15.0, lambda: scene.alive.update(node7=True))  # its switch port takes its time
    scene.run(60)

    assert scene.commands() == []


def test_a_hold_that_others_keep_up_is_told_once_though_the_alive_check_is_slow() -> None:
    scene = dead(replace(NODE, alive_check=AliveCheck(command=("x",), timeout_s=20)), OTHER)
    scene.check_s = 15.0
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(300)

    assert scene.commands() == []
    assert scene.events("hold") == ["hold.began"]


def test_that_a_person_keeps_the_only_host_off_is_no_illness_of_ours() -> None:
    scene = Scene(BASTION, rules=ALONE)
    scene.run(10)
    power(scene, Action.OFF)
    scene.until("fence.closed")
    scene.run(300)

    assert scene.fleet.alerts() == ()


def test_a_boot_that_began_long_after_our_illness_is_not_waited_for_that_much_longer() -> None:
    scene = dead(NODE, rules=ALONE)
    scene.run(3600)
    scene.boots = False
    power(scene, Action.RESTART)
    scene.until("fence.on_proven")
    scene.run(NODE.boot_timeout_s + 30)

    assert scene.status() != "booting"


def test_the_answer_to_a_doubt_that_is_void_is_no_last_look() -> None:
    scene = Slow(NODE, OTHER)
    scene.run(10)
    power(scene, Action.OFF)
    while not any(isinstance(order, ProbeHost) for order in scene.orders):
        scene.run(0.01)
    scene.switches["node7", "bmc"].power = PowerStatus.ON  # before it was read off twice
    scene.run(10)

    assert "hold.began" not in scene.events()


def test_the_grace_after_a_maintenance_begins_at_its_end_though_silence_is_noticed_later() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    scene.ask(lambda n: MaintenanceRequested(request=n, host="node7", by="ann", reason="disk"))
    answered_at = scene.now
    scene.hears = False
    scene.kill()
    scene.run(15)
    scene.ask(lambda n: MaintenanceEndRequested(request=n, host="node7", by="ann"))
    ended_at = scene.now
    for _ in range(12):
        scene.put(HeartbeatsHeard(silent=(Silent("node7", answered_at),)))
        scene.run(2)
        if "fence.opened" in scene.events():
            break

    assert scene.now - ended_at >= NODE.grace.period_s
