"""What the client shows and changes besides power."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pmwatchd.core.events import MaintenanceRequested, VouchRequested
from pmwatchd.core.model import Action, Alert, HoldName, HostStatus, Outcome
from pmwatchd.core.orders import Accepted, Refused
from pmwatchd.core.views import Hold, RaisedAlert
from pmwatchd.errors import Fault
from pmwatchd.ports import Reloaded
from tests.cli.scripted import Run, ScriptedDaemon, operation, view


def test_status_counts_the_fleet_and_names_the_hosts_that_are_not_up(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.views["node3"] = view("node3", HostStatus.NON_RESPONSIVE)

    said = run("status")

    assert said.code == 0
    assert "3: 2 up, 1 non_responsive" in said.out
    assert "node3" in said.out
    assert "node1" not in said.out


def test_status_shows_at_most_a_screen_of_hosts_and_says_how_many_more_there_are(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.views = {f"node{n}": view(f"node{n}", HostStatus.UNKNOWN) for n in range(50)}

    said = run("status")

    assert said.out.count("10.0.0.") == 20
    assert "and 30 more" in said.out


def test_status_tells_alerts_of_the_whole_site(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.site_alerts = (
        RaisedAlert(name=Alert.INVENTORY_REFUSED, since_at=0, reason="b.toml: unknown key"),
    )

    assert "b.toml: unknown key" in run("status").out


@pytest.mark.parametrize("verb", ["status", "show"])
def test_one_host_is_shown_with_its_holds_alerts_and_agents(
    daemon: ScriptedDaemon, run: Run, verb: str
) -> None:
    daemon.script.views["node1"] = replace(
        view("node1"),
        holds=(Hold(name=HoldName.STARTUP, since_at=0, reason="not answered since the start"),),
        alerts=(RaisedAlert(name=Alert.LEFT_OFF, since_at=0, reason="op_1 was cancelled"),),
    )

    said = run(verb, "node1")

    assert said.code == 0
    for word in ("node1", "blue", "rack=r1", "not answered since", "op_1 was", "node1-bmc"):
        assert word in said.out


def test_hosts_are_chosen_by_status_cluster_and_labels(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.views["node3"] = view("node3", HostStatus.OFF, cluster="red")

    def names(*words: str) -> list[str]:
        return [host["name"] for host in run("hosts", "--json", *words).document["items"]]

    assert names() == ["node1", "node2", "node3"]
    assert names("--status", "off") == ["node3"]
    assert names("--cluster", "blue") == ["node1", "node2"]
    assert names("--label", "rack=r1", "--label", "rack=r2") == []
    assert run("hosts", "--status", "sleepy").code == 2


def test_a_fleet_of_many_pages_is_listed_whole(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.views = {f"node{n:04}": view(f"node{n:04}") for n in range(1200)}

    said = run("hosts")

    assert len(said.out.splitlines()) == 1201


def test_history_lists_operations_newest_first(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.began = [
        operation("op_1", "node1", Action.RESTART, Outcome.DONE),
        operation("op_2", "node2", Action.OFF, None),
    ]

    table = run("history").out.splitlines()
    assert [line.split()[0] for line in table[:1]] == ["OPENED"]
    assert "op_2" in table[1]
    assert "(off_sent)" in table[1]
    assert "12s" in table[2]
    listed = run("history", "node1", "--since", "2h", "--json").document["items"]
    assert [one["id"] for one in listed] == ["op_1"]
    assert len(run("history", "--limit", "1", "--json").document["items"]) == 1


def test_events_are_told_as_sentences_or_as_lines_of_json(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.tell(1, "watch.non_responsive", host="node1")
    daemon.tell(2, "watch.answered", host="node2")

    assert "node1 is non-responsive" in run("events").out
    lines = run("events", "--host", "node2", "--json").out.splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [2]


def test_maintenance_begins_with_a_reason_and_an_end_and_can_be_ended(
    daemon: ScriptedDaemon, run: Run
) -> None:
    assert run("maintenance", "start", "node1").code == 2
    said = run("maintenance", "start", "node1", "--reason", "disks", "--for", "2h")
    assert said.code == 0
    assert "until" in said.out
    (event,) = daemon.script.asked
    assert isinstance(event, MaintenanceRequested)
    assert (event.reason, event.for_s) == ("disks", 7200)
    assert "without end" in run("maintenance", "start", "node1", "--reason", "disks").out
    assert run("maintenance", "end", "node1", "--json").document["maintenance"] is None
    assert run("maintenance", "start", "node1", "--reason", "x", "--for", "a while").code == 2
    assert run("maintenance", "end", "nodeX").code == 4


def test_a_maintenance_that_is_refused_names_the_option_as_it_was_typed(run: Run) -> None:
    said = run("maintenance", "start", "node1", "--reason", "x", "--for", "0s")

    assert said.code == 2
    assert "Error: for must be a duration above 0" in said.err


def test_reload_says_what_was_added_changed_and_removed(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.result = Reloaded(added=("node7", "node8"), removed=("node1",), warnings=("w",))

    said = run("reload", "--allow-removal")

    assert (said.code, said.out) == (0, "added: node7, node8\nremoved: node1\n")
    assert said.err == "warning: w\n"
    assert daemon.script.allowed == [True]


def test_a_faulty_reload_names_every_fault_and_changes_nothing(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.result = Reloaded(
        faults=(
            Fault("hosts.d/a.toml", "hosts.node1.address", "is missing", "Add it"),
            Fault("hosts.d/b.toml", "hosts.node2.adress", "unknown key", "Did you mean 'address'?"),
        )
    )

    said = run("reload")

    assert said.code == 2
    assert said.out == ""
    for word in ("hosts.node1.address", "Add it", "hosts.node2.adress", "Did you mean", "2 faults"):
        assert word in said.err
    assert len(run("reload", "--json").document["faults"]) == 2


def test_a_persons_word_for_an_off_needs_a_reason_and_a_yes_without_a_terminal(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.answers["node1"] = Accepted(operation="op_9")
    assert run("confirm-off", "node1", "--yes").code == 2
    assert run("confirm-off", "node1", "--reason", "cable is out").code == 2
    assert daemon.script.asked == []
    said = run("confirm-off", "node1", "--reason", "cable is out", "--yes")

    assert (said.code, "op_9" in said.out) == (0, True)
    (event,) = daemon.script.asked
    assert isinstance(event, VouchRequested)
    assert event.reason == "cable is out"


def test_a_persons_word_against_a_host_that_answers_is_refused(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.script.answers["node1"] = Refused(type="host-answers", reason="node1 answers")

    assert run("confirm-off", "node1", "--reason", "cable is out", "--yes").code == 4
