"""Hosts, and what a person asks of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from pmwatchd.core.events import (
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import Action, PowerStatus
from pmwatchd.core.orders import Accepted, PowerRead, Refused
from pmwatchd.core.views import MaintenanceView
from tests.api.room import Room
from tests.observe.fleet import CANARY, START, host, operation, silent, up


async def test_a_host_is_shown_with_what_is_known_of_it(room: Room) -> None:
    room.desk.views = [silent("node3")]
    shown = await room.ask("GET", "/hosts/node3")

    assert shown["status"] == "non_responsive"
    assert shown["liveness"] == "non_responsive"
    assert shown["since"] == "2026-01-01T00:00:10.000Z"
    assert shown["last_answer_at"] is None
    assert shown["holds"] == [
        {
            "name": "startup",
            "since": "2026-01-01T00:00:05.000Z",
            "reason": "300 s after the start",
            "until": None,
        }
    ]
    assert shown["alerts"] == [
        {"name": "unfenced", "since": "2026-01-01T00:00:06.000Z", "reason": "no proxy"}
    ]
    assert shown["power_management"] == {
        "enabled": True,
        "kdump": False,
        "proxies": ["cluster", "dc", "engine"],
        "agents": [
            {
                "name": "bmc",
                "type": "ipmilan",
                "order": 1,
                "address": "node3-bmc.example.org",
                "ipport": None,
                "plug": None,
                "username": "fence",
                "proxies": None,
                "switches": "chassis",
                "options": ["lanplus", "snmp_priv_passwd"],
            }
        ],
    }


async def test_a_host_in_maintenance_says_by_whom_why_and_until_when(room: Room) -> None:
    pause = MaintenanceView(by="root", reason="new fan", until_at=60.0)
    room.desk.views = [up("node1", maintenance=pause)]
    shown = await room.ask("GET", "/hosts/node1")

    assert shown["maintenance"] == {
        "by": "root",
        "reason": "new fan",
        "until": "2026-01-01T00:01:00.000Z",
    }


async def test_a_secret_is_in_no_answer(room: Room) -> None:
    room.desk.views = [up("node1"), silent("node2")]
    for path in ("/hosts", "/hosts/node1", "/status"):
        assert CANARY not in json.dumps(await room.ask("GET", path))


async def test_a_host_that_is_not_watched_is_not_found(room: Room) -> None:
    problem = await room.ask("GET", "/hosts/nobody", status=404)

    assert problem["type"] == "unknown-host"
    assert "nobody" in str(problem["detail"])


async def test_hosts_come_page_by_page_in_the_order_of_their_names(room: Room) -> None:
    room.desk.views = [up("c"), up("a"), up("b")]
    names: list[object] = []
    path: str | None = "/hosts?limit=2"
    while path:
        page = await room.ask("GET", path)
        items = page["items"]
        assert isinstance(items, list)
        names.append([item["name"] for item in items])
        path = f"/hosts?limit=2&cursor={page['next']}" if page["next"] else None

    assert names == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=up", ["node1", "node2"]),
        ("status=non_responsive", ["node3"]),
        ("cluster=green", ["node2"]),
        ("label=rack%3Dr1", ["node2"]),
        ("label=rack%3Dr1&label=pdu%3Dx", []),
        ("cluster=green&status=failed", []),
    ],
)
async def test_hosts_can_be_chosen(room: Room, query: str, names: list[str]) -> None:
    green = host("node2", cluster="green", labels={"rack": "r1"})
    room.desk.views = [up("node1"), up("node2", host=green), silent("node3")]
    page = await room.ask("GET", f"/hosts?{query}")

    items = page["items"]
    assert isinstance(items, list)
    assert [item["name"] for item in items] == names


@pytest.mark.parametrize(
    "query", ["status=asleep", "label=rack", "limit=0", "limit=x", "limit=" + "9" * 50, "color=red"]
)
async def test_a_wrong_choice_is_refused(room: Room, query: str) -> None:
    await room.ask("GET", f"/hosts?{query}", status=400)


async def test_a_status_is_answered_with_what_the_switches_read(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.desk.answer = PowerRead(
        power=PowerStatus.UNKNOWN,
        agents={"bmc": PowerStatus.OFF, "pdu": PowerStatus.UNKNOWN},
        reasons={"pdu": "timeout"},
    )
    read = await room.ask("POST", "/hosts/node1/power", {"action": "status"})

    assert read == {
        "host": "node1",
        "power": "unknown",
        "agents": {"bmc": "off", "pdu": "unknown"},
        "reasons": {"pdu": "timeout"},
    }
    assert room.desk.asked == [StatusRequested(request=7, host="node1", by="unknown")]


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("off", Action.OFF),
        ("stop", Action.OFF),
        ("on", Action.ON),
        ("start", Action.ON),
        ("restart", Action.RESTART),
        ("reboot", Action.RESTART),
    ],
)
async def test_a_power_action_is_accepted_with_its_operation(
    room: Room, word: str, action: Action
) -> None:
    room.desk.views = [up("node1")]
    room.desk.running = [operation("op_9")]
    room.desk.answer = Accepted(operation="op_9")
    answer = await room.client.post(
        "/api/v1/hosts/node1/power", json={"action": word, "reason": "new fan"}
    )
    document = await answer.json()

    assert answer.status == 202
    assert answer.headers["Location"] == "/api/v1/operations/op_9"
    assert (document["id"], document["state"], document["joined"]) == ("op_9", "open", False)
    assert room.desk.asked == [
        PowerRequested(request=7, host="node1", action=action, by="unknown", reason="new fan")
    ]


async def test_an_identical_command_joins(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.desk.answer = Accepted(operation="op_9", joined=True)
    document = await room.ask("POST", "/hosts/node1/power", {"action": "off"}, status=202)

    assert (document["id"], document["joined"]) == ("op_9", True)


async def test_a_cancel_that_is_done_at_once_has_no_operation(room: Room) -> None:
    room.desk.views = [up("node1")]
    document = await room.ask("POST", "/hosts/node1/power", {"action": "cancel", "reason": "dead"})

    assert document["operation"] is None
    assert room.desk.asked == [
        CancelRequested(request=7, host="node1", by="unknown", reason="dead")
    ]


async def test_every_command_is_told_with_its_author(room: Room) -> None:
    room.desk.views = [up("node1")]
    await room.ask("POST", "/hosts/node1/power", {"action": "off", "reason": "new fan"})

    (record,) = room.told
    assert (record.event, record.host) == ("api.command", "node1")
    assert record.fields == {"by": "unknown", "action": "power off", "reason": "new fan"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [("host-busy", 409), ("held", 409), ("unknown-host", 404), ("never-heard-of", 409)],
)
async def test_a_refusal_is_a_problem_that_names_the_operation_and_is_told(
    room: Room, kind: str, status: int
) -> None:
    room.desk.views = [up("node1")]
    room.desk.answer = Refused(type=kind, reason="op_1 is running", operation="op_1")
    problem = await room.ask("POST", "/hosts/node1/power", {"action": "off"}, status=status)

    assert problem["type"] == kind
    assert problem["status"] == status
    assert problem["detail"] == "op_1 is running"
    assert problem["operation"] == "op_1"
    assert [record.event for record in room.told] == ["api.command", "api.denied"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 422, "invalid"),
        ({"action": "explode"}, 422, "invalid"),
        ({"action": 7}, 422, "invalid"),
        ({"action": "off", "force": True}, 422, "unknown-key"),
        ({"action": "off", "reason": ["a"]}, 422, "invalid"),
        ({"action": "off", "reason": "two\nlines"}, 422, "invalid"),
        ({"action": "off", "reason": "\ud800"}, 422, "invalid"),
        ({"action": "off", "reason": "x" * 501}, 422, "invalid"),
        (["off"], 400, "bad-json"),
    ],
)
async def test_a_body_that_is_not_understood_switches_nothing(
    room: Room, body: object, status: int, kind: str
) -> None:
    room.desk.views = [up("node1")]
    problem = await room.ask("POST", "/hosts/node1/power", body, status=status)

    assert problem["type"] == kind
    assert room.desk.asked == []
    assert room.told == []


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[" * 60_000, b"off"])
async def test_broken_json_is_refused(room: Room, raw: bytes) -> None:
    room.desk.views = [up("node1")]
    answer = await room.client.post("/api/v1/hosts/node1/power", data=raw)

    assert answer.status == 400
    assert (await answer.json(content_type=None))["type"] == "bad-json"


async def test_a_flood_of_a_body_is_refused(room: Room) -> None:
    room.desk.views = [up("node1")]
    answer = await room.client.post("/api/v1/hosts/node1/power", data=b" " * 100_000)

    assert answer.status == 413
    assert (await answer.json(content_type=None))["type"] == "too-large"


async def test_a_command_for_a_host_that_is_not_watched_does_not_reach_the_engine(
    room: Room,
) -> None:
    await room.ask("POST", "/hosts/nobody/power", {"action": "off"}, status=404)
    await room.ask("PUT", "/hosts/nobody/maintenance", {"reason": "x"}, status=404)
    await room.ask("DELETE", "/hosts/nobody/maintenance", status=404)

    assert room.desk.asked == []


@pytest.mark.parametrize(
    ("span", "for_s"),
    [({}, None), ({"for_s": 90}, 90.0), ({"for": "2h"}, 7200.0), ({"for_s": None}, None)],
)
async def test_maintenance_begins_for_a_time_or_without_end(
    room: Room, span: dict[str, object], for_s: float | None
) -> None:
    room.desk.views = [up("node1")]
    shown = await room.ask("PUT", "/hosts/node1/maintenance", {"reason": "new fan", **span})

    assert shown["name"] == "node1"
    assert room.desk.asked == [
        MaintenanceRequested(
            request=7,
            host="node1",
            by="unknown",
            reason="new fan",
            for_s=for_s,
            expires_at=None if for_s is None else START + timedelta(seconds=for_s),
        )
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "  "},
        {"reason": "x", "for": "soon"},
        {"reason": "x", "for": "0s"},
        {"reason": "x", "for_s": -1},
        {"reason": "x", "for_s": True},
        {"reason": "x", "for_s": 1e300},
        {"reason": "x", "for_s": 10**400},
        {"reason": "x", "for_s": float("nan")},
        {"reason": "x", "for": "9" * 400},
        {"reason": "x", "for_s": 60, "for": "1m"},
    ],
)
async def test_maintenance_needs_a_reason_and_a_sane_time(room: Room, body: object) -> None:
    room.desk.views = [up("node1")]
    await room.ask("PUT", "/hosts/node1/maintenance", body, status=422)

    assert room.desk.asked == []


async def test_maintenance_is_ended(room: Room) -> None:
    room.desk.views = [up("node1")]
    await room.ask("DELETE", "/hosts/node1/maintenance")

    assert room.desk.asked == [MaintenanceEndRequested(request=7, host="node1", by="unknown")]
    assert room.told[0].fields["action"] == "maintenance end"


async def test_a_client_that_goes_away_does_not_take_its_command_along(room: Room) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ask_slowly(_: Callable[[int], PersonEvent]) -> Accepted | Refused | PowerRead:
        begun.set()
        await may_end.wait()
        ended.set()
        return Accepted(operation="op_9")

    room.desk.views = [up("node1")]
    room.desk.ask = ask_slowly  # type: ignore[method-assign,assignment]
    request = asyncio.create_task(
        room.client.post("/api/v1/hosts/node1/power", json={"action": "off"})
    )
    await begun.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    may_end.set()

    await asyncio.wait_for(ended.wait(), 5)


async def test_a_persons_word_for_an_off_needs_a_reason_and_is_passed_on(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.desk.running = [operation("op_9")]
    room.desk.answer = Accepted(operation="op_9")
    await room.ask("POST", "/hosts/node1/confirm-off", {}, status=422)
    document = await room.ask(
        "POST", "/hosts/node1/confirm-off", {"reason": "cable is out"}, status=202
    )

    assert document["id"] == "op_9"
    assert room.desk.asked == [
        VouchRequested(request=7, host="node1", by="unknown", reason="cable is out")
    ]


async def test_a_persons_word_against_a_host_that_answers_is_refused(room: Room) -> None:
    room.desk.views = [up("node1")]
    room.desk.answer = Refused(type="host-answers", reason="node1 answers, so it is not off")
    problem = await room.ask(
        "POST", "/hosts/node1/confirm-off", {"reason": "cable is out"}, status=409
    )

    assert problem["type"] == "host-answers"
