"""``pmwatchd explain`` says why it did, or why it waits."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.model import Action, HoldName, HostStatus, Outcome
from pmwatchd.core.views import Hold, KeeperView, SiteView
from tests.cli.scripted import Run, ScriptedDaemon, operation, view


def test_a_host_that_is_simply_up_is_explained_in_three_lines(
    daemon: ScriptedDaemon, run: Run
) -> None:
    said = run("explain", "node1")

    assert said.code == 0
    assert said.out.splitlines() == [
        "node1 is up since 2026-11-21 09:00:00 UTC.",
        "Its last answer came at 2026-11-21 09:01:00 UTC.",
        "It is fenced by bmc. No operation of it is known.",
    ]
    assert not daemon.script.asked


def test_a_host_that_waits_says_for_what(daemon: ScriptedDaemon, run: Run) -> None:
    hold = Hold(name=HoldName.PAUSED, since_at=70.0, reason="paused by ann: switch work")
    daemon.script.views["node1"] = replace(view("node1", HostStatus.NON_RESPONSIVE), holds=(hold,))
    daemon.script.said = SiteView(paused=KeeperView(by="ann", reason="switch work", until_at=600))
    daemon.tell(1, "watch.non_responsive", host="node1")
    daemon.tell(2, "watch.non_responsive", host="node2")

    said = run("explain", "node1")

    assert "What has to change before it is fenced automatically:" in said.out
    assert "  paused since 2026-11-21 09:01:10 UTC: paused by ann: switch work" in said.out
    assert (
        "    It waits for the end of the pause (2026-11-21 09:10:00 UTC), "
        "or for `pmwatchd resume`." in said.out
    )
    assert "node1 is non-responsive" in said.out
    assert "node2" not in said.out


def test_with_json_the_whole_story_is_one_document(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.tell(1, "watch.grace_began", host="node1")

    document = run("explain", "node1", "--since", "2h", "--json").document

    assert (document["kind"], document["name"]) == ("host", "node1")
    assert [record["event"] for record in document["records"]] == ["watch.grace_began"]
    assert "node1 does not answer" in document["text"]


def test_an_operation_is_explained_by_its_id(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.began = [operation("op_1", "node1", Action.RESTART, Outcome.DONE)]

    said = run("explain", "op_1")

    assert said.code == 0
    assert "Operation op_1: restart of node1, asked for by ann" in said.out
    assert "after 12.0 s: done." in said.out


def test_what_is_not_known_is_refused_in_one_sentence(run: Run) -> None:
    said = run("explain", "node9")

    assert said.code == 4
    assert said.out == ""
    assert said.err == "Error: 'node9' is neither a watched host nor a known operation.\n"
