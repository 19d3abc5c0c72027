"""Every event has a sentence and a level."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pmwatchd
from pmwatchd.observe.messages import FIELD, MESSAGES, OPTIONAL, Level, message_of

NAME = re.compile(r"[a-z]+\.[a-z_]+")
TELLING = {"record", "tell", "debug", "info", "warning", "error", "critical", "exception"}


def names_in(call: ast.Call) -> set[str]:
    """The event names that a call gives on, if it is one that tells."""
    if not isinstance(call.func, (ast.Name, ast.Attribute)):
        return set()
    called = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
    given = [keyword.value for keyword in call.keywords if keyword.arg == "event"]
    if called.lstrip("_") in TELLING:
        given += call.args
    branches = [[one.body, one.orelse] if isinstance(one, ast.IfExp) else [one] for one in given]
    values = [one.value for both in branches for one in both if isinstance(one, ast.Constant)]
    return {value for value in values if isinstance(value, str) and NAME.fullmatch(value)}


def names_that_are_told() -> set[str]:
    """Every event name that a file of the daemon gives to a call; the lab has its own story."""
    house = Path(pmwatchd.__file__).parent
    files = [path for path in house.rglob("*.py") if house / "lab" not in path.parents]
    trees = (ast.parse(path.read_text()) for path in files)
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {name for call in calls for name in names_in(call)}


def test_every_event_that_is_told_has_a_message_and_a_level() -> None:
    assert names_that_are_told() - set(MESSAGES) == set()


def test_the_search_for_events_finds_some() -> None:
    assert {"api.command", "fence.opened", "watch.answered"} <= names_that_are_told()


@pytest.mark.parametrize("event", sorted(MESSAGES))
def test_a_message_is_a_sentence_even_without_any_field(event: str) -> None:
    message = MESSAGES[event]
    bare = message.render({})

    assert message.level in set(Level)
    assert bare
    assert not set("[]{}") & set(bare)


@pytest.mark.parametrize("event", sorted(MESSAGES))
def test_a_message_shows_every_field_that_it_names(event: str) -> None:
    template = MESSAGES[event].template
    values = {name: f"<{name}>" for name in FIELD.findall(OPTIONAL.sub(r"\1", template))}
    sentence = MESSAGES[event].render(values)

    assert all(value in sentence for value in values.values())


def test_a_value_with_braces_is_shown_as_it_is() -> None:
    sentence = MESSAGES["alert.raised"].render({"alert": "unfenced", "reason": "{host} [x]"})

    assert sentence == "Alert unfenced: {host} [x]"


def test_a_long_list_is_cut_in_the_sentence() -> None:
    added = tuple(f"node{number}" for number in range(500))
    sentence = MESSAGES["config.reloaded"].render({"added": added})

    assert sentence.endswith("node8, node9 and 490 more")


def test_a_failed_fencing_is_an_error_and_a_lost_journal_critical() -> None:
    assert message_of("fence.no_proxy").level is Level.ERROR
    assert message_of("fence.off_failed").level is Level.ERROR
    assert message_of("journal.failed").level is Level.CRITICAL
    assert message_of("fence.intended").level is Level.DEBUG


def test_what_is_said_of_the_whole_site_names_owner_reason_and_end() -> None:
    fields = {"by": "ann", "until": "12:30", "reason": "switch upgrade"}

    assert message_of("pause.began").render(fields) == (
        "All automatic fencing is paused by ann until 12:30 (switch upgrade)"
    )
    assert message_of("override.began").render(fields) == (
        "A storm stops no fencing, says ann, until 12:30 (switch upgrade)"
    )
    assert message_of("pause.ended").render({}) == "Automatic fencing is no longer paused"


def test_a_witness_is_told_by_name_with_its_word() -> None:
    fields = {"host": "node1", "proxy": "node2", "result": "none", "reason": "not connected"}

    assert message_of("witness.said").render(fields) == (
        "node2 was asked whether it reaches node1: none (not connected)"
    )


def test_what_a_reload_could_not_do_is_an_error_and_what_it_doubts_a_warning() -> None:
    failed, doubted = message_of("config.reload_failed"), message_of("inventory.warned")

    assert (failed.level, doubted.level) == (Level.ERROR, Level.WARNING)
    assert "{" not in failed.render({"reason": "a bug"})
    assert "a bug" in failed.render({"reason": "a bug"})


def test_an_off_that_was_withdrawn_is_not_told_as_one_that_was_asked_for() -> None:
    fields = {"agent": "bmc", "host": "node1", "action": "off", "result": "withdrawn"}

    assert message_of("fence.agent_executed").render(fields) == (
        "Agent bmc of node1, off: withdrawn"
    )


def test_an_event_that_is_not_in_the_table_is_seen_nevertheless() -> None:
    message = message_of("area.unheard_of")

    assert message.level is Level.WARNING
    assert message.render({"host": "node1"}) == "area.unheard_of at node1"
