"""Operations and records are read back from the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pmwatchd.core.model import Outcome
from tests.api.room import Room, operation_row, record_row
from tests.observe.fleet import START, operation


async def test_operations_are_listed_with_state_and_outcome(room: Room) -> None:
    room.journal.opened = [operation_row("op_1"), operation_row("op_0", outcome="done")]
    room.desk.running = [operation("op_1")]
    page = await room.ask("GET", "/operations")

    items = page["items"]
    assert isinstance(items, list)
    shown = [(one["id"], one["state"], one["phase"], one["outcome"]) for one in items]
    assert shown == [("op_1", "open", "powering_off", None), ("op_0", "closed", None, "done")]
    assert items[1]["closed_at"] == "2026-01-01T00:00:25.000Z"
    assert page["next"] is None


async def test_operations_come_page_by_page(room: Room) -> None:
    room.journal.opened = [operation_row(f"op_{number}") for number in range(5)]
    first = await room.ask("GET", "/operations?limit=3")
    second = await room.ask("GET", f"/operations?limit=3&cursor={first['next']}")

    items = [first["items"], second["items"]]
    assert all(isinstance(page, list) for page in items)
    ids = [[one["id"] for one in page] for page in items if isinstance(page, list)]
    assert ids == [["op_0", "op_1", "op_2"], ["op_3", "op_4"]]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("state", "ids"),
    [("open", [["op_1", "op_3"], ["op_5"]]), ("closed", [["op_0", "op_2"], ["op_4"]])],
)
async def test_operations_are_listed_by_state_page_by_page(
    room: Room, state: str, ids: list[list[str]]
) -> None:
    room.journal.opened = [
        operation_row(f"op_{number}", outcome=None if number % 2 else "done") for number in range(6)
    ]

    first = await room.ask("GET", f"/operations?state={state}&limit=2")
    second = await room.ask("GET", f"/operations?state={state}&limit=2&cursor={first['next']}")

    pages = [first["items"], second["items"]]
    assert [[one["id"] for one in page] for page in pages if isinstance(page, list)] == ids
    assert second["next"] is None


async def test_what_ended_long_ago_is_not_read_to_find_what_is_open(room: Room) -> None:
    await room.ask("GET", "/operations?state=open&since=10d")

    assert [asked["since"] for asked in room.journal.asked] == [START]


async def test_a_state_that_does_not_exist_is_refused(room: Room) -> None:
    problem = await room.ask("GET", "/operations?state=stuck", status=400)

    assert problem["detail"] == "state must be one of open, closed."


async def test_an_operation_is_shown_with_its_steps(room: Room) -> None:
    room.journal.opened = [operation_row("op_1", outcome="done")]
    room.journal.kept = [
        record_row(1),
        record_row(
            2,
            "fence.agent_executed",
            agent="bmc",
            proxy="node2",
            action="off",
            result="ok",
            took_s=2.1,
            group=1,
        ),
        record_row(3, "fence.agent_executed", agent="bmc", action="status", power="off"),
    ]
    shown = await room.ask("GET", "/operations/op_1")

    steps = shown["steps"]
    assert isinstance(steps, list)
    assert [(step["action"], step["proxy"], step["power"]) for step in steps] == [
        ("off", "node2", None),
        ("status", None, "off"),
    ]
    assert steps[0]["at"] == "2026-01-01T00:00:05.000Z"
    assert steps[0]["took_s"] == 2.1
    assert shown["state"] == "closed"


async def test_an_operation_with_very_many_records_keeps_all_its_steps(room: Room) -> None:
    room.journal.opened = [operation_row("op_1")]
    room.journal.kept = [
        record_row(number, "fence.agent_executed", agent="bmc") for number in range(1, 2502)
    ]
    shown = await room.ask("GET", "/operations/op_1")

    steps = shown["steps"]
    assert isinstance(steps, list)
    assert len(steps) == 2501


async def test_an_operation_that_only_the_engine_knows_is_shown_too(room: Room) -> None:
    room.desk.running = [operation("op_5", outcome=Outcome.FAILED)]
    shown = await room.ask("GET", "/operations/op_5")

    assert (shown["state"], shown["outcome"], shown["steps"]) == ("closed", "failed", [])
    assert {**shown, "opened_at": "", "closed_at": ""} == {
        "id": "op_5",
        "host": "node1",
        "action": "restart",
        "cause": "automatic",
        "by": "",
        "reason": "silent for 60 s",
        "state": "closed",
        "phase": None,
        "outcome": "failed",
        "opened_at": "",
        "closed_at": "",
        "steps": [],
    }


async def test_an_operation_that_nobody_knows_is_not_found(room: Room) -> None:
    assert (await room.ask("GET", "/operations/op_x", status=404))["type"] == "unknown-operation"


async def test_records_read_as_in_the_log(room: Room) -> None:
    room.journal.kept = [record_row(4, cause="automatic", action="restart")]
    page = await room.ask("GET", "/records")

    assert page == {
        "items": [
            {
                "timestamp": "2026-01-01T00:00:05.000Z",
                "level": "warning",
                "event": "fence.opened",
                "message": "Operation op_1 has begun: restart of node1, automatic",
                "sequence": 4,
                "host": "node1",
                "operation": "op_1",
                "cause": "automatic",
                "action": "restart",
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize("name", ["after", "cursor"])
async def test_records_come_page_by_page(room: Room, name: str) -> None:
    room.journal.kept = [record_row(number) for number in range(1, 6)]
    first = await room.ask("GET", "/records?limit=3")
    second = await room.ask("GET", f"/records?limit=3&{name}={first['next']}")

    assert first["next"] == 3
    items = second["items"]
    assert isinstance(items, list)
    assert [one["sequence"] for one in items] == [4, 5]


@pytest.mark.parametrize(
    ("since", "at"),
    [
        ("2h", START - timedelta(hours=2)),
        ("2026-01-01T10:00:00Z", START + timedelta(hours=10)),
        ("2026-01-01T10:00:00", START + timedelta(hours=10)),
        ("2026-01-01 10:00:00", START + timedelta(hours=10)),
        ("2026-01-01T12:00:00+02:00", START + timedelta(hours=10)),
        ("2026-01-01T12:00:00%2B02:00", START + timedelta(hours=10)),
        ("0001-01-01T00:00:00%2B14:00", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
async def test_since_is_a_duration_or_an_instant(room: Room, since: str, at: object) -> None:
    await room.ask("GET", f"/records?host=node1&operation=op_1&since={since}")

    asked = room.journal.asked[0]
    assert asked["since"] == at
    assert (asked["host"], asked["operation"]) == ("node1", "op_1")


@pytest.mark.parametrize("query", ["since=yesterday", "after=-1", "after=%C2%B2", "page=2"])
async def test_a_wrong_question_is_refused(room: Room, query: str) -> None:
    await room.ask("GET", f"/records?{query}", status=400)


async def test_a_journal_that_can_not_be_read_is_said(room: Room) -> None:
    room.journal.fails = True

    assert (await room.ask("GET", "/records", status=503))["type"] == "journal-unavailable"
