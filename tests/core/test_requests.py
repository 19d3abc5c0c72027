"""Behaviour 9: a person's commands."""

from __future__ import annotations

from pmwatchd.core.events import (
    AgentReplied,
    Answered,
    CancelRequested,
    Event,
    HeartbeatsHeard,
    HostProbed,
    JournalFailed,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    Silent,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import (
    Action,
    AgentResult,
    FenceAction,
    Liveness,
    PowerStatus,
    ProbeResult,
    Reply,
)
from pmwatchd.core.orders import Accepted, Order, PowerRead, Refused
from tests.core.scene import Scene, agent, host, hung


def up(*agents: object) -> Scene:
    scene = Scene(host("node7", *(agents or (agent(),))))  # type: ignore[arg-type]
    scene.run(10)
    return scene


def power(scene: Scene, action: Action, name: str = "node7") -> Accepted | Refused | PowerRead:
    answer = scene.ask(
        lambda n: PowerRequested(request=n, host=name, action=action, by="ann", reason="dust")
    )
    assert answer is not None
    return answer


def status(scene: Scene, name: str = "node7") -> Accepted | Refused | PowerRead:
    request = 0

    def make(n: int) -> PersonEvent:
        nonlocal request
        request = n
        return StatusRequested(request=n, host=name, by="ann")

    scene.ask(make)
    scene.run(1)
    return scene.answers[request]


def cancel(scene: Scene) -> Accepted | Refused | PowerRead | None:
    return scene.ask(lambda n: CancelRequested(request=n, host="node7", by="ann", reason="enough"))


def maintain(scene: Scene, for_s: float | None = None) -> Accepted | Refused | PowerRead | None:
    return scene.ask(
        lambda n: MaintenanceRequested(
            request=n, host="node7", by="ann", reason="disk", for_s=for_s
        )
    )


def end(scene: Scene) -> Accepted | Refused | PowerRead | None:
    return scene.ask(lambda n: MaintenanceEndRequested(request=n, host="node7", by="ann"))


def test_a_host_that_nobody_watches_is_unknown() -> None:
    assert power(up(), Action.OFF, "node99") == Refused(
        type="unknown-host", reason="no host node99 is watched"
    )


def test_a_persons_off_puts_the_host_in_maintenance_without_expiry() -> None:
    scene = up()
    power(scene, Action.OFF)
    scene.run(300)
    view = scene.fleet.host("node7")

    assert scene.commands() == ["off"]
    assert scene.status() == "maintenance"
    assert view is not None
    assert view.maintenance is not None
    assert (view.maintenance.by, view.maintenance.until_at) == ("ann", None)
    assert scene.holds() == ["maintenance"]


def test_a_persons_off_that_fails_leaves_a_host_that_was_kept_off_in_its_maintenance() -> None:
    scene = up(agent("a"), agent("b"))
    power(scene, Action.OFF)
    scene.run(30)
    scene.boots = False
    for name in "ab":  # somebody pressed a button
        scene.switches["node7", name].power = PowerStatus.ON
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    power(scene, Action.OFF)
    scene.run(300)

    assert scene.outcomes() == ["done", "failed"]
    assert scene.status() == "maintenance"
    assert [fields["cause"] for fields in scene.fields("fence.opened")] == ["person"] * 2


def test_a_persons_on_ends_that_maintenance() -> None:
    scene = up()
    power(scene, Action.OFF)
    scene.run(30)
    power(scene, Action.ON)
    scene.run(30)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "up"
    assert "maintenance.ended" in scene.events()


def test_a_persons_command_needs_no_last_look_and_no_grace() -> None:
    scene = up()
    power(scene, Action.RESTART)
    scene.run(30)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "up"


def test_an_on_for_a_host_that_is_on_sends_nothing_and_leaves_it_up() -> None:
    scene = up()
    power(scene, Action.ON)
    scene.run(2)

    assert scene.commands() == []
    assert scene.outcomes() == ["done"]
    assert scene.status() == "up"


def test_an_on_that_fails_is_not_pursued() -> None:
    scene = up()
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.ON)
    scene.run(60)

    assert scene.outcomes() == ["failed"]


def test_an_on_tries_the_secondary_when_the_primary_cannot_be_read() -> None:
    scene = up(agent("bmc"), agent("pdu", order=2))
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.switches["node7", "pdu"].power = PowerStatus.OFF
    power(scene, Action.ON)
    scene.run(30)

    assert scene.commands(switch="pdu") == ["on"]
    assert scene.outcomes() == ["done"]


def test_the_identical_command_joins_the_running_operation() -> None:
    scene = up()
    first = power(scene, Action.RESTART)
    second = power(scene, Action.RESTART)

    assert first == Accepted(operation="op_1_1")
    assert second == Accepted(operation="op_1_1", joined=True)


def test_another_command_is_refused_and_the_running_operation_named() -> None:
    scene = up()
    power(scene, Action.RESTART)
    refused = power(scene, Action.OFF)

    assert isinstance(refused, Refused)
    assert (refused.type, refused.operation) == ("host-busy", "op_1_1")


def test_a_host_without_agents_cannot_be_switched_or_read() -> None:
    scene = Scene(host("node7"))
    scene.run(10)

    assert isinstance(power(scene, Action.OFF), Refused)
    assert isinstance(status(scene), Refused)


def test_the_daemons_own_host_is_never_switched() -> None:
    scene = Scene(host("node7", agent(), engine=True))
    scene.run(10)
    refused = power(scene, Action.RESTART)

    assert isinstance(refused, Refused)
    assert refused.type == "held"
    assert "this daemon runs on the host" in refused.reason


def test_without_a_journal_no_command_is_taken() -> None:
    scene = up()
    scene.put(JournalFailed(frozenset(), "disk full"))

    assert isinstance(power(scene, Action.RESTART), Refused)
    assert isinstance(maintain(scene), Refused)


def test_a_status_names_every_agents_reading_and_the_verdict() -> None:
    scene = up(agent("a"), agent("b"))
    scene.switches["node7", "b"].power = PowerStatus.OFF

    assert status(scene) == PowerRead(
        power=PowerStatus.ON, agents={"a": PowerStatus.ON, "b": PowerStatus.OFF}
    )


def test_the_first_group_that_can_be_read_decides_what_a_host_is() -> None:
    scene = up(agent("pdu", order=2), agent("bmc", order=1))
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    read = status(scene)
    assert isinstance(read, PowerRead)
    assert (read.power, list(read.agents)) == (PowerStatus.OFF, ["bmc", "pdu"])
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    read = status(scene)

    assert isinstance(read, PowerRead)
    assert read.power is PowerStatus.ON


def test_a_status_that_could_not_be_read_says_why() -> None:
    scene = up(agent("a"), agent("b"))
    scene.switches["node7", "a"].power = PowerStatus.OFF
    scene.switches["node7", "b"].unreadable = AgentResult.AUTH_ERROR
    read = status(scene)

    assert isinstance(read, PowerRead)
    assert read.power is PowerStatus.UNKNOWN
    assert read.reasons == {"b": "no way"}


def test_a_status_of_a_host_that_vanished_meanwhile_is_still_answered() -> None:
    scene = up()
    scene.put(StatusRequested(request=7, host="node7", by="ann"))
    scene.load()
    scene.run(1)

    assert isinstance(scene.answers[7], PowerRead)


def test_a_reading_of_all_on_clears_degraded_power() -> None:
    scene = up(agent("a"), agent("b"))
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.closed")
    assert scene.alerts() == {"degraded_power"}
    scene.switches["node7", "b"].power = PowerStatus.ON
    status(scene)

    assert scene.alerts() == set()


def test_cancel_ends_the_pursuit_of_on_and_leaves_the_alert() -> None:
    scene = up()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.on_failed")
    assert cancel(scene) == Accepted(operation="op_1_1")
    scene.run(60)

    assert scene.outcomes()[0] == "cancelled"
    assert scene.fields("fence.closed")[0]["by"] == "ann"


def test_a_host_that_is_off_too_shortly_to_be_missed_is_left_off_by_a_cancel() -> None:
    scene = up()
    scene.run(0.6)
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.off_proven")
    scene.run(0.5)
    assert scene.fleet.hosts()[0].liveness is Liveness.UP
    cancel(scene)
    scene.run(1)
    assert scene.alerts() == {"left_off"}
    scene.run(300)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "maintenance"


def test_cancelling_an_on_that_switched_nothing_off_leaves_nothing_off() -> None:
    scene = up()
    scene.kill()
    scene.switches["node7", "bmc"].power = PowerStatus.OFF
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.ON)
    scene.until("fence.intended")
    scene.run(1)
    cancel(scene)
    scene.run(5)

    assert scene.outcomes() == ["cancelled"]
    assert scene.alerts() == set()


def test_a_cancelled_pursuit_leaves_the_host_off_and_says_so() -> None:
    scene = up()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.on_failed")
    cancel(scene)
    assert scene.alerts() == {"left_off"}
    scene.run(600)  # a person may have hands in the machine

    assert scene.commands()[-1:] == ["on"]
    assert scene.switches["node7", "bmc"].power is PowerStatus.OFF
    assert scene.status() == "maintenance"


def test_a_host_that_answers_is_not_left_off_by_whatever_is_pursued() -> None:
    scene = up(agent("a"), agent("b"))
    scene.kill()
    scene.boots = False
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.switches["node7", "a"].stuck = {FenceAction.ON}
    scene.switches["node7", "b"].unreadable = None
    scene.until("fence.restoring")
    scene.switches["node7", "b"].unreadable = AgentResult.ERROR
    scene.until("fence.on_failed")
    assert "left_off" in scene.alerts()
    scene.alive["node7"] = True
    scene.run(30)
    assert "left_off" not in scene.alerts()
    cancel(scene)
    scene.run(15)

    assert "left_off" not in scene.alerts()
    assert scene.status() == "up"


def test_a_reading_of_all_on_clears_left_off() -> None:
    scene = up()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.on_failed")
    cancel(scene)
    scene.run(1)
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    status(scene)

    assert scene.alerts() == set()


def test_cancel_waits_for_a_command_that_is_on_its_way() -> None:
    scene = up()
    scene.switches["node7", "bmc"].took_s = 2.0
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.off_proven")
    assert cancel(scene) == Accepted(operation="op_1_1")
    assert scene.outcomes() == []
    scene.run(2.1)

    assert scene.outcomes() == ["cancelled"]


def killed(scene: Scene) -> Scene:
    """The daemon is killed now, and starts again at once."""
    return Scene(*scene.hosts.values(), after=scene, at=scene.now)


def test_a_cancel_that_waits_for_a_command_is_remembered_by_a_restart() -> None:
    scene = up()
    scene.switches["node7", "bmc"].took_s = 2.0
    power(scene, Action.RESTART)
    scene.until("fence.off_proven")
    assert cancel(scene) == Accepted(operation="op_1_1")
    later = killed(scene)
    commands = later.commands()
    later.run(300)

    assert later.outcomes() == ["cancelled"]
    assert later.commands() == commands
    assert later.status() == "maintenance"
    assert later.alerts() == {"left_off"}


def test_the_pursuit_of_on_can_be_cancelled_while_it_waits_for_what_a_former_start_left() -> None:
    scene = up()
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.off_proven")
    later = killed(scene)
    assert cancel(later) == Accepted(operation="op_1_1")
    assert later.outcomes() == []
    later.run(300)

    assert later.outcomes() == ["cancelled"]
    assert later.alerts() == {"left_off"}


def test_a_cancel_that_waits_for_one_command_has_nothing_to_do_until_it_is_over() -> None:
    scene = up(agent("a"), agent("b"))
    scene.switches["node7", "a"].stuck = {FenceAction.ON}
    power(scene, Action.RESTART)
    scene.until("fence.intended")
    scene.switches["node7", "b"].took_s = 3.0
    scene.until("fence.off_proven")
    scene.run(0.3)
    assert cancel(scene) == Accepted(operation="op_1_1")
    scene.run(1)
    due_at = scene.fleet.next_deadline()
    assert due_at is None or due_at > scene.now
    scene.run(5)

    assert scene.outcomes() == ["cancelled"]


def test_an_off_under_way_cannot_be_taken_back() -> None:
    scene = up()
    power(scene, Action.OFF)
    refused = cancel(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "host-busy"


def test_cancel_ends_a_backoff() -> None:
    scene = up()
    scene.kill()
    scene.switches["node7", "bmc"].unreadable = AgentResult.AUTH_ERROR
    scene.until("fence.closed")
    assert scene.status() == "failed"
    assert cancel(scene) == Accepted()

    assert scene.events("fence.opened") == ["fence.opened"] * 2


def test_there_must_be_something_to_cancel() -> None:
    refused = cancel(up())

    assert isinstance(refused, Refused)
    assert refused.type == "nothing-to-cancel"


def test_maintenance_ends_by_itself_and_the_grace_period_is_over_by_then() -> None:
    scene = up()
    assert maintain(scene, for_s=60.0) == Accepted()
    scene.kill()
    scene.run(59)
    assert (scene.status(), scene.holds()) == ("maintenance", ["maintenance"])
    assert scene.commands() == []
    scene.run(40)

    assert scene.commands() == ["off", "on"]
    told = [name.removeprefix("maintenance.") for name in scene.events("maintenance")]
    assert told == ["began", "end_announced", "ended"]


def test_maintenance_ends_by_a_persons_word() -> None:
    scene = up()
    maintain(scene)
    assert end(scene) == Accepted()
    assert scene.status() == "up"
    refused = end(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "not-in-maintenance"


def test_a_maintenance_that_keeps_a_host_off_is_not_replaced_by_one_that_ends() -> None:
    scene = up()
    power(scene, Action.OFF)
    scene.run(30)
    refused = maintain(scene, for_s=60.0)

    assert isinstance(refused, Refused)
    assert refused.type == "kept-off"


def test_a_persons_restart_leaves_the_maintenance_that_somebody_declared() -> None:
    scene = up()
    maintain(scene)
    power(scene, Action.RESTART)
    scene.run(60)

    assert scene.commands() == ["off", "on"]
    assert scene.status() == "maintenance"


def vouch(scene: Scene) -> Accepted | Refused | PowerRead:
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.run(1)
    return scene.answers[77]


def unreadable(*agents: object) -> Scene:
    """A dead host whose BMC has lost its power too."""
    scene = up(*agents)
    scene.kill()
    scene.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    scene.until("fence.opened")
    return scene


def test_a_persons_word_ends_the_off_part_of_a_running_operation() -> None:
    scene = unreadable()
    assert vouch(scene) == Accepted(operation="op_1_1")
    (proven,) = scene.fields("fence.off_proven")
    assert (proven["vouched_by"], proven["reason"]) == ("ann", "cable is out")
    scene.switches["node7", "bmc"].unreadable = None
    scene.run(60)

    assert scene.outcomes() == ["done"]


def test_a_persons_word_without_an_operation_keeps_the_host_off() -> None:
    scene = unreadable()
    scene.until("fence.closed")
    assert vouch(scene) == Accepted(operation="op_1_2")
    scene.run(300)

    assert scene.outcomes() == ["failed", "done"]
    assert scene.status() == "maintenance"
    assert scene.commands() == []


def test_a_host_that_a_person_vouched_for_is_not_unfenced_any_more() -> None:
    scene = unreadable()
    scene.until("fence.closed")
    scene.run(1)
    assert scene.alerts() == {"unfenced"}
    vouch(scene)
    scene.run(60)

    assert scene.status() == "maintenance"
    assert scene.alerts() == set()


def test_without_a_journal_nobody_can_vouch() -> None:
    scene = unreadable()
    scene.until("fence.closed")
    scene.put(JournalFailed(frozenset(), "disk full"))
    refused = vouch(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "journal-unwritable"
    assert scene.status() == "failed"


def test_nobody_can_vouch_for_a_host_that_answers() -> None:
    scene = unreadable()
    scene.alive["node7"] = True
    refused = vouch(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "host-answers"


def test_an_answer_to_the_question_whether_it_is_off_counts_as_any() -> None:
    scene = unreadable()
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.put(HostProbed("node7", "query_77", 0, ProbeResult.ALIVE))

    assert scene.fleet.hosts()[0].liveness is Liveness.UP


def test_nobody_can_vouch_for_a_host_that_answered_while_the_question_was_open() -> None:
    scene = unreadable()
    scene.switches["node7", "bmc"].took_s = 4.0
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.run(1)
    scene.put(HeartbeatsHeard((Answered("node7", scene.now),)))
    scene.put(HeartbeatsHeard((), (Silent("node7", scene.now),)))
    scene.run(5)
    refused = scene.answers[77]

    assert isinstance(refused, Refused)
    assert refused.type == "host-answers"


def test_nobody_can_vouch_against_an_agent_that_reads_on() -> None:
    scene = unreadable(agent("bmc"), agent("pdu", order=2))
    scene.switches["node7", "pdu"].stuck = {FenceAction.OFF}
    refused = vouch(scene)

    assert isinstance(refused, Refused)
    assert (refused.type, "pdu" in refused.reason) == ("agent-reads-on", True)


def test_nobody_can_vouch_against_what_the_operation_reads_on_meanwhile() -> None:
    scene = unreadable()
    scene.switches["node7", "bmc"].took_s = 3.0
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    on = Reply(result=AgentResult.OK, power=PowerStatus.ON)
    scene.put(AgentReplied("node7", "op_1_1", 2, "bmc", FenceAction.STATUS, on))
    scene.run(4)
    refused = scene.answers[77]

    assert isinstance(refused, Refused)
    assert refused.type == "agent-reads-on"


def test_a_persons_word_comes_too_late_for_an_off_that_is_over() -> None:
    scene = unreadable()
    scene.switches["node7", "bmc"].unreadable = None
    scene.switches["node7", "bmc"].stuck = {FenceAction.ON}
    scene.until("fence.on_failed")
    refused = vouch(scene)

    assert isinstance(refused, Refused)
    assert refused.type == "host-busy"


def test_a_persons_word_comes_too_late_for_a_continued_operation_that_is_past_its_off() -> None:
    scene = up(agent("a"), agent("b"))
    scene.switches["node7", "b"].stuck = {FenceAction.OFF}
    scene.kill()
    scene.boots = False
    scene.until("fence.restoring")
    later = killed(scene)
    for name in "ab":
        later.switches["node7", name].unreadable = AgentResult.UNREACHABLE
    refused = vouch(later)

    assert isinstance(refused, Refused)
    assert refused.type == "host-busy"


def test_a_persons_word_for_a_host_that_vanished_meanwhile_is_refused() -> None:
    scene = Scene(host("node7", agent()))
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.load()
    scene.run(1)

    assert isinstance(scene.answers[77], Refused)


def test_a_persons_word_waits_for_a_command_that_is_on_its_way_and_survives_a_crash() -> None:
    scene = up()
    scene.kill()
    scene.switches["node7", "bmc"].took_s = 3.0
    scene.switches["node7", "bmc"].stuck = {FenceAction.OFF}
    scene.until("fence.intended")
    scene.switches["node7", "bmc"].took_s = 0.1
    later = Scene(*scene.hosts.values(), after=scene, at=scene.now)
    later.switches["node7", "bmc"].unreadable = AgentResult.UNREACHABLE
    assert vouch(later) == Accepted(operation="op_1_1")
    assert "fence.off_proven" not in later.events()
    third = Scene(*scene.hosts.values(), after=later, at=later.now)
    third.run(90)

    assert third.fields("fence.off_proven")[0]["vouched_by"] == "ann"


def test_maintenance_stops_an_operation_that_has_not_switched_anything() -> None:
    scene = up()
    scene.kill()
    scene.until("fence.opened")
    maintain(scene)
    scene.run(30)

    assert scene.commands() == []
    assert scene.outcomes() == ["cancelled"]
    assert "maintenance by ann" in str(scene.fields("fence.closed")[0]["reason"])


def test_a_reply_to_a_question_that_nobody_asked_is_ignored() -> None:
    scene = up()
    reply = AgentReplied(
        "node7", "status_9", 0, "bmc", FenceAction.STATUS, Reply(result=AgentResult.OK)
    )

    assert scene.put(reply) == []


def test_a_persons_word_whose_opening_is_not_durable_keeps_nothing_off() -> None:
    scene = unreadable()
    scene.until("fence.closed")
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    ordinary = scene.fleet.step

    def step(event: Event, now: float) -> list[Order]:  # as the engine, whose commit fails
        orders = ordinary(event, now)
        if not any(getattr(order, "id", "") == "op_1_2" for order in orders):
            return orders
        scene.fleet.step = ordinary  # type: ignore[method-assign]
        return [*orders, *ordinary(JournalFailed(frozenset({"op_1_2"}), "disk full"), now)]

    scene.fleet.step = step  # type: ignore[method-assign]
    scene.run(60)

    assert scene.status() != "maintenance"


def test_a_cancel_after_power_is_proven_on_does_not_keep_the_host_off() -> None:
    scene = hung()
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.until("fence.on_proven")
    scene.put(CancelRequested(request=1, host="node7", by="ann", reason="b is broken"))
    scene.run(3)

    assert scene.outcomes() == ["cancelled"]
    assert "left_off" not in scene.alerts()
    assert scene.status() != "maintenance"


def test_a_word_is_judged_by_everything_that_came_with_the_last_reply() -> None:
    scene = unreadable()
    scene.switches["node7", "bmc"].took_s = 100.0
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.put(HostProbed("node7", "query_77", 0, ProbeResult.SILENT))
    lost = Reply(result=AgentResult.UNREACHABLE)
    on = Reply(result=AgentResult.OK, power=PowerStatus.ON)
    last = AgentReplied("node7", "query_77", 0, "bmc", FenceAction.STATUS, lost)
    scene.fleet.step(last, scene.now)  # and in the same pass:
    scene.put(AgentReplied("node7", "op_1_1", 2, "bmc", FenceAction.STATUS, on))
    refused = scene.answers[77]

    assert isinstance(refused, Refused)
    assert refused.type == "agent-reads-on"


def test_a_word_that_has_taken_effect_is_not_void_because_power_came_back() -> None:
    scene = unreadable()
    assert vouch(scene) == Accepted(operation="op_1_1")
    scene.switches["node7", "bmc"].unreadable = None
    scene.switches["node7", "bmc"].power = PowerStatus.ON
    scene.run(60)

    assert scene.outcomes() == ["done"]


def test_a_word_that_an_agent_contradicts_before_it_takes_effect_ends_as_cancelled() -> None:
    scene = unreadable()
    scene.until("fence.closed")
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.run(0.2)
    on = Reply(result=AgentResult.OK, power=PowerStatus.ON)
    scene.put(AgentReplied("node7", "query_9", 0, "bmc", FenceAction.STATUS, on))
    scene.run(1)

    assert scene.outcomes() == ["failed", "cancelled"]
    assert scene.status() != "maintenance"


def test_a_word_for_a_running_operation_that_is_void_lets_it_go_on() -> None:
    scene = up(agent())
    scene.kill()
    scene.switches["node7", "bmc"].took_s = 3.0
    scene.until("fence.intended")
    scene.put(HostProbed("node7", "nothing", 0, ProbeResult.SILENT))
    scene.fleet.step(VouchRequested(request=77, host="node7", by="ann", reason="x"), scene.now)
    scene.run(60)

    assert scene.outcomes() == ["done"]


def test_a_word_is_void_when_the_host_answered_after_it_and_fell_silent_before_it_counts() -> None:
    scene = unreadable(agent("bmc"))
    scene.switches["node7", "bmc"].took_s = 8.0
    scene.put(VouchRequested(request=77, host="node7", by="ann", reason="cable is out"))
    scene.run(2)
    heard_at = scene.now
    scene.run(2)
    scene.put(HeartbeatsHeard(silent=(Silent("node7", last_answer_at=heard_at),)))
    scene.run(10)

    refused = scene.answers[77]
    assert isinstance(refused, Refused)
    assert refused.type == "host-answers"
