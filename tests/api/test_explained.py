"""The story of a host or of an operation is read from the journal and the live pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pmwatchd.core.model import HoldName, Liveness
from pmwatchd.core.views import Hold
from tests.api.room import Room, operation_row, record_row
from tests.observe.fleet import CANARY, START, operation, silent, up


def since(room: Room) -> list[object]:
    """Since when records were asked for."""
    return [asked["since"] for asked in room.journal.asked if "after" in asked]


async def test_a_host_that_is_simply_up_is_explained_without_its_records(room: Room) -> None:
    room.desk.views = [up("node1")]
    explained = await room.ask("GET", "/explain/node1")

    assert len(str(explained["text"]).splitlines()) == 3
    assert (explained["kind"], explained["records"]) == ("host", [])
    assert since(room) == []


async def test_a_host_that_waits_is_told_since_its_last_answer(room: Room) -> None:
    backoff = Hold(name=HoldName.BACKOFF, since_at=30.0, reason="it failed", until_at=90.0)
    room.desk.views = [replace(silent("node1"), last_answer_at=20.0, holds=(backoff,))]
    room.journal.kept = [record_row(1, "hold.began", hold="backoff", reason="it failed")]
    explained = await room.ask("GET", "/explain/node1")

    assert since(room) == [START + timedelta(seconds=20)]
    assert explained["looks_back_to"] == "2026-01-01T00:00:20.000Z"
    assert explained["would_act_when"] == [
        {
            "hold": "backoff",
            "since": "2026-01-01T00:00:30.000Z",
            "until": "2026-01-01T00:01:30.000Z",
            "reason": "it failed",
            "sentence": ("The next try begins when the backoff is over (2026-01-01 00:01:30 UTC)."),
        }
    ]
    assert "node1 is not fenced now: backoff (it failed)" in str(explained["text"])
    assert CANARY not in str(explained)


async def test_a_host_that_never_answered_is_looked_for_a_week_back(room: Room) -> None:
    room.desk.views = [silent("node1")]
    room.journal.kept = [
        record_row(1, "watch.non_responsive"),
        record_row(2, "watch.answered"),
        record_row(3, "watch.grace_began"),
    ]
    explained = await room.ask("GET", "/explain/node1")

    assert since(room) == [START - timedelta(days=7)]
    records = explained["records"]
    assert isinstance(records, list)
    assert [one["sequence"] for one in records] == [3]


async def test_a_person_may_look_further_back(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.journal.kept = [record_row(1, "watch.non_responsive"), record_row(2, "watch.answered")]
    explained = await room.ask("GET", "/explain/node1?since=2h")

    assert since(room) == [START - timedelta(hours=2)]
    records = explained["records"]
    assert isinstance(records, list)
    assert [one["sequence"] for one in records] == [1, 2]


async def test_a_long_story_is_read_to_its_end(room: Room) -> None:
    room.desk.views = [up("node1", liveness=Liveness.NON_RESPONSIVE)]
    room.journal.kept = [
        record_row(number, "witness.said", proxy="node2", result="alive")
        for number in range(1, 2502)
    ]
    explained = await room.ask("GET", "/explain/node1")

    votes = explained["votes"]
    assert isinstance(votes, list)
    assert [(one["by"], one["opinion"], one["times"]) for one in votes] == [
        ("node2", "alive", 2501)
    ]


async def test_an_operation_is_told_with_the_silence_before_it(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.journal.opened = [operation_row("op_1", outcome="done")]
    room.journal.kept = [
        record_row(1, "watch.non_responsive", operation=None, silent_s=60.0),
        record_row(2),
        record_row(3, "fence.closed", outcome="done", took_s=20.0),
        record_row(4, "watch.answered", operation=None, was="booting", took_s=30.0),
        record_row(5, "watch.grace_began", operation=None),
    ]
    explained = await room.ask("GET", "/explain/op_1")

    assert since(room) == [START + timedelta(seconds=5) - timedelta(days=1)]
    records, phases = explained["records"], explained["phases"]
    assert isinstance(records, list)
    assert isinstance(phases, list)
    assert [one["sequence"] for one in records] == [1, 2, 3, 4]
    assert [one["phase"] for one in phases] == ["detect", "booted"]
    assert (explained["kind"], explained["host"], explained["operation"]) == (
        "operation",
        "node1",
        "op_1",
    )


async def test_an_operation_that_only_the_engine_knows_is_explained_too(room: Room) -> None:
    room.desk.running = [operation("op_5")]
    explained = await room.ask("GET", "/explain/op_5")

    assert "Operation op_5: restart of node1, automatically" in str(explained["text"])
    assert explained["now"] is None


async def test_a_host_goes_before_an_operation_of_that_name(room: Room) -> None:
    room.desk.views = [up("op_1")]
    room.journal.opened = [operation_row("op_1", outcome="done")]

    assert (await room.ask("GET", "/explain/op_1"))["kind"] == "host"


@pytest.mark.parametrize(
    ("name", "kind"), [("node9", "unknown-host"), ("op_9_9", "unknown-operation")]
)
async def test_what_is_not_known_cannot_be_explained(room: Room, name: str, kind: str) -> None:
    problem = await room.ask("GET", f"/explain/{name}", status=404)

    assert problem["type"] == kind
    assert problem["detail"] == f"'{name}' is neither a watched host nor a known operation."


async def test_how_far_to_look_back_is_no_question_for_an_operation(room: Room) -> None:
    room.journal.opened = [operation_row("op_1")]
    problem = await room.ask("GET", "/explain/op_1?since=2h", status=400)

    assert problem["type"] == "invalid"


async def test_a_journal_that_cannot_be_read_is_said_so(room: Room) -> None:
    room.desk.views = [silent("node1")]
    room.journal.fails = True
    problem = await room.ask("GET", "/explain/node1", status=503)

    assert problem["type"] == "journal-unavailable"
