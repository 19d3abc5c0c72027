from __future__ import annotations

import pytest

from pmwatchd.lab.iron import Command, Flip, Record
from pmwatchd.lab.verdict import sent_on, wrongs

BMC = frozenset({"node3-bmc"})
FEEDS = frozenset({"pdu-a/3", "pdu-b/3"})


def record(*steps: str, host: str = "node3") -> Record:
    """Build a record from words: ``node3-bmc off`` is a command, ``node3-bmc =off`` a flip."""
    made = Record()
    for at, step in enumerate(steps):
        switch, word = step.split()
        if word.startswith("="):
            flip = Flip(at=float(at), host=host, switch=switch, is_on=word == "=on")
            made.flips.append(flip)
        else:
            command = Command(at=float(at), host=host, switch=switch, action=word, by="fence")
            made.commands.append(command)
    return made


GOOD = (
    "node3-bmc status",
    "node3-bmc off",
    "node3-bmc =off",
    "node3-bmc status",
    "node3-bmc on",
    "node3-bmc =on",
)
GOOD_FEEDS = (
    "pdu-a/3 off",
    "pdu-b/3 off",
    "pdu-b/3 =off",
    "pdu-a/3 =off",
    "pdu-b/3 on",
    "pdu-a/3 on",
    "pdu-a/3 =on",
    "pdu-b/3 =on",
)


def test_one_off_then_one_on_is_right() -> None:
    assert wrongs(record(*GOOD), target="node3", switches=BMC) == []


def test_two_feeds_that_were_dark_together_are_right() -> None:
    assert wrongs(record(*GOOD_FEEDS), target="node3", switches=FEEDS) == []


@pytest.mark.parametrize(
    "steps",
    [
        (),
        ("node3-bmc off", "node3-bmc =off"),
        ("node3-bmc on",),
        ("node3-bmc on", "node3-bmc off", "node3-bmc =off"),
        ("node3-bmc off", *GOOD),
        (*GOOD, "node3-bmc on"),
        (*GOOD, "node3-bmc off"),
        ("node3-bmc off", "node3-bmc on", "node3-bmc =off", "node3-bmc =on"),
        (*GOOD, "node3-bmc =off"),
        (*GOOD, "node3-pdu off"),
    ],
    ids=[
        "nothing happened",
        "left off",
        "only on",
        "on before off",
        "two offs",
        "two ons",
        "off after on",
        "on before it was off",
        "a late off landed",
        "another switch of the host",
    ],
)
def test_everything_else_is_wrong(steps: tuple[str, ...]) -> None:
    assert wrongs(record(*steps), target="node3", switches=BMC)


def test_a_command_to_another_host_is_wrong() -> None:
    made = record(*GOOD)
    made.commands += record("node4-bmc off", host="node4").commands

    assert wrongs(made, target="node3", switches=BMC) == ["node4 was touched: 'off' at node4-bmc"]


def test_asking_another_host_for_its_status_is_no_harm() -> None:
    made = record(*GOOD)
    made.commands += record("node4-bmc status", host="node4").commands

    assert wrongs(made, target="node3", switches=BMC) == []


def test_one_feed_on_before_the_other_was_off_is_wrong() -> None:
    steps = (
        "pdu-a/3 off",
        "pdu-b/3 off",
        "pdu-a/3 =off",
        "pdu-a/3 on",
        "pdu-b/3 =off",
        "pdu-b/3 on",
        "pdu-a/3 =on",
        "pdu-b/3 =on",
    )

    assert wrongs(record(*steps), target="node3", switches=FEEDS)


def test_as_often_as_it_died_it_is_off_and_on_in_turn() -> None:
    assert wrongs(record(*GOOD, *GOOD), target="node3", switches=BMC, times=2) == []


@pytest.mark.parametrize(
    "steps",
    [
        GOOD,
        (*GOOD, *GOOD, *GOOD),
        (*GOOD, "node3-bmc off", "node3-bmc on", "node3-bmc =off", "node3-bmc =on"),
        (*GOOD, "node3-bmc on", "node3-bmc off", "node3-bmc =off"),
    ],
    ids=["once", "three times", "on before it was off, the second time", "in the wrong turn"],
)
def test_everything_but_twice_is_not_twice(steps: tuple[str, ...]) -> None:
    assert wrongs(record(*steps), target="node3", switches=BMC, times=2)


def test_where_nothing_may_be_switched_a_question_is_right_and_a_command_is_wrong() -> None:
    asked, switched = record("node3-bmc status"), record("node3-bmc off")

    assert wrongs(asked, target="node3", switches=frozenset(), times=0) == []
    assert wrongs(switched, target="node3", switches=frozenset(), times=0)


def test_an_on_counts_as_sent_once_it_was_accepted() -> None:
    assert not sent_on(record("node3-bmc off"), "node3")
    assert sent_on(record("node3-bmc on"), "node3")
