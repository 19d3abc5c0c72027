"""Every event has a sentence and a level."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pmwatchd
from pmwatchd.observe.messages import FIELD, MESSAGES, OPTIONAL, Level, message_of

NAME = re.compile(r"[a-z]+\.[a-z_]+")


def names_that_are_told() -> set[str]:
    """Every event name that some file of the package gives to a call."""
    found = set()
    for path in Path(pmwatchd.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            if not isinstance(node.func, (ast.Name, ast.Attribute)):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            event = [keyword.value for keyword in node.keywords if keyword.arg == "event"]
            for value in event if called == "Record" else node.args if called == "record" else []:
                parts = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                found |= {
                    part.value
                    for part in parts
                    if isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and NAME.fullmatch(part.value)
                }
    return found


def test_every_event_that_is_told_has_a_message_and_a_level() -> None:
    assert names_that_are_told() - set(MESSAGES) == set()


def test_the_search_for_events_finds_some() -> None:
    assert {"api.command", "api.denied"} <= names_that_are_told()


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


def test_a_failed_fencing_is_an_error_and_a_lost_journal_critical() -> None:
    assert message_of("fence.no_proxy").level is Level.ERROR
    assert message_of("fence.off_failed").level is Level.ERROR
    assert message_of("journal.failed").level is Level.CRITICAL
    assert message_of("fence.intended").level is Level.DEBUG


def test_an_event_that_is_not_in_the_table_is_seen_nevertheless() -> None:
    message = message_of("area.unheard_of")

    assert message.level is Level.WARNING
    assert message.render({"host": "node1"}) == "area.unheard_of at node1"
