"""``pmwatchd power``."""

from __future__ import annotations

import pytest

from pmwatchd.core.events import CancelRequested, PowerRequested, StatusRequested
from pmwatchd.core.model import Action, Outcome, PowerStatus
from pmwatchd.core.orders import Accepted, PowerRead, Refused
from tests.cli.scripted import Run, ScriptedDaemon, operation, view

ON, OFF, UNKNOWN = PowerStatus.ON, PowerStatus.OFF, PowerStatus.UNKNOWN


def read(power: PowerStatus) -> PowerRead:
    return PowerRead(power=power, agents={"bmc": power}, reasons={})


@pytest.mark.parametrize("power", [ON, OFF])
def test_power_status_is_done_whenever_the_state_was_read(
    daemon: ScriptedDaemon, run: Run, power: PowerStatus
) -> None:
    daemon.script.answers["node1"] = read(power)

    said = run("power", "status", "node1")

    assert (said.code, said.out) == (0, f"node1: {power}  (bmc {power})\n")


def test_a_status_that_could_not_be_read_is_a_failure_with_its_reason(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.answers["node1"] = PowerRead(
        power=UNKNOWN, agents={"bmc": UNKNOWN}, reasons={"bmc": "wrong password"}
    )

    said = run("power", "status", "node1")

    assert said.code == 1
    assert "bmc: wrong password" in said.err


@pytest.mark.parametrize(("power", "code"), [(ON, 0), (OFF, 2), (UNKNOWN, 1)])
def test_exit_code_speaks_as_fence_agents_do(
    daemon: ScriptedDaemon, run: Run, power: PowerStatus, code: int
) -> None:
    daemon.script.answers["node1"] = read(power)

    assert run("power", "status", "node1", "--exit-code").code == code


@pytest.mark.parametrize(
    "words",
    [
        ("power", "status", "--exit-code", "nodeX"),  # refused
        ("power", "status", "--exit-code", "node1", "node2"),  # usage
        ("power", "status", "--exit-code", "node1", "--bogus"),
        ("power", "status", "--exit-code"),
        ("--bogus", "power", "status", "--exit-code", "node1"),
        ("power", "state", "--exit-code", "node1"),
        ("power", "status", "--exit-code", "--timeout", "soon", "node1"),
        ("--url", "http://x", "power", "status", "--exit-code"),
    ],
)
def test_with_exit_code_no_mistake_is_ever_read_as_off(
    daemon: ScriptedDaemon, run: Run, words: tuple[str, ...]
) -> None:
    daemon.script.answers["node1"] = read(OFF)

    assert run(*words).code == 1


def test_several_hosts_are_read_at_once_and_the_gravest_code_wins(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.answers = {"node1": read(ON), "node2": read(UNKNOWN)}

    said = run("power", "status", "node1", "node2", "node1", "--json")

    assert said.code == 1
    assert [(one["host"], one["power"], one["exit_code"]) for one in said.document["items"]] == [
        ("node1", "on", 0),
        ("node2", "unknown", 1),
    ]
    assert [type(event) for event in daemon.script.asked] == [StatusRequested, StatusRequested]


def test_one_host_as_json_is_one_object(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.answers["node1"] = read(OFF)

    said = run("power", "status", "node1", "--json")

    assert said.document["power"] == "off"
    assert said.document["agents"] == {"bmc": "off"}
    assert said.err == ""


@pytest.mark.parametrize("verb", ["off", "on", "restart", "stop", "start", "reboot"])
def test_without_a_terminal_switching_power_needs_yes(
    daemon: ScriptedDaemon, run: Run, verb: str
) -> None:
    said = run("power", verb, "node1")

    assert said.code == 2
    assert "--yes" in said.err
    assert daemon.script.asked == []


@pytest.mark.parametrize(
    ("verb", "action"),
    [
        ("off", Action.OFF),
        ("stop", Action.OFF),
        ("on", Action.ON),
        ("start", Action.ON),
        ("restart", Action.RESTART),
        ("reboot", Action.RESTART),
    ],
)
def test_power_is_switched_awaited_and_the_reason_is_kept(
    daemon: ScriptedDaemon, run: Run, verb: str, action: Action
) -> None:
    said = run("power", verb, "node1", "--yes", "--reason", "fan noise")

    assert said.code == 0
    assert "proven" in said.out
    assert said.err == ""
    (event,) = daemon.script.asked
    assert isinstance(event, PowerRequested)
    assert (event.host, event.action, event.reason) == ("node1", action, "fan noise")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.DONE, 0),
        (Outcome.DEGRADED, 5),
        (Outcome.FAILED, 1),
        (Outcome.CANCELLED, 1),
        (Outcome.RECOVERED, 1),
    ],
)
def test_the_exit_code_follows_the_outcome_of_the_operation(
    daemon: ScriptedDaemon, run: Run, outcome: Outcome, code: int
) -> None:
    daemon.script.outcomes["node1"] = outcome

    said = run("power", "restart", "node1", "--yes", "--json")

    assert said.code == code
    assert said.document["outcome"] == outcome
    assert said.document["id"] == "op_node1"
    assert said.document["exit_code"] == code


def test_an_operation_that_outlasts_the_timeout_still_runs(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.outcomes["node1"] = None

    said = run("power", "off", "node1", "--yes", "--timeout", "50ms")

    assert said.code == 6
    assert "op_node1 still runs" in said.out


def test_a_daemon_that_does_not_answer_in_time_is_no_failure_but_still_running(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.be_silent()

    assert run("power", "status", "node1", "--timeout", "50ms").code == 6


def test_no_wait_returns_with_the_id(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.outcomes["node1"] = None

    said = run("power", "off", "node1", "--yes", "--no-wait", "--json")

    assert said.code == 0
    assert said.document["id"] == "op_node1"
    assert said.document["state"] == "open"


def test_an_identical_command_joins_the_running_operation(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.answers["node1"] = Accepted(operation="op_7", joined=True)

    said = run("power", "off", "node1", "--yes", "--json")

    assert said.code == 0
    assert (said.document["id"], said.document["joined"]) == ("op_7", True)


def test_a_refusal_is_told_with_its_reason(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.answers["node1"] = Refused(
        type="host-busy", reason="operation op_9 is running", operation="op_9"
    )

    said = run("power", "off", "node1", "--yes", "--json")

    assert said.code == 4
    assert said.document["type"] == "host-busy"
    assert said.document["operation"] == "op_9"
    assert said.err == "node1: operation op_9 is running\n"


def test_an_unknown_host_stops_the_command_for_all_others(daemon: ScriptedDaemon, run: Run) -> None:
    said = run("power", "off", "node1", "nodeX", "--yes")

    assert said.code == 4
    assert "nodeX" in said.err
    assert daemon.script.asked == []


def test_several_hosts_go_on_at_once_and_one_refusal_stops_no_other(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.answers["node1"] = Refused(type="self", reason="this daemon runs on it")
    daemon.script.views["node3"] = view("node3")
    daemon.script.outcomes = {"node2": Outcome.DEGRADED, "node3": Outcome.DONE}

    said = run("power", "restart", "node1", "node2", "node3", "--yes", "--json")

    assert [one["exit_code"] for one in said.document["items"]] == [4, 5, 0]
    assert said.code == 4


def test_cancel_needs_no_yes_and_succeeds_when_the_operation_has_ended(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.began.append(operation("op_1", "node1", Action.RESTART, Outcome.CANCELLED))
    daemon.script.answers["node1"] = Accepted(operation="op_1")

    said = run("power", "cancel", "node1", "--reason", "replaced")

    assert said.code == 0
    assert "op_1 has ended: cancelled" in said.out
    assert isinstance(daemon.script.asked[0], CancelRequested)


def test_cancelling_a_backoff_is_done_at_once(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.answers["node1"] = Accepted()

    said = run("power", "cancel", "node1")

    assert (said.code, said.out) == (0, "node1: done\n")


def test_a_host_may_have_any_name(daemon: ScriptedDaemon, run: Run) -> None:
    said = run("power", "off", "../status?x", "--yes")

    assert said.code == 4
    assert "../status?x" in said.err
    assert daemon.script.asked == []


def test_a_typing_mistake_is_told_in_the_same_shape_by_every_verb(run: Run) -> None:
    read, cut = (
        run("power", *words, "nodeX", "--json").document
        for words in (("status",), ("off", "--yes"))
    )

    assert read == cut
    assert (cut["type"], cut["host"], cut["exit_code"]) == ("unknown-host", "nodeX", 4)


def test_a_typing_mistake_among_many_hosts_is_one_sentence_after_the_other(
    daemon: ScriptedDaemon, run: Run
) -> None:
    said = run("power", "off", "node1", "nodeX", "--yes")

    assert said.err == "Error: 'nodeX' is not watched. Nothing was done to the other hosts.\n"
    assert daemon.script.asked == []
