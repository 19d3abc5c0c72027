"""The aggregate: what it sees of many hosts, of the journal, of a reload."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pmwatchd.core import operate, treatment
from pmwatchd.core.events import (
    AgentReplied,
    Answered,
    CancelRequested,
    DeadlineReached,
    HeartbeatsHeard,
    HostProbed,
    JournalFailed,
    JournalRecovered,
    MaintenanceEndRequested,
    MaintenanceRequested,
    ObserverPaused,
    PowerRequested,
    VouchRequested,
)
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import (
    Action,
    AgentResult,
    FenceAction,
    Grace,
    PowerManagement,
    PowerStatus,
    ProbeResult,
    Reply,
)
from pmwatchd.core.orders import Accepted, ProbeHost, RunAgent
from pmwatchd.core.site import Site
from pmwatchd.core.watch import NonResponsive, Up
from tests.core.scene import RULES, SAFETY, Scene, agent, host, hung

NODE = host("node7", agent())
OTHER = host("node8", agent())


def test_healthy_hosts_need_no_deadline() -> None:
    scene = Scene(*(host(f"n{number}", agent()) for number in range(50)))
    scene.run(10)

    assert scene.fleet.next_deadline() is None
    assert [view.host.name for view in scene.fleet.hosts()] == sorted(scene.hosts)


def test_a_host_that_never_answered_is_never_fenced() -> None:
    scene = Scene(NODE)
    scene.kill()
    scene.run(500)

    assert scene.status() == "unknown"
    assert scene.commands() == []
    assert scene.alerts() == {"unfenced"}


def test_a_host_without_agents_is_unprotected_and_when_dead_unfenced() -> None:
    scene = Scene(host("node7"))
    scene.run(10)
    assert scene.alerts() == {"unprotected"}
    scene.kill()
    scene.run(60)

    assert scene.holds() == ["unprotected"]
    assert scene.alerts() == {"unprotected", "unfenced"}
    scene.alive["node7"] = True
    scene.run(10)
    assert (scene.holds(), scene.alerts()) == ([], {"unprotected"})


def test_a_host_that_gets_an_agent_is_not_unfenced_for_the_lack_of_one() -> None:
    scene = Scene(host("node7"))
    scene.run(10)
    scene.kill()
    scene.run(60)
    assert scene.alerts() == {"unprotected", "unfenced"}
    scene.pause(600.0)
    scene.load(NODE)

    assert scene.alerts() == set()


def test_a_host_with_power_management_switched_off_is_unprotected() -> None:
    off = replace(NODE, power_management=PowerManagement(enabled=False, agents=(agent(),)))
    scene = Scene(off)
    assert scene.alerts() == {"unprotected"}
    scene.load(NODE)

    assert scene.alerts() == set()


def test_holds_are_told_when_they_begin_and_when_they_end() -> None:
    before = Scene(NODE)
    before.run(10)
    before.kill()
    scene = Scene(
        NODE, rules=replace(RULES, safety=replace(SAFETY, startup_hold_s=100.0)), after=before
    )
    scene.run(90)
    assert scene.holds() == ["startup"]
    assert scene.commands() == []
    scene.run(40)

    assert scene.events("hold") == ["hold.began", "hold.ended"]
    assert scene.commands() == ["off", "on"]


def test_a_host_seen_alive_since_the_start_is_not_delayed_by_the_startup_hold() -> None:
    scene = Scene(NODE, rules=replace(RULES, safety=replace(SAFETY, startup_hold_s=300.0)))
    scene.run(10)
    scene.kill()
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_a_pause_of_this_process_is_nobodys_silence() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.run(14)
    scene.put(ObserverPaused(for_s=180.0))
    scene.run(19)
    assert scene.commands() == []
    scene.run(30)

    assert scene.commands() == ["off", "on"]


@pytest.mark.parametrize("misses", [0, 1, 2])
def test_nobody_is_fenced_within_a_grace_period_after_a_pause(misses: int) -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.run(0.6 + 5 * misses)
    scene.now += 600.0
    scene.put(ObserverPaused(for_s=600.0))
    scene.run(NODE.grace.period_s - 0.5)

    assert "watch.non_responsive" not in scene.events()


def test_a_single_missed_heartbeat_is_told_and_forgotten() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.run(5)
    scene.alive["node7"] = True
    scene.run(20)

    assert scene.events("watch") == ["watch.answered", "watch.grace_began", "watch.answered"]


def test_news_of_hosts_that_nobody_watches_is_ignored() -> None:
    scene = Scene(NODE)
    scene.put(HeartbeatsHeard((Answered("ghost", 1.0),)))
    scene.put(HostProbed("ghost", "op_9_9", 1, ProbeResult.ALIVE))
    scene.put(HostProbed("node7", "op_9_9", 1, ProbeResult.ALIVE))
    reply = Reply(result=AgentResult.OK)
    scene.put(AgentReplied("ghost", "op_9_9", 1, "bmc", FenceAction.OFF, reply))

    assert scene.fleet.host("ghost") is None
    assert scene.status() == "unknown"


def test_a_host_that_was_powered_on_and_never_answered_here_is_unknown_again() -> None:
    scene = Scene(NODE)
    scene.kill()
    scene.boots = False
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.ask(lambda n: PowerRequested(request=n, host="node7", action=Action.ON, by="ann"))
    scene.run(30)
    assert scene.status() == "booting"
    scene.run(300)

    assert scene.status() == "unknown"
    assert scene.commands() == ["on"]


def test_what_became_ordinary_again_is_saved_as_well() -> None:
    scene = Scene(NODE)
    scene.kill()
    scene.put(MaintenanceRequested(request=1, host="node7", by="ann", reason="disk"))
    assert scene.memories["node7"].maintenance
    scene.put(MaintenanceEndRequested(request=2, host="node7", by="ann"))

    assert not scene.memories["node7"].maintenance


# journal -----------------------------------------------------------------------------------


def test_an_operation_whose_opening_is_not_durable_never_comes_to_be() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("fence.opened")
    scene.put(JournalFailed(frozenset({"op_1_1"}), "disk full"))
    scene.run(60)

    assert scene.commands() == []
    assert scene.holds() == ["journal_unwritable"]
    assert [alert.name for alert in scene.fleet.alerts()] == ["journal_unwritable"]


def test_an_open_operation_is_carried_to_its_end_without_a_journal() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    scene.put(JournalFailed(frozenset(), "disk full"))
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_fencing_goes_on_when_the_journal_has_recovered() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.put(JournalFailed(frozenset(), "disk full"))
    scene.run(60)
    assert scene.commands() == []
    scene.put(JournalRecovered())
    scene.run(60)

    assert scene.fleet.alerts() == ()
    assert scene.commands() == ["off", "on"]


# reload ------------------------------------------------------------------------------------


def test_a_host_that_keeps_its_address_and_probes_keeps_its_state() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.load(replace(NODE, grace=Grace(period_s=50.0)))

    assert scene.status() == "up"


@pytest.mark.parametrize(("period_s", "commands"), [(120.0, []), (15.0, ["off", "on"])])
def test_a_longer_grace_counts_for_a_host_whose_old_one_is_over_a_shorter_changes_nothing(
    period_s: float, commands: list[str]
) -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("watch.non_responsive")
    scene.load(replace(NODE, grace=Grace(period_s=period_s)))
    scene.run(30)

    assert scene.commands() == commands


def test_a_changed_address_leads_back_to_unknown() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.load(replace(NODE, address="10.0.9.9"))

    assert scene.status() == "unknown"


def test_a_host_whose_old_address_is_given_back_is_known_there_and_has_its_whole_grace() -> None:
    scene = Scene(NODE, OTHER)
    scene.run(10)
    scene.load(replace(NODE, address="10.0.9.9"), OTHER)
    scene.kill()
    scene.run(300)
    assert (scene.status(), scene.alerts()) == ("unknown", {"unfenced"})
    scene.load(NODE, OTHER)
    assert (scene.status(), scene.alerts()) == ("connecting", set())
    scene.run(NODE.grace.period_s - 1)
    assert scene.commands() == []
    scene.run(60)

    assert scene.commands() == ["off", "on"]


@pytest.mark.parametrize("stricter", [{"require_all": True}, {"weak_is_silent": True}])
def test_what_only_now_counts_as_silence_leads_back_to_unknown(stricter: dict[str, bool]) -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.load(replace(NODE, heartbeat=replace(NODE.heartbeat, **stricter)))  # type: ignore[arg-type]
    scene.kill()  # it never gave a sign that counts now
    scene.run(120)

    assert scene.status() == "unknown"
    assert scene.commands() == []


def test_a_removed_host_that_comes_back_is_remembered() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.load()
    assert scene.fleet.host("node7") is None
    scene.load(NODE)

    assert scene.status() == "connecting"


def test_a_host_that_comes_back_while_its_operation_runs_is_watched_on() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    scene.load()
    refused = scene.ask(
        lambda n: PowerRequested(request=n, host="node7", action=Action.ON, by="ann")
    )
    assert refused is not None
    scene.load(NODE)
    scene.run(60)

    assert scene.status() == "up"


def test_a_redefined_host_keeps_its_old_definition_until_its_operation_ends() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    moved = agent(address="elsewhere.mgmt")
    scene.load(
        replace(NODE, power_management=PowerManagement(agents=(moved,), proxies=("engine",)))
    )
    scene.run(60)
    devices = {order.agent.address for order in scene.orders if isinstance(order, RunAgent)}

    assert devices == {"bmc.mgmt"}
    assert scene.outcomes() == ["done"]


def test_a_silent_host_that_a_reload_removes_is_not_fenced_any_more() -> None:
    before = Scene(NODE)
    before.run(10)
    before.kill()
    scene = Scene(
        NODE, rules=replace(RULES, safety=replace(SAFETY, startup_hold_s=300.0)), after=before
    )
    scene.run(60)
    assert scene.holds() == ["startup"]
    scene.load(host("node8"), rules=RULES)
    scene.run(60)

    assert scene.commands() == []
    assert "fence.opened" not in scene.events()


def test_a_person_may_end_the_operation_of_a_host_that_was_removed() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    scene.load()
    sent = scene.commands()
    answer = scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann"))
    assert answer == Accepted(operation="op_1_1")
    scene.run(600)

    assert scene.outcomes() == ["cancelled"]
    assert scene.commands() == sent


def test_a_host_that_is_added_again_while_its_operation_runs_gets_a_full_grace() -> None:
    scene = Scene(NODE)
    scene.run(100)
    scene.switches["node7", "bmc"].took_s = 3.0
    scene.put(PowerRequested(request=1, host="node7", action=Action.ON, by="ann"))
    scene.load()
    scene.run(1)
    added_at = scene.now
    scene._last_answer.clear()  # whoever listens begins anew
    scene.kill()
    scene.load(NODE)
    scene.until("watch.non_responsive")

    assert scene.now - added_at >= NODE.grace.period_s


def test_a_maintenance_goes_on_when_its_host_is_added_again_whatever_the_wall_clock_says() -> None:
    scene = Scene(NODE, host("node8"))
    scene.run(10)
    scene.ask(
        lambda n: MaintenanceRequested(
            request=n,
            host="node7",
            by="eva",
            reason="disk",
            for_s=80.0,
            expires_at=datetime(2001, 1, 1, tzinfo=UTC),  # it was set back a while ago
        )
    )
    scene.load(host("node8"))
    scene.run(20)
    scene.load(NODE, host("node8"))
    scene.run(50)
    assert scene.status() == "maintenance"
    scene.run(20)
    assert scene.status() != "maintenance"


def test_an_answer_at_the_old_address_does_not_count_at_the_new_one() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.probe_s = 5.0
    scene.until("fence.agent_executed")
    scene.load(replace(NODE, address="10.0.9.9"))
    (look,) = [order for order in scene.orders if isinstance(order, ProbeHost)]
    scene.put(HostProbed("node7", look.operation, look.turn, ProbeResult.ALIVE))
    assert scene.outcomes() == ["recovered"]
    scene.run(300)

    assert scene.status() == "unknown"
    assert scene.commands() == []


def test_refused_inventory_is_an_alert_until_it_is_mended() -> None:
    scene = Scene(NODE)
    scene.load(NODE, refused="2 faults")
    scene.load(NODE, refused="2 faults")
    assert [alert.reason for alert in scene.fleet.alerts()] == ["2 faults"]
    scene.load(NODE)

    assert scene.fleet.alerts() == ()


def test_operations_can_be_seen_while_they_run_and_after() -> None:
    scene = Scene(NODE)
    scene.run(10)
    scene.kill()
    scene.until("fence.intended")
    (running,) = scene.fleet.operations()
    assert (running.id, running.phase, running.outcome) == ("op_1_1", "off", None)
    scene.run(60)
    (ended,) = scene.fleet.operations()

    assert (ended.id, ended.phase, ended.outcome) == ("op_1_1", "closed", "done")


def test_hosts_that_are_up_serve_as_proxies_and_others_do_not() -> None:
    target = replace(
        NODE, power_management=PowerManagement(agents=(agent(),), proxies=("cluster",))
    )
    scene = Scene(target, host("n1"), host("n2"))
    scene.run(10)
    scene.kill("n1")
    scene.run(6)
    scene.kill()
    scene.until("fence.opened")
    order = next(order for order in scene.orders if isinstance(order, RunAgent))

    assert [candidate.name for candidate in order.chain] == ["n2"]


def test_a_host_that_never_answered_leaves_nothing_behind_when_it_is_removed() -> None:
    scene = Scene(NODE)
    scene.load()
    scene.load(NODE)

    assert scene.status() == "unknown"


def test_a_fresh_heartbeat_of_a_host_that_vanished_is_ignored() -> None:
    scene = Scene(NODE)
    scene.put(VouchRequested(request=7, host="node7", by="ann", reason="cable is out"))
    scene.load()
    scene.put(HostProbed("node7", "query_7", 0, ProbeResult.SILENT))
    scene.run(1)

    assert scene.fleet.host("node7") is None


def test_a_host_kept_off_by_a_person_is_not_degraded_after_a_restart() -> None:
    first = Scene(NODE)
    first.run(10)
    first.put(PowerRequested(request=1, host="node7", action=Action.OFF, by="ann"))
    first.run(20)
    scene = Scene(NODE, after=first, at=first.now + 5)
    scene.run(100)

    assert (scene.status(), scene.alerts()) == ("maintenance", set())
    assert scene.commands() == ["off"]


def test_an_event_for_a_host_without_an_operation_changes_nothing() -> None:
    site = Site(epoch=1, started_at=0.0)
    machine = Machine(host=NODE, watch=Up(0.0))
    operate.fence_step(site, machine, DeadlineReached(), 1.0)

    assert site.orders == []


def test_a_fresh_heartbeat_for_an_operation_that_is_over_changes_nothing() -> None:
    site = Site(epoch=1, started_at=0.0)
    site.answering.add("node8")
    machine = Machine(host=NODE, watch=NonResponsive(0.0, base_at=0.0), seen=True)
    treatment.probed(site, machine, HostProbed("node7", "op_1_1", 3, ProbeResult.SILENT), 1.0)

    assert site.orders == []


def test_a_boot_time_out_ends_though_the_host_was_removed_and_added_again() -> None:
    scene = hung()
    scene.switches["node7", "b"].late_s = 5.0
    scene.until("fence.on_proven")
    node = scene.hosts["node7"]
    scene.load()
    scene.run(1)
    scene.load(node)
    scene.run(70)

    assert scene.status() == "connecting"
