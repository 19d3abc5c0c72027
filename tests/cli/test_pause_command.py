"""``pause``, ``resume``, ``override storm`` and ``ack``."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.events import (
    AckRequested,
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    ResumeRequested,
)
from pmwatchd.core.orders import Accepted
from pmwatchd.core.views import KeeperView, SiteView
from tests.cli.scripted import Run, ScriptedDaemon, view

PAUSED = KeeperView(by="ann", reason="switch upgrade", until_at=1800.0)


def test_a_pause_has_a_reason_and_an_end(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("pause", "--reason", "switch upgrade").code == 2
    assert run("pause", "--for", "30m").code == 2
    assert daemon.script.asked == []
    said = run("pause", "--reason", "switch upgrade", "--for", "30m")

    assert said.code == 0
    assert "paused until 20" in said.out
    [event] = daemon.script.asked
    assert isinstance(event, PauseRequested)
    assert (event.reason, event.for_s) == ("switch upgrade", 1800)


def test_a_pause_as_json_is_one_document(run: Run) -> None:
    document = run("pause", "--reason", "x", "--for", "30m", "--json").document

    assert document["paused"] is True
    assert document["reason"] == "x"


def test_a_pause_that_would_be_forgotten_is_refused_in_the_words_that_were_typed(
    daemon: ScriptedDaemon, run: Run
) -> None:
    said = run("pause", "--reason", "x", "--for", "31d")

    assert said.code == 2
    assert "Error: for must lie ahead, and at most 30d" in said.err
    assert daemon.script.asked == []


def test_resume_needs_a_yes_without_a_terminal(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.said = SiteView(paused=PAUSED)
    refused = run("resume")
    asked = list(daemon.script.asked)
    said = run("resume", "--yes")

    assert (refused.code, asked) == (2, [])
    assert "--yes" in refused.err
    assert (said.code, said.out) == (0, "Automatic fencing is no longer paused\n")
    assert [type(event) for event in daemon.script.asked] == [ResumeRequested]


def test_what_is_not_paused_cannot_be_resumed(run: Run) -> None:
    said = run("resume", "--yes", "--json")

    assert said.code == 4
    assert said.document["type"] == "not-paused"


def test_a_storm_is_overridden_with_reason_and_end(daemon: ScriptedDaemon, run: Run) -> None:
    for words in (
        (),
        ("--reason", "rack burnt"),
        ("--for", "10m"),
        ("--end", "--for", "10m"),
        ("--end", "--reason", "x"),
    ):
        assert run("override", "storm", *words).code == 2
    assert daemon.script.asked == []
    said = run("override", "storm", "--reason", "rack burnt", "--for", "10m")

    assert said.code == 0
    assert "A storm stops no fencing until 20" in said.out
    [event] = daemon.script.asked
    assert isinstance(event, OverrideRequested)
    assert (event.reason, event.for_s) == ("rack burnt", 600)


def test_the_word_that_a_storm_is_none_can_be_taken_back(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("override", "storm", "--end").code == 4
    daemon.script.said = SiteView(override=PAUSED)

    assert run("override", "storm", "--end").out == "A storm stops fencing again\n"
    assert [type(event) for event in daemon.script.asked] == [OverrideEndRequested] * 2
    assert run("override", "storm", "--end", "--json").document["exit_code"] == 4


def test_status_shows_the_words_for_the_whole_site(daemon: ScriptedDaemon, run: Run) -> None:
    calm = run("status").out
    daemon.script.said = SiteView(
        automatic=False,
        paused=PAUSED,
        override=KeeperView(by="bob", reason="rack burnt", until_at=600.0),
    )
    rough = run("status").out

    for word in ("paused", "override", "safety.automatic"):
        assert word not in calm
    for word in ("paused ", "by ann: switch upgrade", "storm override ", "by bob: rack burnt"):
        assert word in rough
    assert "safety.automatic" in rough
    assert run("status", "--json").document["pause"]["by"] == "ann"


def test_a_host_that_is_only_watched_says_so(daemon: ScriptedDaemon, run: Run) -> None:
    usual = view("node1")
    daemon.script.views["node1"] = replace(usual, host=replace(usual.host, automatic=False))

    assert "safety.automatic" in run("show", "node1").out
    assert "safety.automatic" not in run("show", "node2").out


def test_a_parked_host_is_acknowledged(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.script.answers["node1"] = Accepted()
    said = run("ack", "node1", "--reason", "new power supply")

    assert (said.code, said.out) == (0, "node1: acknowledged, it may be fenced again\n")
    [event] = daemon.script.asked
    assert isinstance(event, AckRequested)
    assert (event.host, event.reason) == ("node1", "new power supply")
    assert run("ack", "node1", "--json").document["name"] == "node1"


def test_a_host_that_is_not_parked_needs_no_word(run: Run) -> None:
    said = run("ack", "node2")

    assert said.code == 4
    assert "node2 is not parked" in said.err
    assert run("ack", "nodeX").code == 4
