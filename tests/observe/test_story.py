"""A story keeps what belongs to it and counts what only repeats itself."""

from __future__ import annotations

from datetime import timedelta

from pmwatchd.observe.story import (
    FIRST_KEPT,
    LAST_KEPT,
    Operation,
    Story,
    at,
    executions,
    operation_of,
    votes,
)
from pmwatchd.ports import Row
from tests.observe.fleet import START


def row(number: int, event: str, operation: str | None = None, **fields: object) -> Row:
    moment = START + timedelta(seconds=number)
    places = {"host": "node7", "operation": operation}
    return {"sequence": number, "at": moment.isoformat(), "event": event, **places, **fields}


def kept(story: Story) -> list[tuple[object, int]]:
    return [(scene.row["event"], scene.times) for scene in story.scenes()]


def about(cause: str = "automatic", outcome: str | None = "done") -> Operation:
    return Operation(id="op_1", action="restart", cause=cause, opened_at=START, outcome=outcome)


def test_a_vote_that_is_the_same_as_before_is_counted() -> None:
    story = Story()
    story.add(row(n, "witness.said", proxy=f"node{n % 2}", result="silent") for n in range(10))

    assert kept(story) == [("witness.said", 5), ("witness.said", 5)]
    (first, _) = votes(story.scenes())
    assert (at(first.row), at(first.last)) == (START, START + timedelta(seconds=8))


def test_a_vote_that_changes_is_told_again_each_time() -> None:
    story = Story()
    said = ("silent", "silent", "alive", "silent")
    story.add(row(n, "witness.said", proxy="node2", result=word) for n, word in enumerate(said))

    assert [(scene.row["result"], scene.times) for scene in story.scenes()] == [
        ("silent", 2),
        ("alive", 1),
        ("silent", 1),
    ]


def test_what_was_said_before_a_hold_and_after_it_is_not_counted_together() -> None:
    story = Story()
    story.add(
        [
            row(1, "alive.checked", result="silent"),
            row(2, "hold.began", hold="storm"),
            row(3, "alive.checked", result="silent"),
        ]
    )

    assert kept(story) == [("alive.checked", 1), ("hold.began", 1), ("alive.checked", 1)]


def test_readings_are_counted_by_agent_and_commands_never() -> None:
    story = Story()
    story.add(
        [
            row(1, "fence.agent_executed", agent="a", action="status", power="off"),
            row(2, "fence.agent_executed", agent="b", action="status", power="off"),
            row(3, "fence.agent_executed", agent="a", action="status", power="off"),
            row(4, "fence.agent_executed", agent="a", action="on", result="ok"),
            row(5, "fence.agent_executed", agent="a", action="on", result="ok"),
        ]
    )

    assert [scene.times for scene in executions(story.scenes())] == [2, 1, 1, 1]


def test_a_story_that_is_too_long_loses_its_middle_and_says_so() -> None:
    story = Story()
    count = FIRST_KEPT + LAST_KEPT + 7
    story.add(row(n, "hold.began", hold="storm") for n in range(count))

    numbers = [scene.row["sequence"] for scene in story.scenes()]
    assert story.left_out == 7
    assert numbers[:FIRST_KEPT] == list(range(FIRST_KEPT))
    assert numbers[FIRST_KEPT] == FIRST_KEPT + 7
    assert numbers[-1] == count - 1


def test_a_story_that_begins_anew_forgets_what_was_before_the_last_answer() -> None:
    story = Story(anew=True)
    story.add([row(1, "watch.grace_began"), row(2, "watch.answered"), row(3, "watch.grace_began")])

    assert kept(story) == [("watch.grace_began", 1)]
    assert story.scenes()[0].row["sequence"] == 3


def test_an_automatic_operation_begins_with_the_silence_and_ends_with_the_answer() -> None:
    story = Story(of=about(), anew=True)
    story.add(
        [
            row(1, "watch.grace_began"),
            row(2, "watch.answered"),
            row(3, "watch.grace_began"),
            row(4, "hold.began", hold="storm"),
            row(5, "fence.opened", "op_1"),
            row(6, "fence.closed", "op_1"),
            row(7, "hold.began", hold="quiet_time"),
            row(8, "watch.answered"),
            row(9, "watch.grace_began"),
        ]
    )

    assert [scene.row["sequence"] for scene in story.scenes()] == [3, 4, 5, 6, 8]
    assert story.ended


def test_a_host_that_falls_silent_before_it_answered_begins_another_story() -> None:
    story = Story(of=about(), anew=True)
    story.add([row(1, "fence.opened", "op_1"), row(2, "fence.closed", "op_1")])
    story.add([row(3, "watch.non_responsive"), row(4, "watch.answered")])

    assert kept(story) == [("fence.opened", 1), ("fence.closed", 1)]
    assert story.ended


def test_an_operation_that_failed_ends_when_it_is_closed() -> None:
    story = Story(of=about(outcome="failed"), anew=True)
    story.add([row(1, "fence.opened", "op_1"), row(2, "fence.closed", "op_1")])

    assert story.ended


def test_an_operation_of_a_person_begins_with_itself() -> None:
    story = Story(of=about(cause="person"))
    story.add([row(1, "watch.grace_began"), row(2, "fence.opened", "op_1"), row(3, "hold.began")])

    assert kept(story) == [("fence.opened", 1), ("hold.began", 1)]


def test_records_of_other_operations_are_none_of_it() -> None:
    story = Story(of=about(), anew=True)
    story.add(
        [
            row(1, "watch.non_responsive"),
            row(2, "fence.closed", "op_0"),
            row(3, "fence.opened", "op_1"),
        ]
    )

    assert kept(story) == [("watch.non_responsive", 1), ("fence.opened", 1)]


def test_the_operation_is_read_from_the_row_of_the_journal() -> None:
    read = operation_of(
        {
            "id": "op_1",
            "action": "restart",
            "cause": "automatic",
            "opened_at": "2026-01-01T00:00:00.000000Z",
            "outcome": None,
        }
    )

    assert read == about(outcome=None)
