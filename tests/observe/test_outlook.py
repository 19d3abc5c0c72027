"""For each hold it is said in one sentence what would have to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.model import Alert, HoldName, Liveness
from pmwatchd.core.operation import Phase
from pmwatchd.core.views import (
    Hold,
    HostView,
    KeeperView,
    MaintenanceView,
    RaisedAlert,
    SiteView,
)
from pmwatchd.observe.outlook import SENTENCES, obstacles, outlook
from tests.observe.fleet import ScriptedDesk, host, operation, up

wall_of = ScriptedDesk().wall_of
CALM = SiteView()


def held(name: HoldName, *, until_at: float | None = None) -> HostView:
    hold = Hold(name=name, since_at=5.0, reason="as it is", until_at=until_at)
    return up("node7", liveness=Liveness.NON_RESPONSIVE, holds=(hold,))


@pytest.mark.parametrize("name", HoldName)
def test_every_hold_has_a_sentence(name: HoldName) -> None:
    (one,) = obstacles(held(name), CALM, wall_of)

    assert (one.hold, one.reason, one.until) == (name, "as it is", None)
    assert one.since == wall_of(5.0)
    assert one.sentence.startswith(("It ", "The "))
    assert one.sentence.endswith(".")
    assert not set("{}[]") & set(one.sentence)


TIMED = [name for name, sentence in SENTENCES.items() if "{until}" in sentence]


@pytest.mark.parametrize("name", TIMED)
def test_a_hold_that_time_ends_names_the_time(name: HoldName) -> None:
    (one,) = obstacles(held(name, until_at=3600.0), CALM, wall_of)

    assert "2026-01-01 01:00:00 UTC" in one.sentence
    assert one.until == wall_of(3600.0)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (HoldName.PAUSED, "`pmwatchd resume`"),
        (HoldName.MAINTENANCE, "`pmwatchd maintenance end node7`"),
        (HoldName.PARKED, "`pmwatchd ack node7`"),
        (HoldName.STORM, "`pmwatchd override storm`"),
        (HoldName.SHADOW, "`pmwatchd power restart node7`"),
        (HoldName.UNPROTECTED, "`pmwatchd reload`"),
    ],
)
def test_a_hold_that_a_person_ends_names_the_command(name: HoldName, command: str) -> None:
    (one,) = obstacles(held(name), CALM, wall_of)

    assert command in one.sentence


def test_a_pause_is_foreseen_for_a_host_that_is_not_judged_yet() -> None:
    site = SiteView(paused=KeeperView(by="ann", reason="switch work", until_at=600.0))
    (one,) = obstacles(up("node7", liveness=Liveness.CONNECTING), site, wall_of)

    assert (one.hold, one.since, one.until) == (HoldName.PAUSED, None, wall_of(600.0))
    assert one.reason == "paused by ann: switch work"


def test_what_is_foreseen_stands_with_what_holds_in_the_order_of_the_rules() -> None:
    view = replace(
        held(HoldName.BACKOFF),
        host=host("node7", automatic=False, engine=True),
        alerts=(RaisedAlert(name=Alert.PARKED, since_at=1.0, reason="fenced 3 times"),),
        maintenance=MaintenanceView(by="bob", reason="memory", until_at=60.0),
    )
    found = obstacles(view, CALM, wall_of)

    assert [one.hold for one in found] == [
        HoldName.MAINTENANCE,
        HoldName.BACKOFF,
        HoldName.PARKED,
        HoldName.SELF,
        HoldName.SHADOW,
    ]
    assert [one.since is None for one in found] == [True, False, True, True, True]


def test_a_hold_that_applies_is_not_told_twice() -> None:
    site = SiteView(paused=KeeperView(by="ann", reason="switch work", until_at=600.0))
    (one,) = obstacles(held(HoldName.PAUSED), site, wall_of)

    assert one.reason == "as it is"
    assert one.until == wall_of(600.0)


@pytest.mark.parametrize(
    ("liveness", "words"),
    [
        (Liveness.UNKNOWN, "It has never answered at its present address"),
        (Liveness.UP, "3 silent heartbeats in a row and 60 s without an answer"),
        (Liveness.CONNECTING, "so not before 2026-01-01 00:01:20 UTC"),
        (Liveness.BOOTING, "has time to boot until 2026-01-01 00:10:10 UTC"),
        (Liveness.NON_RESPONSIVE, "a last look is taken"),
    ],
)
def test_what_comes_next_follows_from_the_liveness(liveness: Liveness, words: str) -> None:
    assert words in outlook(up("node7", liveness=liveness), None, wall_of)


def test_a_host_that_boots_after_its_crash_dump_is_not_said_to_have_been_powered_on() -> None:
    view = up("node7", liveness=Liveness.BOOTING, ours=False)

    assert "was powered on" in outlook(replace(view, ours=True), None, wall_of)
    assert "boots by itself" in outlook(view, None, wall_of)


def test_both_ways_out_of_wrong_wires_are_named() -> None:
    (one,) = obstacles(held(HoldName.MISWIRED), CALM, wall_of)

    assert "read on while it answers" in one.sentence
    assert "`pmwatchd power restart node7`" in one.sentence


def test_a_host_that_we_cannot_ask_is_not_said_to_be_within_its_grace() -> None:
    ill = RaisedAlert(name=Alert.OBSERVER_ILL, since_at=1000.0, reason="no_route")
    view = replace(up("node7", liveness=Liveness.CONNECTING), alerts=(ill,))

    assert "cannot be tried from here" in outlook(view, None, wall_of)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_of_an_operation_is_told_in_words(phase: Phase) -> None:
    said = outlook(up("node7", operation="op_1"), replace(operation(), phase=phase), wall_of)

    assert said.startswith("Operation op_1 ")
    assert f"in {phase}" not in said


def test_an_operation_that_is_not_known_in_detail_is_still_named() -> None:
    view = up("node7", operation="op_1")

    assert outlook(view, None, wall_of) == "Operation op_1 is under way."
    assert "powering_off" in outlook(view, operation(), wall_of)
