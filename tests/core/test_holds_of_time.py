"""What holds for a time: maintenance that has ended, grace that goes on, doubts that are old."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.events import MaintenanceEndRequested, MaintenanceRequested
from pmwatchd.core.model import FenceAction, Grace, PowerStatus
from pmwatchd.core.rules import DomainRule, StormRules
from tests.core.scene import RULES, SAFETY, Scene, agent, host

GRACE_S = 20.0
WITHIN_S = 30.0
INSPECTED = replace(
    RULES, safety=replace(SAFETY, startup_hold_s=WITHIN_S, inspect_every_s=100 * WITHIN_S)
)
READ_EVERY_S = 10.0


def in_maintenance(*, for_s: float | None) -> Scene:
    """A host that went down in its maintenance long ago."""
    scene = Scene(host("node7", agent()))
    scene.run(6.0)
    scene.ask(
        lambda n: MaintenanceRequested(
            request=n, host="node7", by="eva", reason="disk", for_s=for_s
        )
    )
    scene.kill()
    scene.run(3 * GRACE_S)
    assert scene.holds() == ["maintenance"]
    return scene


def assert_it_has_its_grace_from_now_on(scene: Scene) -> None:
    assert scene.status() == "connecting"
    scene.run(GRACE_S - 1.0)
    assert scene.events("fence.opened") == []
    scene.until("fence.off_proven")


def test_silence_within_a_maintenance_does_not_count_when_a_person_ends_it() -> None:
    scene = in_maintenance(for_s=None)
    scene.ask(lambda n: MaintenanceEndRequested(request=n, host="node7", by="eva"))
    assert_it_has_its_grace_from_now_on(scene)


def test_silence_within_a_maintenance_does_not_count_when_its_time_is_over() -> None:
    scene = in_maintenance(for_s=3 * GRACE_S + 1.0)
    scene.until("maintenance.ended")
    assert_it_has_its_grace_from_now_on(scene)


def test_hosts_that_are_silent_within_their_grace_count_in_a_storm() -> None:
    storm = StormRules(domains=(DomainRule(by="fleet"),), cooldown_s=0.0)
    patient = Grace(period_s=20 * GRACE_S, failures=3)
    scene = Scene(
        host("quick", agent("q")),
        host("slow-a", agent("a"), grace=patient),
        host("slow-b", agent("b"), grace=patient, address="10.1.0.1"),
        host("alive", agent("c"), address="10.1.0.2"),
        rules=replace(RULES, safety=replace(SAFETY, storm=storm)),
    )
    scene.run(6.0)
    for name in ("quick", "slow-a", "slow-b"):
        scene.kill(name)
    scene.run(3 * GRACE_S)
    assert scene.status("slow-a") == scene.status("slow-b") == "connecting"
    assert scene.holds("quick") == ["storm"]
    assert scene.events("fence.opened") == []
    scene.alive["slow-b"] = True
    scene.until("fence.off_proven")


def fed_twice() -> Scene:
    """A host with two feeds that was read soon after the start, and is not again for long."""
    feeds = (agent("feed-a", address="a.mgmt"), agent("feed-b", address="b.mgmt"))
    scene = Scene(host("node7", *feeds), rules=INSPECTED)
    scene.run(WITHIN_S + 1.0)
    return scene


def assert_nothing_is_called_miswired(scene: Scene) -> None:
    assert "miswired" not in {fields["alert"] for fields in scene.fields("alert.raised")}


def test_what_we_switched_off_is_no_sign_of_wrong_wires_even_if_a_maintenance_comes_between() -> (
    None
):
    scene = fed_twice()
    scene.switches["node7", "feed-b"].stuck = {FenceAction.ON}
    scene.kill()
    scene.until("fence.closed")
    scene.until("fence.agent_executed")  # feed-b is off, and read for the first time
    scene.run(1.0)
    scene.ask(lambda n: MaintenanceRequested(request=n, host="node7", by="eva", reason="fuse"))
    scene.run(1.0)
    scene.ask(lambda n: MaintenanceEndRequested(request=n, host="node7", by="eva"))
    scene.run(READ_EVERY_S + 1.0)
    assert "degraded_power" in scene.alerts()
    assert_nothing_is_called_miswired(scene)


def test_what_was_read_of_a_host_that_boots_is_no_sign_of_wrong_wires() -> None:
    scene = fed_twice()
    scene.boot_s = 1.5 * READ_EVERY_S
    scene.kill()
    scene.until("fence.on_proven")
    scene.run(1.0)
    scene.switches["node7", "feed-b"].power = PowerStatus.OFF
    scene.until("fence.agent_executed")  # it boots, and its power is looked after
    assert scene.status() == "booting"
    scene.until("watch.answered")
    scene.run(1.5 * READ_EVERY_S)
    assert_nothing_is_called_miswired(scene)
